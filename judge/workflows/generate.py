"""Let a model play the characters, and keep what was said."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

from judge import manifest as manifests
from judge.chatanime import data_root
from judge.dialogues import DialogueSet, select
from judge.engines import SERVED
from judge.errors import DataError, EngineError, RunMismatchError, UsageError
from judge.manifest import Manifest
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
from judge.roleplay.playing_summary import part_title, read_playing_summary, write_playing_summary
from judge.runs import show_frame
from judge.store import only_writer
from judge.types import Dialogue, Sampling
from judge.workflows import Progress, no_progress
from judge.workflows.inputs import PLAYED, dialogue_lines, read_dialogues
from judge.workflows.opening import (
    EngineKeywords,
    JudgeChoice,
    PlayKeywords,
    PlayOptions,
    WriterKeywords,
    is_model,
    open_players,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Generation", "Stage", "generate", "prepare_stage", "refuse_recorded", "split_keywords"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model played.

    Attributes:
        folder: the run folder.
        path: its file dialogues.jsonl, which has all that was ever played in the folder.
        dialogues: those of the scenes that were asked for.
        played: counts of all that was played in the folder, and what was amiss.
    """

    folder: Path
    path: Path
    dialogues: tuple[Dialogue, ...] = field(repr=False)
    played: PlayingSummary = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """One row for each round: system, character, scenario, round, question, answer."""
        return DialogueSet(self.dialogues, {}).to_frame()

    def _repr_html_(self) -> str:
        return show_frame(self.to_frame(), "; ".join(self.played.lines()))


