"""Playing: a model answers as a character, the user asks again, and the model answers again.

All first answers are written first, then all second questions, and so on, so that only one of the
two models has to be in memory at a time. What is written does not depend on where
playing was interrupted: batches are cut from all scenes, not from the unfinished ones, and the
random draws of a reply depend on its chat alone. Replies of a server are stored one by one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile

from judge.engines.chat import seeds_of
from judge.engines.interface import Batch, Engine, OneByOne
from judge.errors import DataError, EngineError, RunMismatchError, UsageError
from judge.pipeline import run_batches
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.transcript import Part, SceneId, Transcript, TranscriptLine, round_of
from judge.types import Character, Dialogue, Failure, Message, Reply, Sampling, Turn

__all__ = [
    "Cast",
    "PlayingProgress",
    "Scene",
    "parts_of",
    "play",
    "played_dialogues",
    "recorded_questions",
    "scenes_from_dialogues",
    "unanswered_dialogues",
]

Chat = Sequence[Message]
PlayingProgress = Callable[[Part, int, int], None]
"""Called with (part, lines written, lines in all) at the start of a part and after every batch."""


def parts_of(rounds: int) -> tuple[Part, ...]:
    """What models write in dialogues of so many rounds, in the order in which it is written."""
    later = (f"{what}{n}" for n in range(2, rounds + 1) for what in ("question", "answer"))
    return ("answer1", *later)


# What is played


@dataclass(frozen=True, slots=True)
class Scene:
    """One dialogue to be played.

    Attributes:
        scenario: what the user is worried about.
        recorded: system -> the questions from the second on that were recorded for that system.
    """

    character: str
    scenario: str
    question: str
    recorded: Mapping[str, tuple[str, ...]]

    @property
    def id(self) -> SceneId:
        """The character and the scenario."""
        return self.character, self.scenario


def scenes_from_dialogues(dialogues: Iterable[Dialogue]) -> tuple[Scene, ...]:
    """One scene for each character and scenario of recorded dialogues, in their order.

    Where systems were asked different first questions, the most frequent one is taken.

    Raises:
        DataError: there are no dialogues, or a dialogue has no first question.
    """
    first: dict[SceneId, Counter[str]] = {}
    later: dict[SceneId, dict[str, tuple[str, ...]]] = {}
    for d in dialogues:
        if not d.turns or not d.turns[0].question.strip():
            raise DataError(
                f"{d.id} has no first question", hint="give every scenario a first question"
            )
        scene_id = (d.character, d.scenario)
        first.setdefault(scene_id, Counter())[d.turns[0].question] += 1
        recorded = later.setdefault(scene_id, {})
        questions = tuple(takewhile(str.strip, (turn.question for turn in d.turns[1:])))
        if questions:
            recorded[d.system] = questions
    if not first:
        raise DataError("there is no question to begin with", hint="judge data fetch")
    return tuple(
        Scene(*scene_id, asked.most_common(1)[0][0], later[scene_id])
        for scene_id, asked in first.items()
    )


def unanswered_dialogues(system: str, scenes: Iterable[Scene]) -> list[Dialogue]:
    """The scenes as dialogues of `system` with a first question and an empty answer."""
    return [
        Dialogue(system, scene.character, scene.scenario, (Turn(scene.question, ""),))
        for scene in scenes
    ]


def recorded_questions(
    scenes: Sequence[Scene], system: str, rounds: int = 2
) -> dict[SceneId, tuple[str, ...]]:
    """The recorded questions that `system` was asked from the second round on.

    Raises:
        UsageError: no scene has enough of them for so many rounds.
    """
    asked = {scene.id: scene.recorded.get(system, ()) for scene in scenes}
    questions = {scene_id: found for scene_id, found in asked.items() if len(found) > rounds - 2}
    if not questions:
        most = max(map(len, asked.values()), default=0) + 1
        if most > 1:
            raise UsageError(
                f"--rounds {rounds}: the recorded dialogues of {system} have {most} at most",
                hint="choose fewer rounds, or a model as --user",
            )
        known = sorted({name for scene in scenes for name in scene.recorded})
        raise UsageError(
            f"--user replay:{system}: no recorded question of that system",
            hint=f"choose from {', '.join(known)}" if known else "choose a model as --user",
        )
    return questions


# Playing


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays, and how.

    Attributes:
        model: plays the characters.
        user: the model that writes the user's questions from the second on, or recorded ones.
        sampling: of the character's answers.
        user_sampling: of the user's questions.
        keep_loaded: keep both models in memory until the end. Otherwise one is unloaded before
            the other is loaded.
        rounds: questions and answers of a dialogue.
    """

    model: Engine
    user: Engine | Mapping[SceneId, tuple[str, ...]]
    prompts: RoleplayPrompts
    sampling: Sampling
    user_sampling: Sampling
    keep_loaded: bool = False
    rounds: int = 2


