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

_LATEST = ":latest"
_MOST_NAMES_SHOWN = 8


def open_server(api: Api, name: str, kind: str | None) -> Server:
    """The server behind `api`, with its model `name`.

    Args:
        api: the server.
        name: the model as the server lists it. If it lists only one, also the path or alias that
            the server was started with.
        kind: a key of `SERVERS`; None to find out by asking the server.

    Raises:
        EngineError: nothing answers, or the server does not have the model.
    """
    listed = (api.get(f"{api.v1}/models") or {}).get("data") or []
    if kind is None:
        kind = next((_OWNERS[m["owned_by"]] for m in listed if m.get("owned_by") in _OWNERS), None)
    if kind is None:
        kind = "ollama" if (api.get("/api/version") or {}).get("version") else "openai"
    if kind == "ollama":
        models = (api.get("/api/tags") or {}).get("models") or []
        offered = {m["name"].removesuffix(_LATEST): m for m in models}
        name = name.removesuffix(_LATEST)
    else:
        offered = {m["id"]: m for m in listed}
    if len(listed) == 1 and kind != "ollama" and name in _other_names(listed[0]):
        name = listed[0]["id"]
    if name not in offered and (offered or kind != "openai"):  # some gateways list no models
        names = list(offered)
        shown = ", ".join(names[:_MOST_NAMES_SHOWN] + ["..."] * (len(names) > _MOST_NAMES_SHOWN))
        raise EngineError(
            f"the server at {api.root} does not have the model {name}",
            hint=f"name one that it has: {shown}" if offered else "load a model into it",
        )
    return SERVERS[kind].open(api, name, offered.get(name, {}))


def _other_names(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The path and the aliases that the server was started with."""
    return (model.get("root") or "", *model.get("aliases", ()))
