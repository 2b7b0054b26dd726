"""The kinds of servers, and how they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judge.engines.servers.api import Api
from judge.engines.servers.llama_cpp import LlamaCppServer
from judge.engines.servers.ollama import OllamaServer
from judge.engines.servers.openai import OpenAiServer
from judge.engines.servers.server import Server
from judge.engines.servers.sglang import SglangServer
from judge.engines.servers.vllm_server import VllmServer
from judge.errors import EngineError

__all__ = ["SERVERS", "open_server"]

SERVERS: Mapping[str, type[Server]] = {
    "vllm": VllmServer,
    "sglang": SglangServer,
    "llama.cpp": LlamaCppServer,
    "ollama": OllamaServer,
    "openai": OpenAiServer,
}

_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}
"""`owned_by` in /v1/models -> the kind: these servers put their own name there."""

_LATEST, _PREFIX = ":latest", "models/"
_MOST_NAMES_SHOWN = 8


def open_server(api: Api, name: str, kind: str | None) -> Server:
    """The server behind `api`, with its model `name`.

    Args:
        name: the model as the server lists it. If it lists only one, also the path or alias that
            the server was started with.
        kind: a key of `SERVERS`; None to find out by asking the server.

    Raises:
        EngineError: nothing answers, or the server does not have the model.
    """
    listed = _entries(api.get(f"{api.v1}/models"))
    told = kind is not None
    if kind is None:
        kind = next((_OWNERS[m["owned_by"]] for m in listed if m.get("owned_by") in _OWNERS), None)
    if kind is None:
        version = api.get("/api/version")
        kind = "ollama" if isinstance(version, dict) and version.get("version") else "openai"
    if kind == "ollama":
        models = (api.get("/api/tags") or {}).get("models") or []
        offered = {m["name"].removesuffix(_LATEST): m for m in models}
        name = name.removesuffix(_LATEST)
    else:
        offered = {m["id"]: m for m in listed}
    if len(listed) == 1 and kind != "ollama" and name in _other_names(listed[0]):
        name = listed[0]["id"]
    known = name in offered or f"{_PREFIX}{name}" in offered
    if not known and (offered or kind != "openai"):  # some gateways list no models
        names = list(offered)
        shown = ", ".join(names[:_MOST_NAMES_SHOWN] + ["..."] * (len(names) > _MOST_NAMES_SHOWN))
        raise EngineError(
            f"the server at {api.root} does not have the model {name}",
            hint=f"name one that it has: {shown}" if offered else "load a model into it",
        )
    server = SERVERS[kind].open(api, name, offered.get(name, {}))
    if server.can_tokenize():
        return server
    if told:
        raise EngineError(
            f"the server at {api.root} does not show its tokenizer, which --server {kind} needs",
            hint="a gateway hides it: ask with --server openai, or ask the server itself",
        )
    return OpenAiServer.open(api, name, {})


def _entries(found: Any) -> list[dict[str, Any]]:
    """The models that a server lists, in the shapes that servers have; empty without a list."""
    if isinstance(found, dict):
        found = found.get("data") or found.get("models")
    entries = [{"id": one} if isinstance(one, str) else one for one in found or ()]
    named = [{**one, "id": one.get("id") or one.get("name")} for one in entries]
    return [one for one in named if one["id"]]


def _other_names(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The path and the aliases that the server was started with."""
    return (model.get("root") or "", *model.get("aliases", ()))
