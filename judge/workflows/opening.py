"""Who judges, who plays and who asks on: models opened with the options that concern each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from judge.engines import (
    EMBEDDED,
    GGUF,
    LOCAL,
    SERVED,
    Engine,
    EngineOptions,
    JudgeSpec,
    default_judge,
    open_engine,
    own_options,
    refuse_unused,
    resolve_judge,
)
from judge.errors import UsageError
from judge.roleplay import Scene, SceneId, recorded_questions
from judge.scaleout import Cluster, RayTeam
from judge.tables import SUFFIXES

__all__ = [
    "REPLAY",
    "EngineKeywords",
    "JudgeChoice",
    "PlayKeywords",
    "PlayOptions",
    "Players",
    "WriterKeywords",
    "choose_judge",
    "choose_judge_beside",
    "engine_options",
    "is_model",
    "open_players",
    "playing_model",
    "refuse_play_options",
]

REPLAY = "replay:"
"""What stands before the system whose recorded second questions are asked."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DIALOGUE_FILES = {*SUFFIXES, ".gz"}


class EngineKeywords(TypedDict, total=False):
    """How a model is asked. None, or leaving a setting out, leaves the choice to the engine.

    `engine` names the program that asks the model, and `cluster` says where several workers do;
    see `judge.engines.EngineOptions` for the others.
    """

    engine: str | None
    cluster: Cluster | None
    batch_size: int | None
    seed: int
    device: str | None
    dtype: str | None
    quantization: str | None
    adapter: str | None
    tensor_parallel: int | None
    gpu_memory: float | None
    reproducible: bool | None
    trust_remote_code: bool | None
    base_url: str | None
    server: str | None
    concurrency: int | None
    samples: int | None
    retry_for: float | None
    accept_model_name: str | None


class PlayKeywords(TypedDict, total=False):
    """How a model plays; see `PlayOptions` for what each setting means and its default."""

    user: str | None
    model_url: str | None
    user_url: str | None
    questions: str | Path | None
    prompts: str
    play_language: str | None
    name: str | None
    temperature: float
    top_p: float
    max_tokens: int
    thinking: bool
    keep_loaded: bool
    rounds: int