def play(
    scenes: Sequence[Scene],
    cast: Cast,
    transcript: Transcript,
    progress: PlayingProgress = lambda *_: None,
    *,
    retry_failed: bool = False,
) -> None:
    """Write the lines that `transcript` lacks, and unload the models afterwards.

    Lines that failed in a way that may have been passing are written again; with `retry_failed` all
    that failed. A scene ends early where an answer is empty or failed, or where there is no further
    question.

    Raises:
        RunMismatchError: `transcript` holds a line of another model, chat or setting.
        EngineError: a model cannot be loaded or asked, or no scene at all can be played.
        StoreError: `transcript` cannot be written.
    """
    _refuse_other_questions(cast, transcript)
    writing = _Writing(transcript, progress, retry_failed)
    profiles = {scene.id: cast.prompts.character(scene.character) for scene in scenes}
    asked = {scene.id: scene.question for scene in scenes}
    said: dict[SceneId, tuple[Turn, ...]] = dict.fromkeys(asked, ())
    for number in range(1, cast.rounds + 1):
        if number > 1:
            asked = _next_questions(number, cast, profiles, said, writing)
        chats = {
            scene_id: cast.prompts.character_chat(profiles[scene_id], question, said[scene_id])
            for scene_id, question in asked.items()
        }
        answers = _write(f"answer{number}", chats, cast.model, cast.sampling, writing)
        said = {i: (*said[i], Turn(asked[i], answer)) for i, answer in answers.items()}
    cast.model.close()
    if not isinstance(cast.user, Mapping):
        cast.user.close()


def _next_questions(
    number: int,
    cast: Cast,
    profiles: Mapping[SceneId, Character],
    said: Mapping[SceneId, Sequence[Turn]],
    writing: _Writing,
) -> dict[SceneId, str]:
    """What the user asks in round `number`, 2 or more, of the scenes that have gone on so far."""
    if isinstance(cast.user, Mapping):
        return {i: cast.user[i][number - 2] for i in said if len(cast.user.get(i, ())) > number - 2}
    chats = {i: cast.prompts.user_chat(profiles[i], turns) for i, turns in said.items()}
    alternate = cast.user is not cast.model and not cast.keep_loaded
    if alternate:
        cast.model.close()
    questions = _write(f"question{number}", chats, cast.user, cast.user_sampling, writing)
    if alternate:
        cast.user.close()
    return questions


def played_dialogues(
    system: str, transcript: Transcript, rounds: int = 2
) -> dict[SceneId, Dialogue]:
    """All dialogues that were played to their end, sorted by character and scenario.

    An answer that is empty or failed ends its dialogue. A failed answer is stored as an empty one,
    which cannot be judged and is reported as such.

    Args:
        system: the model's name.
        rounds: of a dialogue.
    """
    answers = [transcript.lines(f"answer{number}") for number in range(1, rounds + 1)]
    dialogues = {}
    for scene_id in answers[0]:
        turns: list[Turn] = []
        for lines in answers:
            if scene_id not in lines or (turns and not turns[-1].answer):
                break
            turns.append(Turn(lines[scene_id].in_reply_to, _text(lines[scene_id])))
        if len(turns) == rounds or not turns[-1].answer:
            dialogues[scene_id] = Dialogue(system, *scene_id, tuple(turns))
    return dialogues


@dataclass(frozen=True, slots=True)
class _Writing:
    """Where lines are written, who is told, and whether all that failed are written again."""

    transcript: Transcript
    progress: PlayingProgress
    retry_failed: bool

    def stays(self, line: TranscriptLine) -> bool:
        outcome = line.reply.outcome
        return isinstance(outcome, str) or not (self.retry_failed or outcome.passing)


def _write(
    part: Part, chats: Mapping[SceneId, Chat], engine: Engine, sampling: Sampling, writing: _Writing
) -> dict[SceneId, str]:
    """The replies to all chats, written now or before; empty and failed ones are left out."""
    transcript, progress = writing.transcript, writing.progress
    keys = {scene_id: _key(chat, engine, sampling) for scene_id, chat in chats.items()}
    stored = _stored_lines(part, keys, transcript)
    lines = {scene_id: line for scene_id, line in stored.items() if writing.stays(line)}
    seeds = _seeds(chats, engine.batch_size, sampling)
    progress(part, len(lines), len(chats))

    def batch_of(missing: Sequence[SceneId]) -> Batch[dict[SceneId, Reply]]:
        return _Chats({i: chats[i] for i in missing}, sampling, [seeds[i] for i in missing])

    def keep(replies: Mapping[SceneId, Reply], seconds: float) -> None:
        new = {
            i: TranscriptLine(keys[i], chats[i][-1].text, replace(reply, chat=0))
            for i, reply in replies.items()
        }
        transcript.add(part, new, seconds, engine.describe())
        lines.update(new)
        progress(part, len(lines), len(chats))

    run_batches([[scene_id] for scene_id in chats], lines, engine, batch_of, keep)
    # Read again: where another process has stored the same line first, its line counts.
    lines = _stored_lines(part, keys, transcript)
    _refuse_hopeless(part, lines)
    return {scene_id: text for scene_id, line in lines.items() if (text := _text(line))}


