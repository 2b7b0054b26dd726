"""Who judges, who plays and who asks on: each gets the options that mean something to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from judge.cli.engine import Chosen, chosen_judge, options_of
from judge.cli.playing import REPLAY
from judge.engines import (
    EMBEDDED,
    SERVED,
    Engine,
    EngineOptions,
    JudgeSpec,
    default_judge,
    open_engine,
    own_options,
    refuse_useless,
    resolve_judge,
)
from judge.errors import UsageError
from judge.roleplay import Scene, SceneId, recorded_questions

__all__ = ["Players", "judge_beside", "players"]

_LOCAL = ("hf", "hf-naive", "vllm")
"""The engines that ask a model in this process."""


class Players(NamedTuple):
    """The model that plays and what asks on: another one, the same one, or recorded questions."""

    model: Engine
    user: Engine | Mapping[SceneId, str]
    user_name: str


class _Writer(NamedTuple):
    spec: JudgeSpec
    options: EngineOptions

    def open(self, option: str) -> Engine:
        opened = open_engine(self.spec, self.options)
        if not opened.capabilities.generate:
            raise UsageError(
                f"{option} {self.spec.name} cannot write: it only reads labels",
                hint="choose a language model",
            )
        return opened


def judge_beside(engine: Mapping[str, Any], model: str, playing: Mapping[str, Any]) -> Chosen:
    """The judge of a command in which `model` plays.

    `--base-url` is the judge's unless a player needs it; a judge on the same server is named
    `openai:NAME`. `--engine` is the judge's unless it cannot ask it, and there is a local player.

    Args:
        engine: what `engine_options` collected.
        model: plays.
        playing: what `play_options` collected.

    Raises:
        UsageError: as `chosen_judge`, or `--samples` for a judge that is not on a server.
    """
    name = engine["judge"] or default_judge()
    served = name.startswith(SERVED)
    others = [(model, playing["model_url"]), (playing["user"] or REPLAY, playing["user_url"])]
    needed = any(other.startswith(SERVED) and url is None for other, url in others)
    local = any(not other.startswith((SERVED, REPLAY)) for other, _ in others)
    wordless = name in EMBEDDED and EMBEDDED[name].engine not in _LOCAL
    changes: dict[str, None] = {}
    if needed and not served and engine["engine"] != "http":
        changes["base_url"] = None
    if local and engine["engine"] in _LOCAL and (served or wordless):
        changes["engine"] = None
    asked = chosen_judge({**engine, **changes})
    refuse_useless(EngineOptions(samples=asked.options.samples), [asked.spec])
    return asked._replace(options=own_options(asked.spec, asked.options))


def players(
    model: str,
    playing: Mapping[str, Any],
    engine: Mapping[str, Any],
    judge: Chosen | None,
    scenes: Sequence[Scene],
) -> Players:
    """The engines of those who play, nothing loaded yet.

    Args:
        model: a folder, a hub id or openai:NAME.
        playing: what `play_options` collected.
        engine: what `engine_options` or `model_options` collected.
        judge: of the same command, if it has one: it is the user where none is named.
        scenes: what is to be played.

    Raises:
        UsageError: options that do not fit together, or that mean nothing to anybody.
        EngineError: there is no such model.
    """
    options, url = options_of(engine), playing["user_url"]
    player = _writer(model, "--model", playing["model_url"], engine["engine"], options)
    name = playing["user"] or _as_user(judge)
    if name in {REPLAY, REPLAY.rstrip(":")}:
        raise UsageError(
            f"--user {name}: whose questions?", hint="name a system, such as --user replay:human"
        )
    if name.startswith(REPLAY):
        if url is not None:
            raise UsageError("--user-url goes with a user on a server", hint="leave it out")
        _refuse_idle([player], judge, engine["engine"], options)
        return Players(
            player.open("--model"), recorded_questions(scenes, name.removeprefix(REPLAY)), name
        )
    user = _writer(name, "--user", url, engine["engine"], options)
    _refuse_idle([player, user], judge, engine["engine"], options)
    plays = player.open("--model")
    return Players(plays, plays if user == player else user.open("--user"), name)


def _as_user(judge: Chosen | None) -> str:
    """The judge as a model that can ask on."""
    if judge is None or judge.spec.name in EMBEDDED or judge.spec.engine == "lexical":
        raise UsageError(
            "somebody has to ask on after the first answer"
            + (", and this judge cannot write" if judge else ""),
            hint="add --user MODEL, or --user replay:SYSTEM for recorded questions",
        )
    return f"{SERVED}{judge.spec.model}" if judge.spec.engine == "http" else judge.spec.model


def _writer(
    name: str, option: str, url: str | None, engine: str | None, options: EngineOptions
) -> _Writer:
    if name.startswith(SERVED):
        spec = resolve_judge(name)
        address = url or options.base_url
        if address is None:
            raise UsageError(
                f"{option} {name} is on a server, and no address was given",
                hint="add --base-url http://localhost:8000/v1",
            )
        own = own_options(spec, options)
        return _Writer(spec, replace(own, base_url=address, samples=None))
    if url is not None:
        raise UsageError(
            f"{option} {name} is no model on a server, so {option}-url means nothing",
            hint=f"leave it out, or name the model {SERVED}{name}",
        )
    if name in EMBEDDED:
        raise UsageError(
            f"{option} {name}: the embedded judges cannot write", hint="choose a language model"
        )
    spec = resolve_judge(name, engine if engine in _LOCAL else None)
    return _Writer(spec, own_options(spec, options))


def _refuse_idle(
    writers: Sequence[_Writer], judge: Chosen | None, engine: str | None, options: EngineOptions
) -> None:
    """Refuse an engine that asks none of the models, and options that mean nothing to any."""
    specs = [*(writer.spec for writer in writers), *([judge.spec] if judge else [])]
    if engine is not None and engine not in {spec.engine for spec in specs}:
        raise UsageError(
            f"--engine {engine} asks none of {', '.join(dict.fromkeys(s.name for s in specs))}",
            hint="leave it out; models in this process are asked by hf or vllm",
        )
    refuse_useless(replace(options, samples=None), specs)