class WriterKeywords(PlayKeywords, EngineKeywords, total=False):
    """Everything that can be said of models that play, and of how models are asked."""


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How a model plays the characters.

    Attributes:
        user: who asks on after the first answer: a model, `openai:NAME`, or `replay:SYSTEM` for
            the recorded questions to that system. None: the judge, if it is a language model.
        model_url, user_url: the servers of an `openai:` model and of an `openai:` user. None:
            `base_url`.
        questions: dialogues whose first questions are asked. None: the public ones.
        prompts: instructions for both sides: a shipped set or a folder.
        play_language: of the instructions. None: the first that they have.
        name: what to call the model. None: the last part of its own name.
        temperature: how freely both sides write; 0 always takes the most probable token.
        top_p: tokens are drawn from the most probable ones that together have this share.
        max_tokens: the longest reply.
        thinking: let models that can think do so before they reply.
        keep_loaded: hold the model and the user in memory at once.
        rounds: questions and answers of a dialogue, 1 or more.
    """

    user: str | None = None
    model_url: str | None = None
    user_url: str | None = None
    questions: str | Path | None = None
    prompts: str = "roleplay"
    play_language: str | None = None
    name: str | None = None
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 512
    thinking: bool = False
    keep_loaded: bool = False
    rounds: int = 2


class JudgeChoice(NamedTuple):
    """A judge that is not opened yet, the settings of its engine, and whether it was named."""

    spec: JudgeSpec
    options: EngineOptions
    named: bool
    cluster: Cluster | None = None

    def open(self) -> Engine:
        """Its engine; see `open_engine`."""
        return _open(self.spec, self.options, self.cluster)


class Players(NamedTuple):
    """The model that plays and what asks on: another one, the same one, or recorded questions."""

    model: Engine
    user: Engine | Mapping[SceneId, tuple[str, ...]]
    user_name: str


class _Writer(NamedTuple):
    spec: JudgeSpec
    options: EngineOptions

    def open(self, option: str, cluster: Cluster | None) -> Engine:
        opened = _open(self.spec, self.options, cluster)
        if not opened.can_generate:
            raise UsageError(
                f"{option} {self.spec.name} cannot write: it only reads labels",
                hint="choose a language model",
            )
        return opened


def engine_options(keywords: EngineKeywords) -> EngineOptions:
    """The settings of an engine, without its own name and its workers."""
    own = {k: v for k, v in keywords.items() if k not in {"engine", "cluster"}}
    return EngineOptions(**own)  # type: ignore[arg-type]


def _open(spec: JudgeSpec, options: EngineOptions, cluster: Cluster | None) -> Engine:
    """An engine in this process, or a team of workers. A server is asked from here in any case."""
    if cluster is None or spec.engine == "http":
        return open_engine(spec, options)
    refuse_unused(options, [spec])
    return RayTeam(spec, options, cluster)


def _refuse_idle_workers(cluster: Cluster | None, specs: Sequence[JudgeSpec]) -> None:
    """Refuse workers where every model is on a server.

    Raises:
        UsageError: so it is.
    """
    if cluster is not None and all(spec.engine == "http" for spec in specs):
        raise UsageError(
            "--workers have engines of their own, and every model here is on a server",
            hint="leave it out; --concurrency says how many requests a server gets at once",
        )


def is_model(name: str) -> bool:
    """Whether this names a model that can play, not a file or a folder of dialogues."""
    path = Path(name)
    if name.startswith(SERVED) or name.endswith(GGUF) or (path / "config.json").is_file():
        return True
    if name.startswith((".", "/", "~")) and path.suffix:
        return False
    hub_id = _HUB_ID.fullmatch(name) is not None and path.suffix.lower() not in _DIALOGUE_FILES
    return hub_id and not path.exists()


def playing_model(names: Sequence[str]) -> str | None:
    """The one of `names` that is a model that is to play, None for recorded dialogues.

    Raises:
        UsageError: several models.
    """
    live = [name for name in names if is_model(name)]
    if live and len(names) > 1:
        raise UsageError(
            f"--model {live[0]} is a model that plays, and it plays alone",
            hint="evaluate every model by itself; `judge leaderboard` puts them in one table",
        )
    return live[0] if live else None


def refuse_play_options(play: PlayKeywords, names: Sequence[str]) -> None:
    """Refuse options of playing for recorded dialogues, where they would mean nothing.

    Raises:
        UsageError: one was given.
    """
    for name in play:
        option = {"play_language": "play-lang"}.get(name, name.replace("_", "-"))
        shown = ", ".join(names) or "that was given"
        raise UsageError(
            f"--{option} goes with a model that plays, and --model {shown} is none",
            hint="leave it out; a model is a folder with a config.json, a hub id such as "
            "Qwen/Qwen3-8B, or openai:NAME",
        )


def choose_judge(name: str | None, keywords: EngineKeywords) -> JudgeChoice:
    """The judge of this name, or the default one.

    Raises:
        UsageError: an engine that cannot ask this judge, or a server and no model.
    """
    engine = keywords.get("engine")
    options = engine_options(keywords)
    if name is None and (options.base_url is not None or engine == "http"):
        raise UsageError(
            "a server is asked for one of its models, and --judge names none",
            hint="add --judge NAME, the name that the server has for the model",
        )
    spec = resolve_judge(name or default_judge(), engine, options.base_url, options.device)
    cluster = keywords.get("cluster")
    _refuse_idle_workers(cluster, [spec])
    return JudgeChoice(spec, options, name is not None, cluster)


def choose_judge_beside(
    name: str | None, keywords: EngineKeywords, model: str, playing: PlayOptions
) -> JudgeChoice:
    """The judge where `model` plays in the same command.

    `base_url` is the judge's unless a player needs it; a judge on the same server is named
    `openai:NAME`. `engine` is the judge's unless it cannot ask it and a player is local.

    Raises:
        UsageError: as `choose_judge`, or `samples` for a judge that is not on a server.
    """
    judge = name or default_judge()
    engine = keywords.get("engine")
    served = judge.startswith(SERVED)
    others = [(model, playing.model_url), (playing.user or REPLAY, playing.user_url)]
    needed = any(other.startswith(SERVED) and url is None for other, url in others)
    local = any(not other.startswith((SERVED, REPLAY)) for other, _ in others)
    cannot_write = judge in EMBEDDED and EMBEDDED[judge].engine not in LOCAL
    own = keywords.copy()
    own["cluster"] = None  # it may be for a player only
    if needed and not served and engine != "http":
        own["base_url"] = None
    if local and engine in LOCAL and (served or cannot_write):
        own["engine"] = None
    choice = choose_judge(name, own)
    judges = EngineOptions(samples=choice.options.samples, adapter=choice.options.adapter)
    refuse_unused(judges, [choice.spec])
    own_only = own_options(choice.spec, choice.options)
    return choice._replace(options=own_only, cluster=keywords.get("cluster"))


def open_players(
    model: str,
    playing: PlayOptions,
    keywords: EngineKeywords,
    judge: JudgeChoice | None,
    scenes: Sequence[Scene],
) -> Players:
    """The engines of those who play, nothing loaded yet.

    Args:
        model: a folder, a hub id or `openai:NAME`.
        playing: how it plays, and who asks on.
        keywords: how models are asked.
        judge: of the same command, if it has one: it is the user where none is named.

    Raises:
        UsageError: options that do not fit together, or that mean nothing to any model.
        EngineError: there is no such model.
    """
    options, engine, url = engine_options(keywords), keywords.get("engine"), playing.user_url
    cluster = keywords.get("cluster")
    if cluster is not None and playing.keep_loaded:
        raise UsageError("--keep-loaded: the workers have one model at a time", hint="leave it out")
    player = _writer(model, "--model", playing.model_url, engine, options)
    if playing.rounds < 1:
        raise UsageError(f"--rounds {playing.rounds}: there is at least 1", hint="leave it out")
    if playing.rounds == 1:
        if playing.user is not None or url is not None:
            raise UsageError(
                "--user asks from the second round on, and --rounds 1 has none", hint="leave it out"
            )
        _refuse_idle([player], judge, keywords)
        return Players(player.open("--model", cluster), {}, "nobody: one round")
    name = playing.user or _judge_as_user(judge)
    if name in {REPLAY, REPLAY.rstrip(":")}:
        raise UsageError(
            f"--user {name}: whose questions?", hint="name a system, such as --user replay:human"
        )
    if name.startswith(REPLAY):
        if url is not None:
            raise UsageError("--user-url goes with a user on a server", hint="leave it out")
        _refuse_idle([player], judge, keywords)
        questions = recorded_questions(scenes, name.removeprefix(REPLAY), playing.rounds)
        return Players(player.open("--model", cluster), questions, name)
    user = _writer(name, "--user", url, engine, options)
    _refuse_idle([player, user], judge, keywords)
    plays = player.open("--model", cluster)
    return Players(plays, plays if user == player else user.open("--user", cluster), name)


def _judge_as_user(judge: JudgeChoice | None) -> str:
    """The name of the judge as a model that can ask on."""
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
        return _Writer(spec, replace(own, base_url=address, samples=None, accept_model_name=None))
    if url is not None:
        raise UsageError(
            f"{option} {name} is no model on a server, so {option}-url means nothing",
            hint=f"leave it out, or name the model {SERVED}{name}",
        )
    if name in EMBEDDED:
        raise UsageError(
            f"{option} {name}: the embedded judges cannot write", hint="choose a language model"
        )
    spec = resolve_judge(name, engine if engine in LOCAL else None, device=options.device)
    return _Writer(spec, replace(own_options(spec, options), adapter=None))


def _refuse_idle(
    writers: Sequence[_Writer], judge: JudgeChoice | None, keywords: EngineKeywords
) -> None:
    """Refuse an engine or workers that ask none of the models, and options of none of them."""
    engine = keywords.get("engine")
    specs = [*(writer.spec for writer in writers), *([judge.spec] if judge else [])]
    _refuse_idle_workers(keywords.get("cluster"), specs)
    if engine is not None and engine not in {spec.engine for spec in specs}:
        raise UsageError(
            f"--engine {engine} asks none of {', '.join(dict.fromkeys(s.name for s in specs))}",
            hint="leave it out; models on this machine are asked by hf or vllm",
        )
    options = engine_options(keywords)
    if judge is None and options.adapter is not None:
        raise UsageError(
            "--adapter is of a judge, and nothing is judged here",
            hint="leave it out, or merge the adapter into the model that plays",
        )
    refuse_unused(replace(options, samples=None, adapter=None), specs)