@dataclass(frozen=True, slots=True)
class _Chats:
    """A batch of chats (see `Batch`), with the seed of each."""

    chats: Mapping[SceneId, Chat]
    sampling: Sampling
    seeds: Sequence[int]

    @property
    def lane(self) -> str:
        character, _ = next(iter(self.chats))
        return character

    def parts(self) -> Sequence[_Chats]:
        pairs = zip(self.chats.items(), self.seeds, strict=True)
        return [_Chats({i: chat}, self.sampling, [seed]) for (i, chat), seed in pairs]

    def failed(self, failure: Failure) -> dict[SceneId, Reply]:
        return dict.fromkeys(self.chats, Reply(0, failure))

    def ask(self, engine: Engine) -> Iterator[dict[SceneId, Reply]]:
        scenes, asked = list(self.chats), (list(self.chats.values()), self.sampling, self.seeds)
        if isinstance(engine, OneByOne):
            for reply in engine.reply_each(*asked):
                yield {scenes[reply.chat]: reply}
            return
        replies = list(engine.generate(*asked))
        if [reply.chat for reply in replies] != list(range(len(scenes))):
            raise EngineError(
                "the engine returned replies to other chats than it was given",
                hint="this is a defect of the engine: please report it",
            )
        yield dict(zip(scenes, replies, strict=True))


def _seeds(chats: Mapping[SceneId, Chat], size: int, sampling: Sampling) -> dict[SceneId, int]:
    """The seed of each chat, by the batches of all chats: whatever was stored before."""
    every = list(chats)
    batches = [every[start : start + size] for start in range(0, len(every), size)]
    return {
        scene_id: seed
        for batch in batches
        for scene_id, seed in zip(
            batch, seeds_of([chats[scene_id] for scene_id in batch], sampling), strict=True
        )
    }


def _stored_lines(
    part: Part, keys: Mapping[SceneId, str], transcript: Transcript
) -> dict[SceneId, TranscriptLine]:
    """The stored lines of the scenes in `keys`; refuses lines with another key."""
    stored = transcript.lines(part)
    for scene_id, key in keys.items():
        if scene_id in stored and stored[scene_id].key != key:
            raise RunMismatchError(
                f"{part} of {'/'.join(scene_id)} was written by another model, with other "
                "settings or in reply to another chat",
                path=transcript.folder,
                hint="choose another --out: a folder holds the dialogues of one model only",
            )
    return {scene_id: stored[scene_id] for scene_id in keys if scene_id in stored}


def _refuse_other_questions(cast: Cast, transcript: Transcript) -> None:
    """Refuse to mix written and recorded questions, or to shorten, before any model is asked."""
    rounds = max((round_of(part) for part in transcript.parts()), default=0)
    if rounds > cast.rounds:
        raise RunMismatchError(
            f"its dialogues have --rounds {rounds}, not {cast.rounds}",
            path=transcript.folder,
            hint="choose another --out",
        )
    recorded = isinstance(cast.user, Mapping)
    for number in range(2, rounds + 1):
        written = transcript.lines(f"question{number}")
        answered = transcript.lines(f"answer{number}")
        if written if recorded else answered.keys() - written.keys():
            raise RunMismatchError(
                "the later questions in this folder "
                + ("were written by a model" if recorded else "are recorded ones"),
                path=transcript.folder,
                hint="choose another --out, or the --user that it was begun with",
            )


def _refuse_hopeless(part: Part, lines: Mapping[SceneId, TranscriptLine]) -> None:
    """Raise an EngineError if all replies of a part failed, or if the user wrote nothing at all."""
    user = part.startswith("question")
    outcomes = [line.reply.outcome for line in lines.values()]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)]
    silent_user = user and not any(map(_text, lines.values()))
    if outcomes and (silent_user or len(reasons) == len(outcomes)):
        raise EngineError(
            f"{'--user' if user else '--model'}: not one of {len(outcomes)} requests had a usable "
            f"reply: {reasons[0] if reasons else 'the replies are empty'}",
            hint="use a model with a longer context, shorter instructions (--prompts) or a lower "
            "--max-tokens, and another --out",
        )


def _text(line: TranscriptLine) -> str:
    outcome = line.reply.outcome
    return "" if isinstance(outcome, Failure) else outcome.strip()


def _key(chat: Chat, engine: Engine, sampling: Sampling) -> str:
    """SHA-256 (hex) of the model, the sampling settings and the chat."""
    texts = [engine.fingerprint, repr(sorted(asdict(sampling).items()))]
    texts += [f"{message.role}:{message.text}" for message in chat]
    framed = (len(data).to_bytes(8, "big") + data for data in map(str.encode, texts))
    return hashlib.sha256(b"".join(framed)).hexdigest()
