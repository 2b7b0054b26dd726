"""The kinds of servers, told apart by asking once."""

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
"""Who /v1/models says owns a model: these servers name themselves."""

_LATEST = ":latest"
_SHOWN = 8


def open_server(api: Api, name: str, kind: str | None) -> Server:
    """The server behind `api`, asked for the model `name`.

    Args:
        api: its address.
        name: the model as the server lists it; or as it was started, if it has no other.
        kind: a key of `SERVERS`; None to find out.

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
    if len(listed) == 1 and kind != "ollama" and name in _names(listed[0]):
        name = listed[0]["id"]
    if name not in offered and (offered or kind != "openai"):  # some list none, and have them
        shown = ", ".join(list(offered)[:_SHOWN]) + (", ..." if len(offered) > _SHOWN else "")
        raise EngineError(
            f"the server at {api.root} does not have the model {name}",
            hint=f"name one that it has: {shown}" if offered else "load a model into it",
        )
    return SERVERS[kind].open(api, name, offered.get(name, {}))


def _names(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Other names of the only model: what the server was started with."""
    return (model.get("root") or "", *model.get("aliases", ()))
