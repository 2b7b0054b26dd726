"""A model made ready to play, and the playing itself with its progress shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from judge.cli.playing import REPLAY, SERVED
from judge.cli.progress import Progress
from judge.data import data_root
from judge.dialogues import DialogueSet, read_dialogues, select
from judge.engines import Engine, EngineOptions, open_engine, resolve_judge
from judge.errors import DataError, UsageError
from judge.files import write_text
from judge.played import Played
from judge.played import write as write_played
from judge.roleplay import (
    PARTS,
    Cast,
    Part,
    Place,
    Plays,
    Scene,
    blanks,
    dialogues,
    load_prompts,
    place,
    play,
    replayed,
    review,
    scenes,
)
from judge.types import Dialogue, Sampling

__all__ = ["Stage", "stage"]

_DOING: Mapping[Part, str] = {
    "answer1": "first answers",
    "question2": "second questions",
    "answer2": "second answers",
}


class Stage(NamedTuple):
    """A model that is ready to play: call `perform`.

    `whole` says whether no scenario of its characters is left out.
    """

    system: str
    chosen: tuple[Scene, ...]
    recorded: tuple[Dialogue, ...]
    cast: Cast
    facts: Mapping[str, str]
    whole: bool

    @property
    def blanks(self) -> tuple[Dialogue, ...]:
        """The scenes as dialogues without an answer."""
        return tuple(blanks(self.system, self.chosen))

    def perform(self, folder: Path) -> tuple[DialogueSet, Played]:
        """Play what is not played yet; the dialogues, also kept as `dialogues.jsonl`.

        Raises:
            RunMismatchError: the folder holds what another model played.
            EngineError: a model cannot be asked.
            StoreError: the folder cannot be written.
        """
        recorded = self.cast.user if isinstance(self.cast.user, Mapping) else None
        with Plays(folder) as plays:
            bars: dict[Part, Progress] = {}

            def progress(part: Part, done: int, total: int) -> None:
                if part not in bars:
                    for bar in bars.values():
                        bar.__exit__(None, None, None)
                    bars[part] = Progress(_DOING[part]).__enter__()
                bars[part](done, total)

            try:
                play(self.chosen, self.cast, plays, progress)
            finally:
                for bar in bars.values():
                    bar.__exit__(None, None, None)
            found, broken = dialogues(self.system, self.chosen, plays, recorded)
            lines = {part: plays.lines(part) for part in PARTS}
            spent = {part: plays.spent(part) for part in PARTS}
        text = _jsonl(found)
        write_text(folder / "dialogues.jsonl", text)
        played = review(
            self.system,
            self.facts,
            self.chosen,
            found,
            lines,
            spent,
            self.cast.prompts,
            recorded=() if recorded is not None else self.recorded,
            broken=len(broken),
        )
        write_played(folder, played)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return DialogueSet(found, {self.system: digest}), played


def stage(
    model: str,
    playing: Mapping[str, Any],
    options: EngineOptions,
    engine: str | None,
    default_user: str | None,
    *,
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
) -> Stage:
    """Everything that is needed to let `model` play.

    Args:
        model: a folder, a hub id or openai:NAME.
        playing: what `play_options` collected.
        options: of the engines; those of a server go to models on one, the others to the others.
        engine: the program that asks local models, if it was named.
        default_user: a model that can write, to be the user where none is named.
        characters, scenarios, limit: see `select`.

    Raises:
        UsageError: options that do not fit together or select nothing.
        DataError: the questions cannot be read.
        EngineError: a model cannot be found.
    """
    prompts = load_prompts(playing["prompts"], playing["language"])
    recorded = _questions(playing["questions"])
    everything = scenes(recorded)
    system = playing["system"] or Path(model.removeprefix(SERVED)).resolve().name
    if not system.strip():
        raise UsageError(f"--model {model}: it has no name", hint="give it one with --name")
    asked = select(
        blanks(system, everything), characters=characters, scenarios=scenarios, limit=limit
    )
    of_place = {place(scene): scene for scene in everything}
    chosen = tuple(of_place[d.character, d.scenario] for d in asked)
    player = _open(model, engine, options, playing["model_url"], "--model")
    user_name = playing["user"] or default_user
    user = _user(user_name, model, player, chosen, playing, options, engine)
    sampling = Sampling(
        max_tokens=playing["max_tokens"],
        temperature=playing["temperature"],
        top_p=playing["top_p"],
        seed=options.seed,
        thinking=playing["thinking"],
    )
    cast = Cast(
        model=player,
        user=user,
        prompts=prompts,
        sampling=sampling,
        user_sampling=sampling,
        keep_loaded=playing["keep_loaded"],
    )
    told = {f"model {key}": text for key, text in player.describe().items()}
    if not isinstance(user, Mapping):
        told |= {f"user {key}": text for key, text in user.describe().items()}
    facts = {
        "model": model,
        "model fingerprint": player.fingerprint,
        "user": str(user_name),
        **told,
        "prompts": f"{prompts.name} {prompts.version} {prompts.language} {prompts.hash[:8]}",
        **{key.replace("_", " "): str(value) for key, value in asdict(sampling).items()},
    }
    of_them = {scene.character for scene in chosen}
    whole = len(chosen) == sum(scene.character in of_them for scene in everything)
    return Stage(system, chosen, recorded, cast, facts, whole)


def _questions(asked: Path | None) -> tuple[Dialogue, ...]:
    folder = asked or data_root() / "chatanime"
    if asked is None and not folder.is_dir():
        raise DataError(
            "the questions come from the public dialogues, and these are not here",
            path=folder,
            hint="judge data fetch gets them; or name dialogues of your own with --questions",
        )
    return read_dialogues(folder).dialogues


def _user(
    name: str | None,
    model: str,
    player: Engine,
    chosen: Sequence[Scene],
    playing: Mapping[str, Any],
    options: EngineOptions,
    engine: str | None,
) -> Engine | Mapping[Place, str]:
    if name is None:
        raise UsageError(
            "somebody has to ask on after the first answer, and this judge cannot write",
            hint="add --user MODEL, or --user replay:SYSTEM for recorded questions",
        )
    if name == REPLAY.rstrip(":"):
        raise UsageError(
            "--user replay: whose questions?", hint="name a system, such as --user replay:human"
        )
    if name.startswith(REPLAY):
        return replayed(chosen, name.removeprefix(REPLAY))
    url, user_url = playing["model_url"], playing["user_url"]
    if name == model and (user_url is None or user_url == url):
        return player
    return _open(name, engine, options, user_url, "--user")


def _open(
    name: str, engine: str | None, options: EngineOptions, url: str | None, option: str
) -> Engine:
    """The engine of a model that writes."""
    if name.startswith(SERVED):
        options = EngineOptions(
            batch_size=options.batch_size,
            seed=options.seed,
            base_url=url or options.base_url,
            server=options.server,
            concurrency=options.concurrency,
        )
        spec = resolve_judge(name.removeprefix(SERVED), "http", options.base_url)
        if options.base_url is None:
            raise UsageError(
                f"{option} {name} is on a server, and no address was given",
                hint="add --base-url http://localhost:8000/v1",
            )
    else:
        if url is not None:
            raise UsageError(
                f"{option} {name} is no model on a server, so {option}-url means nothing",
                hint=f"leave it out, or name the model {SERVED}{name}",
            )
        options = replace(options, base_url=None, server=None, concurrency=None, samples=None)
        local = engine if engine in {"hf", "hf-naive", "vllm"} else None
        spec = resolve_judge(name, local)
    opened = open_engine(spec, options)
    if not opened.capabilities.generate:
        raise UsageError(
            f"{option} {name} cannot write: it only reads labels",
            hint="choose a language model",
        )
    return opened


def _jsonl(found: Sequence[Dialogue]) -> str:
    rows = [
        {
            "system": d.system,
            "character": d.character,
            "scenario": d.scenario,
            "round": number,
            "question": turn.question,
            "answer": turn.answer,
        }
        for d in found
        for number, turn in enumerate(d.turns, start=1)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
