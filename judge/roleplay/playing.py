"""Playing: a model answers as a character, the user asks again, and the model answers again.

All first answers are written first, then all second questions, then all second answers, so that
only one of the two models has to be in memory at a time. What is written does not depend on where
playing was interrupted: batches are cut from all scenes, not from the unfinished ones, and the
random draws of a reply depend on its chat alone. Replies of a server are stored one by one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from judge.engines.chat import seeds_of
from judge.engines.interface import Batch, Engine, OneByOne
from judge.errors import DataError, EngineError, RunMismatchError, UsageError
from judge.pipeline import run_batches
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.transcript import Part, SceneId, Transcript, TranscriptLine
from judge.types import Dialogue, Failure, Message, Reply, Sampling, Turn

__all__ = [
    "PARTS",
    "Cast",
    "PlayingProgress",
    "Scene",
    "play",
    "played_dialogues",
    "recorded_questions",
    "scenes_from_dialogues",
    "unanswered_dialogues",
]

Chat = Sequence[Message]
PlayingProgress = Callable[[Part, int, int], None]
"""Called with (part, lines written, lines in all) at the start of a part and after every batch."""

PARTS: tuple[Part, ...] = ("answer1", "question2", "answer2")


# What is played


@dataclass(frozen=True, slots=True)
class Scene:
    """One dialogue to be played.

    Attributes:
        character: whom the model plays.
        scenario: what the user is worried about.
        question: the user's first question.
        recorded: system -> the second question that was recorded for that system.
    """

    character: str
    scenario: str
    question: str
    recorded: Mapping[str, str]

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
    second: dict[SceneId, dict[str, str]] = {}
    for d in dialogues:
        if not d.turns or not d.turns[0].question.strip():
            raise DataError(
                f"{d.id} has no first question", hint="give every scenario a first question"
            )
        scene_id = (d.character, d.scenario)
        first.setdefault(scene_id, Counter())[d.turns[0].question] += 1
        recorded = second.setdefault(scene_id, {})
        if len(d.turns) > 1 and d.turns[1].question.strip():
            recorded[d.system] = d.turns[1].question
    if not first:
        raise DataError("there is no question to begin with", hint="judge data fetch")
    return tuple(
        Scene(*scene_id, questions.most_common(1)[0][0], second[scene_id])
        for scene_id, questions in first.items()
    )


def unanswered_dialogues(system: str, scenes: Iterable[Scene]) -> list[Dialogue]:
    """The scenes as dialogues of `system` with a first question and an empty answer."""
    return [
        Dialogue(system, scene.character, scene.scenario, (Turn(scene.question, ""),))
        for scene in scenes
    ]


def recorded_questions(scenes: Sequence[Scene], system: str) -> dict[SceneId, str]:
    """The recorded second questions that `system` was asked.

    Raises:
        UsageError: no scene has one.
    """
    questions = {scene.id: scene.recorded[system] for scene in scenes if system in scene.recorded}
    if not questions:
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
        user: the model that writes the user's second questions, or recorded second questions.
        prompts: the instructions of both.
        sampling: of the character's answers.
        user_sampling: of the user's questions.
        keep_loaded: keep both models in memory until the end. Otherwise one is unloaded before
            the other is loaded.
    """

    model: Engine
    user: Engine | Mapping[SceneId, str]
    prompts: RoleplayPrompts
    sampling: Sampling
    user_sampling: Sampling
    keep_loaded: bool = False


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
    that failed. A scene ends early where the model's first answer is empty or failed, or where
    there is no second question.

    Raises:
        RunMismatchError: `transcript` holds a line of another model, chat or setting.
        EngineError: a model cannot be loaded or asked, or no scene at all can be played.
        StoreError: `transcript` cannot be written.
    """
    _refuse_other_questions(cast, transcript)
    prompts, model = cast.prompts, cast.model
    first_chats = {
        scene.id: prompts.character_chat(prompts.character(scene.character), scene.question)
        for scene in scenes
    }
    writing = _Writing(transcript, progress, retry_failed)
    answers = _write("answer1", first_chats, model, cast.sampling, writing)
    answered = [scene for scene in scenes if scene.id in answers]
    if isinstance(cast.user, Mapping):
        questions = cast.user
    else:
        user_chats = {
            scene.id: prompts.user_chat(
                prompts.character(scene.character), scene.question, answers[scene.id]
            )
            for scene in answered
        }
        alternate = cast.user is not model and not cast.keep_loaded
        if alternate:
            model.close()
        questions = _write("question2", user_chats, cast.user, cast.user_sampling, writing)
        if alternate:
            cast.user.close()
    second_chats = {
        scene.id: prompts.second_chat(
            prompts.character(scene.character),
            scene.question,
            answers[scene.id],
            questions[scene.id],
        )
        for scene in answered
        if scene.id in questions
    }
    _write("answer2", second_chats, model, cast.sampling, writing)
    model.close()
    if not isinstance(cast.user, Mapping):
        cast.user.close()


def played_dialogues(system: str, transcript: Transcript) -> dict[SceneId, Dialogue]:
    """All dialogues that were played to their end, sorted by character and scenario.

    A first answer that is empty or failed ends its dialogue. A failed answer is stored as an empty
    one, which cannot be judged and is reported as such.

    Args:
        system: the model's name.
        transcript: the lines of the model.
    """
    second = transcript.lines("answer2")
    dialogues = {}
    for scene_id, line in transcript.lines("answer1").items():
        turns = [Turn(line.in_reply_to, _text(line))]
        if turns[0].answer and scene_id in second:
            turns.append(Turn(second[scene_id].in_reply_to, _text(second[scene_id])))
        if len(turns) > 1 or not turns[0].answer:
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
    part: Part,
    chats: Mapping[SceneId, Chat],
    engine: Engine,
    sampling: Sampling,
    writing: _Writing,
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
    """Refuse to mix recorded and written second questions, before any model is asked."""
    written, answered = transcript.lines("question2"), transcript.lines("answer2")
    recorded = isinstance(cast.user, Mapping)
    if written if recorded else answered.keys() - written.keys():
        raise RunMismatchError(
            "the second questions in this folder "
            + ("were written by a model" if recorded else "are recorded ones"),
            path=transcript.folder,
            hint="choose another --out, or the --user that it was begun with",
        )


def _refuse_hopeless(part: Part, lines: Mapping[SceneId, TranscriptLine]) -> None:
    """Raise an EngineError if all replies of a part failed, or if the user wrote nothing at all."""
    user = part == "question2"
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