class Stage(NamedTuple):
    """A model that is ready to play.

    Attributes:
        system: its name.
        chosen: the scenes that it is to play.
        everything: the scenes that there are.
        recorded: the dialogues that the questions come from.
        names: the model and the user as they were named, and what the questions are of.
    """

    system: str
    chosen: tuple[Scene, ...]
    everything: tuple[Scene, ...]
    recorded: tuple[Dialogue, ...]
    cast: Cast
    names: Mapping[str, str]

    @property
    def unanswered(self) -> tuple[Dialogue, ...]:
        """The scenes as dialogues without an answer."""
        return tuple(unanswered_dialogues(self.system, self.chosen))

    @property
    def complete(self) -> bool:
        """Whether no scenario of the chosen characters is left out."""
        characters = {scene.character for scene in self.chosen}
        return len(self.chosen) == sum(s.character in characters for s in self.everything)

    def perform(
        self, folder: Path, progress: Progress, *, retry_failed: bool = False
    ) -> tuple[DialogueSet, PlayingSummary, int]:
        """Play what is not played yet.

        All that was ever played in the folder is in its dialogues.jsonl and played.json.

        Returns:
            The dialogues of the chosen scenes that were played to their end, how it went, and how
            many lines are missing because a server was in trouble.

        Raises:
            RunMismatchError: the folder holds what another model played.
            EngineError: a model cannot be asked.
            StoreError: the folder cannot be written.
        """

        def tell(part: Part, done: int, total: int) -> None:
            progress(part_title(part), done, total)

        _log.info("questions: %s", self.names["questions"])
        before = read_playing_summary(folder)  # its dialogues may have been judged
        rounds = str(self.cast.rounds)
        if before is not None and before.facts.get("rounds", "2") != rounds:
            raise RunMismatchError(
                f"its dialogues have --rounds {before.facts.get('rounds', '2')}, not {rounds}",
                path=folder,
                hint="choose another --out",
            )
        with Transcript(folder) as transcript:
            play(self.chosen, self.cast, transcript, tell, retry_failed=retry_failed)
            ended = played_dialogues(self.system, transcript, self.cast.rounds)
            unsettled = transcript.unsettled()
            replay = isinstance(self.cast.user, Mapping)
            played = summarize_playing(
                self.system,
                self._facts(),
                transcript,
                self.cast.prompts,
                None if replay else self.recorded,
                self.cast.rounds,
            )
        known = [scene.id for scene in self.everything]
        others = sorted(ended.keys() - set(known))
        text = dialogue_lines(ended[key] for key in [*known, *others] if key in ended)
        write_text(folder / PLAYED, text)
        write_playing_summary(folder, played)
        chosen = tuple(ended[scene.id] for scene in self.chosen if scene.id in ended)
        if not chosen:
            raise EngineError(
                "not one scene was played to its end",
                path=folder,
                hint="choose other scenes, or another --user",
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        return DialogueSet(chosen, {self.system: digest}), played, unsettled

    def _facts(self) -> dict[str, str]:
        cast, prompts = self.cast, self.cast.prompts
        facts = {**self.names, "model fingerprint": cast.model.fingerprint}
        if not isinstance(cast.user, Mapping):
            facts["user fingerprint"] = cast.user.fingerprint
        facts["prompts"] = f"{prompts.name} {prompts.version} {prompts.language}"
        facts |= {"prompts hash": prompts.hash, "rounds": str(cast.rounds)}
        return facts | {
            name.replace("_", " "): str(value) for name, value in asdict(cast.sampling).items()
        }


def generate(
    model: str | Path,
    *,
    characters_file: str | Path | None = None,
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
    out: str | Path | None = None,
    retry_failed: bool = False,
    progress: Progress = no_progress,
    **options: Unpack[WriterKeywords],
) -> Generation:
    """Let a model play every character in every scenario, two rounds unless `rounds` says more.

    What is in the run folder already is not written again.

    Args:
        model: a model folder, a hub id such as `Qwen/Qwen3-8B`, or `openai:NAME` on a server.
        characters_file: profiles of the characters that replace those of the instructions.
        characters: only these: names, or parts that fit one name only.
        scenarios: only these, such as `["1-12", "15"]`.
        limit: play at most so many scenes, spread over the characters.
        out: the run folder; None for `runs/MODEL`.
        retry_failed: write again every line that failed before, not only those that failed because
            a server was in trouble.
        progress: told of every batch.
        **options: who asks on, how freely is written, and how models are asked: see `PlayOptions`
            and `judge.engines.EngineOptions`.

    Raises:
        UsageError: this is no model, or options do not fit together or select nothing.
        DataError: the questions cannot be read.
        EngineError: a model cannot be found or asked.
        RunMismatchError: the folder holds what another model played.
    """
    if not is_model(str(model)):
        raise UsageError(
            f"--model {model}: neither a model folder, nor a hub id, a GGUF file or openai:NAME",
            hint="a model folder has a config.json; recorded dialogues are judged by `judge eval`",
        )
    engine, play_keywords = split_keywords(options)
    stage = prepare_stage(
        str(model),
        PlayOptions(**play_keywords),
        engine,
        None,
        characters_file=characters_file,
        characters=characters,
        scenarios=scenarios,
        limit=limit,
        seed=engine.get("seed", 0),
    )
    folder = Path("runs") / stage.system if out is None else Path(out)
    _log.info("%s plays %d scenes, run folder %s", stage.system, len(stage.chosen), folder)
    with only_writer(folder):
        chosen, played, unsettled = stage.perform(folder, progress, retry_failed=retry_failed)
    if unsettled:
        _log.info("%d lines may succeed now: the same command asks for them again", unsettled)
    return Generation(folder, folder / PLAYED, chosen.dialogues, played)


def split_keywords(options: WriterKeywords) -> tuple[EngineKeywords, PlayKeywords]:
    """The keywords about engines, and those about playing.

    Raises:
        TypeError: a keyword that is neither.
    """
    unknown = options.keys() - EngineKeywords.__annotations__.keys() - _PLAY
    if unknown:
        raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
    engine = EngineKeywords(**{k: v for k, v in options.items() if k not in _PLAY})  # type: ignore[typeddict-item]
    return engine, PlayKeywords(**{k: v for k, v in options.items() if k in _PLAY})  # type: ignore[typeddict-item]


_PLAY = PlayKeywords.__annotations__.keys()


def prepare_stage(
    model: str,
    playing: PlayOptions,
    engine: EngineKeywords,
    judge: JudgeChoice | None,
    *,
    characters_file: str | Path | None = None,
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
) -> Stage:
    """Everything that is needed to let `model` play; no model is loaded yet.

    Args:
        model: a folder, a hub id or `openai:NAME`.
        playing: how it plays, and who asks on.
        judge: of the same command, if it has one.
        characters_file: profiles that replace those of the instructions.
        characters, scenarios, limit, seed: see `select`.

    Raises:
        UsageError: options that do not fit together or select nothing.
        DataError: the questions cannot be read.
        RubricError: the instructions cannot be used.
        EngineError: a model cannot be found.
    """
    missing = not model.startswith(SERVED) and not Path(model).exists()
    if missing:
        _log.info("note: %s: no such file or folder, so it is taken for a model of the hub", model)
    prompts = load_prompts(playing.prompts, playing.play_language, characters_file, playing.rounds)
    place, recorded = _questions(playing.questions, model if missing else "")
    everything = scenes_from_dialogues(recorded)
    system = _system_name(model, playing.name)
    wanted = select(
        unanswered_dialogues(system, everything),
        characters=characters,
        scenarios=scenarios,
        limit=limit,
        seed=seed,
    )
    scene_of = {scene.id: scene for scene in everything}
    chosen = tuple(scene_of[d.character, d.scenario] for d in wanted)
    players = open_players(model, playing, engine, judge, chosen)
    for player in (players.model, players.user):
        if not isinstance(player, Mapping):
            player.describe()  # a model that is not there is told of now, not after hours
    sampling = Sampling(
        max_tokens=playing.max_tokens,
        temperature=playing.temperature,
        top_p=playing.top_p,
        seed=engine.get("seed", 0),
        thinking=playing.thinking,
    )
    cast = Cast(
        model=players.model,
        user=players.user,
        prompts=prompts,
        sampling=sampling,
        user_sampling=sampling,
        keep_loaded=playing.keep_loaded,
        rounds=playing.rounds,
    )
    digest = hashlib.sha256(dialogue_lines(recorded).encode()).hexdigest()
    questions = f"{len(recorded)} dialogues of {place} (SHA-256 {digest[:16]})"
    names = {"model": model, "user": players.user_name, "questions": questions}
    return Stage(system, chosen, everything, recorded, cast, names)


def refuse_recorded(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder in which what is played now could not be judged.

    Raises:
        RunMismatchError: it was made with another judge or rubric, or of recorded dialogues.
    """
    there = manifests.read(folder)
    if there is None:
        return
    manifests.refuse_mismatch(folder, there, manifest)
    recorded = [] if (folder / "play.sqlite").is_file() else there.data.keys() & manifest.data
    if recorded:
        raise RunMismatchError(
            f"the {' and '.join(recorded)} of this run was recorded, not played",
            path=folder,
            hint="choose another --out, or another --name for the model",
        )


def _system_name(model: str, given: str | None) -> str:
    """What the model is called: the last part of its name, or of the folder that it is in."""
    if given is None:
        served = model.startswith(SERVED)
        last = Path(model.removeprefix(SERVED) if served else Path(model).resolve()).name
        return last or model
    if not given.strip():
        raise UsageError("--name: it is empty", hint="leave it out, or give the model a name")
    return given.strip()


def _questions(source: str | Path | None, missing: str) -> tuple[Path, tuple[Dialogue, ...]]:
    """Where the questions are, and their dialogues; `missing` names a model that is no path."""
    folder = data_root() / "chatanime" if source is None else Path(source)
    if source is None and not folder.is_dir():
        why = "the questions come from the public dialogues, and these are not here"
        hint = "judge data fetch gets them; or name dialogues of your own with --questions"
        if missing:
            raise UsageError(
                f"--model {missing}: no such file or folder. As a model of the hub it would have "
                f"to play, and {why} ({folder})",
                hint=f"check the path for typos; to let a model play, {hint}",
            )
        raise DataError(why, path=folder, hint=hint)
    return folder, read_dialogues(folder).dialogues
