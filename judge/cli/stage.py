"""A model made ready to play, and the playing itself with its progress shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from judge.chatanime import data_root
from judge.cli.casting import players
from judge.cli.engine import Chosen
from judge.cli.progress import Progress
from judge.dialogues import DialogueSet, read_dialogues, select
from judge.engines import SERVED
from judge.errors import DataError, EngineError, UsageError
from judge.records import write_text
from judge.roleplay import (
    Cast,
    Part,
    PlayingSummary,
    Scene,
    Transcript,
    load_prompts,
    play,
    played_dialogues,
    scenes_from_dialogues,
    summarize_playing,
    unanswered_dialogues,
)
from judge.roleplay.playing_summary import PART_TITLES, write_playing_summary
from judge.types import Dialogue, Sampling

__all__ = ["Stage", "stage"]


class Stage(NamedTuple):
    """A model that is ready to play: call `perform`.

    Attributes:
        system: its name.
        chosen: what it is to play.
        everything: what there is to play.
        recorded: the dialogues that have the questions.
        cast: who plays, and how.
        names: the model and the user as they were named.
    """

    system: str
    chosen: tuple[Scene, ...]
    everything: tuple[Scene, ...]
    recorded: tuple[Dialogue, ...]
    cast: Cast
    names: Mapping[str, str]

    @property
    def blanks(self) -> tuple[Dialogue, ...]:
        """The scenes as dialogues without an answer."""
        return tuple(unanswered_dialogues(self.system, self.chosen))

    @property
    def whole(self) -> bool:
        """Whether no scenario of the chosen characters is left out."""
        of_them = {scene.character for scene in self.chosen}
        return len(self.chosen) == sum(s.character in of_them for s in self.everything)

    def perform(self, folder: Path) -> tuple[DialogueSet, PlayingSummary]:
        """Play what is not played yet.

        All that was ever played in the folder is in `dialogues.jsonl` and in what is said of it.

        Returns:
            The dialogues of the chosen scenes that were played to their end, and how it went.

        Raises:
            RunMismatchError: the folder holds what another model played.
            EngineError: a model cannot be asked.
            StoreError: the folder cannot be written.
        """
        with Transcript(folder) as transcript:
            with ExitStack() as shown:
                bars: dict[Part, Progress] = {}

                def progress(part: Part, done: int, total: int) -> None:
                    if part not in bars:
                        shown.close()
                        bars[part] = shown.enter_context(Progress(PART_TITLES[part]))
                    bars[part](done, total)

                play(self.chosen, self.cast, transcript, progress)
            found = played_dialogues(self.system, transcript)
            replay = isinstance(self.cast.user, Mapping)
            played = summarize_playing(
                self.system,
                self._facts(),
                transcript,
                self.cast.prompts,
                None if replay else self.recorded,
            )
        places = [scene.id for scene in self.everything]
        others = sorted(found.keys() - set(places))
        text = _jsonl(found[at] for at in [*places, *others] if at in found)
        write_text(folder / "dialogues.jsonl", text)
        write_playing_summary(folder, played)
        chosen = tuple(found[scene.id] for scene in self.chosen if scene.id in found)
        if not chosen:
            raise EngineError(
                "not one scene was played to its end",
                path=folder,
                hint="choose other scenes, or another --user",
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        return DialogueSet(chosen, {self.system: digest}), played

    def _facts(self) -> dict[str, str]:
        cast, prompts = self.cast, self.cast.prompts
        facts = {**self.names, "model fingerprint": cast.model.fingerprint}
        if not isinstance(cast.user, Mapping):
            facts["user fingerprint"] = cast.user.fingerprint
        facts["prompts"] = f"{prompts.name} {prompts.version} {prompts.language}"
        facts["prompts hash"] = prompts.hash
        return facts | {
            name.replace("_", " "): str(value) for name, value in asdict(cast.sampling).items()
        }


def stage(
    model: str,
    playing: Mapping[str, Any],
    engine: Mapping[str, Any],
    judge: Chosen | None,
    *,
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
) -> Stage:
    """Everything that is needed to let `model` play; it and the user are there, but not loaded.

    Args:
        model: a folder, a hub id or openai:NAME.
        playing: what `play_options` collected.
        engine: what `engine_options` or `model_options` collected.
        judge: of the same command, if it has one.
        characters, scenarios, limit: see `select`.

    Raises:
        UsageError: options that do not fit together or select nothing.
        DataError: the questions cannot be read.
        RubricError: the instructions cannot be used.
        EngineError: a model cannot be found.
    """
    prompts = load_prompts(playing["prompts"], playing["language"])
    recorded = _questions(playing["questions"])
    everything = scenes_from_dialogues(recorded)
    system = _name(model, playing["system"])
    asked = select(
        unanswered_dialogues(system, everything),
        characters=characters,
        scenarios=scenarios,
        limit=limit,
    )
    of_place = {scene.id: scene for scene in everything}
    chosen = tuple(of_place[d.character, d.scenario] for d in asked)
    found = players(model, playing, engine, judge, chosen)
    for one in (found.model, found.user):
        if not isinstance(one, Mapping):
            one.describe()  # a model that is not there is told of now, not after hours
    sampling = Sampling(
        max_tokens=playing["max_tokens"],
        temperature=playing["temperature"],
        top_p=playing["top_p"],
        seed=engine["seed"],
        thinking=playing["thinking"],
    )
    cast = Cast(
        model=found.model,
        user=found.user,
        prompts=prompts,
        sampling=sampling,
        user_sampling=sampling,
        keep_loaded=playing["keep_loaded"],
    )
    names = {"model": model, "user": found.user_name}
    return Stage(system, chosen, everything, recorded, cast, names)


def _name(model: str, given: str | None) -> str:
    """What the model is called: the last part of its name, or of the folder that it is in."""
    if given is None:
        served = model.startswith(SERVED)
        last = Path(model.removeprefix(SERVED) if served else Path(model).resolve()).name
        return last or model
    if not given.strip():
        raise UsageError("--name: it is empty", hint="leave it out, or give the model a name")
    return given.strip()


def _questions(asked: Path | None) -> tuple[Dialogue, ...]:
    folder = asked or data_root() / "chatanime"
    if asked is None and not folder.is_dir():
        raise DataError(
            "the questions come from the public dialogues, and these are not here",
            path=folder,
            hint="judge data fetch gets them; or name dialogues of your own with --questions",
        )
    return read_dialogues(folder).dialogues


def _jsonl(found: Iterable[Dialogue]) -> str:
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
