"""Servers that answer in the formats that are documented, over one toy language model.

Its tokens are bytes, two special tokens, and two more spellings of labels; its next-token
distribution is drawn from a hash of the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.unit.engines.recorded.wire import Reply, Request

START, END = "<|im_start|>", "<|im_end|>"
SPECIAL = {START: 256, END: 257}
SPELT = {258: " 4", 259: "4\n"}
"""Tokens beside the bytes; the tokenizer does not make them, the model may say them."""

REASON = "because it is kind"


def ids_of(text: str) -> list[int]:
    """The ids of `text`, special tokens read as such."""
    for token, number in SPECIAL.items():
        if token in text:
            before, _, after = text.partition(token)
            return [*ids_of(before), number, *ids_of(after)]
    return list(text.encode())


def text_of(ids: Sequence[int]) -> str:
    """The text of `ids`."""
    names = {number: token.encode() for token, number in SPECIAL.items()}
    return b"".join(names.get(i, bytes([i % 256])) for i in ids).decode(errors="replace")


def spelling(token: int) -> str:
    """The text of one token."""
    if token in SPELT:
        return SPELT[token]
    return next((t for t, number in SPECIAL.items() if number == token), chr(token))


def logprobs_of(prompt: str | Sequence[int], sharpness: float = 2.0) -> np.ndarray[Any, Any]:
    """Log-probabilities (260,) of the next token."""
    seed = hashlib.sha256(str(prompt).encode()).digest()[:4]
    logits = sharpness * np.random.default_rng(int.from_bytes(seed, "big")).normal(size=260)
    logits[[49, 50, 51, 52, 258]] += 6  # it was told to answer with a label; 5 is seldom shown
    found: np.ndarray[Any, Any] = logits - np.log(np.exp(logits).sum())
    return found


def template(messages: Sequence[Mapping[str, str]]) -> str:
    """A chat template; a last message of the assistant is left open."""
    text = "".join(f"{START}{m['role']}\n{m['content']}{END}\n" for m in messages)
    if messages[-1]["role"] == "assistant":
        return text.removesuffix(f"{END}\n")
    return f"{text}{START}assistant\n"


def _told(logprobs: np.ndarray[Any, Any], count: int) -> list[dict[str, Any]]:
    top = np.argsort(-logprobs)[:count]
    return [
        {
            "token": spelling(int(token)),
            "logprob": float(logprobs[token]),
            "bytes": list(spelling(int(token)).encode()),
        }
        for token in top
    ]


def sglang(request: Request) -> Reply:
    """SGLang: `/tokenize` with messages, `/detokenize`, and the native `/generate`."""
    body = request.body
    match request.path:
        case "/v1/models":
            entry = {"id": "toy", "object": "model", "owned_by": "sglang", "root": "toy",
                     "max_model_len": 4096}  # fmt: skip
            return Reply({"object": "list", "data": [entry]})
        case "/server_info":
            return Reply({"version": "0.5.9", "api_key": None, "model_path": "toy"})
        case "/tokenize" if "messages" in body:
            ids = ids_of(template(body["messages"]))
        case "/tokenize":
            ids = ids_of(body["prompt"])
        case "/detokenize":
            return Reply({"text": text_of(body["tokens"])})
        case "/generate":
            return Reply(_generated(body))
        case _:
            return Reply({"error": {"message": "Not Found"}}, status=404)
    return Reply({"tokens": ids, "count": len(ids), "max_model_len": 4096})


def _generated(body: Mapping[str, Any]) -> dict[str, Any]:
    prompt, sampling = body["input_ids"], body["sampling_params"]
    meta: dict[str, Any] = {
        "id": "x",
        "finish_reason": {"type": "length", "length": sampling["max_new_tokens"]},
        "prompt_tokens": len(prompt),
        "completion_tokens": 1,
        "cached_tokens": 0,
    }
    logprobs = logprobs_of(prompt)
    top = int(logprobs.argmax())
    if body.get("return_logprob"):
        wanted = body["token_ids_logprob"]
        meta["output_token_logprobs"] = [[float(logprobs[top]), top, None]]
        meta["output_token_ids_logprobs"] = [[[float(logprobs[i]), i, None] for i in wanted]]
    if sampling.get("stop"):
        meta |= {"finish_reason": {"type": "stop"}, "completion_tokens": 5}
        return {"text": f"{REASON}\n", "output_ids": [], "meta_info": meta}
    if sampling["temperature"]:
        rng = np.random.default_rng(sampling["sampling_seed"])
        top = int(rng.choice(260, p=np.exp(logprobs)))
    return {"text": spelling(top), "output_ids": [top], "meta_info": meta}


def ollama(request: Request) -> Reply:
    """Ollama: `/api/tags`, `/api/version`, `/api/chat`."""
    body = request.body
    match request.path:
        case "/v1/models":
            entry = {"id": "toy:latest", "object": "model", "owned_by": "library"}
            return Reply({"object": "list", "data": [entry]})
        case "/api/version":
            return Reply({"version": "0.13.5"})
        case "/api/tags":
            entry = {"name": "toy:latest", "model": "toy:latest", "digest": "365c0bd3c000"}
            return Reply({"models": [entry]})
        case "/api/chat":
            options = body["options"]
            logprobs = logprobs_of(template(body["messages"]))
            top = spelling(int(logprobs.argmax()))
            answer: dict[str, Any] = {
                "model": body["model"],
                "created_at": "2026-11-20T10:00:00Z",
                "message": {"role": "assistant", "content": top},
                "done": True,
                "done_reason": "length",
                "prompt_eval_count": 3,
                "eval_count": 1,
            }
            if body.get("logprobs"):
                (first, *_) = told = _told(logprobs, body["top_logprobs"])
                answer["logprobs"] = [{**first, "top_logprobs": told}]
            if options.get("stop"):
                answer |= {"done_reason": "stop", "eval_count": 5}
                answer["message"] = {"role": "assistant", "content": f"{REASON}\n"}
            return Reply(answer)
        case _:
            return Reply("404 page not found", status=404)


def openai(request: Request) -> Reply:
    """OpenAI: `/v1/models`, `/v1/chat/completions`."""
    body = request.body
    match request.path:
        case "/v1/models":
            entry = {"id": "toy", "object": "model", "created": 1, "owned_by": "system"}
            return Reply({"object": "list", "data": [entry]})
        case "/v1/chat/completions":
            logprobs = logprobs_of(template(body["messages"]))
            content = {"role": "assistant", "content": spelling(int(logprobs.argmax()))}
            choice: dict[str, Any] = {
                "index": 0,
                "message": content,
                "finish_reason": "length",
                "logprobs": None,
            }
            if body.get("logprobs"):
                (first, *_) = told = _told(logprobs, body["top_logprobs"])
                choice["logprobs"] = {"content": [{**first, "top_logprobs": told}]}
            if body.get("stop"):
                choice |= {"finish_reason": "stop"}
                choice["message"] = {"role": "assistant", "content": f"{REASON}\n"}
            choices = [{**choice, "index": i} for i in range(body.get("n", 1))]
            usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
            return Reply({"id": "x", "model": "toy-2026-01-31", "choices": choices, "usage": usage})
        case _:
            return Reply({"error": {"message": f"Invalid URL {request.path}"}}, status=404)


THOUGHT = "it is said kindly"


def words(chat: Sequence[Mapping[str, str]], settings: Sequence[float]) -> str:
    """What is replied to a chat: a hash of it, of temperature, top-p and seed."""
    text = template(chat) + repr([float(value) for value in settings])
    return f"reply {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def replied(request: Request) -> Reply:
    """A chat's reply in OpenAI's format, or in Ollama's own; with a thought where it is wanted."""
    body, native = request.body, request.path == "/api/chat"
    settings = body["options"] if native else body
    text = words(body["messages"], [settings[k] for k in ("temperature", "top_p", "seed")])
    message = {"role": "assistant", "content": text}
    if native:
        thought = {"thinking": THOUGHT} if body["think"] else {}
        counts = {"prompt_eval_count": 7, "eval_count": 5, "done_reason": "stop"}
        return Reply({"model": body["model"], "message": message | thought, "done": True} | counts)
    if body.get("chat_template_kwargs", {}).get("enable_thinking"):
        message["reasoning_content"] = THOUGHT
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return Reply({"id": "x", "model": body["model"], "choices": [choice], "usage": usage})
