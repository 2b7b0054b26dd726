"""A model plays characters: it answers, the user reacts, it answers again.

All first answers are written, then all second questions, then all second answers, so that of two
models only one is in memory at a time. Batches are cut from all scenes, not from what is left, and
are kept whole or not at all: where it was stopped makes no difference to what is written.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from judge.engines.base import Engine
from judge.errors import EngineError, RunMismatchError
from judge.roleplay.plays import Line, Part, Place, Plays
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.scenes import Scene
from judge.types import Dialogue, Failure, Message, Sampling, Turn

__all__ = ["PARTS", "Cast", "Progress", "dialogues", "play"]

Chat = Sequence[Message]
Progress = Callable[[Part, int, int], None]
"""Called with (part, lines there, lines wanted) at the start of a part and after every batch."""

PARTS: tuple[Part, ...] = ("answer1", "question2", "answer2")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays, how, and by which instructions.

    Attributes:
        model: plays the characters.
        user: writes the user's second questions, with `user_sampling`; or the questions
            themselves, where they are recorded ones.
        keep_loaded: leave models in memory; else one is let go before another is loaded.
    """

    model: Engine
    user: Engine | Mapping[Place, str]
    prompts: RoleplayPrompts
    sampling: Sampling
    user_sampling: Sampling
    keep_loaded: bool = False


@dataclass(slots=True)
class _Stage:
    """What has been said in each scene so far; scenes that cannot go on are missing."""

    answers: dict[Place, str] = field(default_factory=dict)
    questions: dict[Place, str] = field(default_factory=dict)


def play(
    scenes: Sequence[Scene],
    cast: Cast,
    plays: Plays,
    progress: Progress = lambda *_: None,
) -> None:
    """Write what is still unwritten, and keep it.

    A scene ends early where the model's first answer is empty or failed, or where there is no
    second question. What `plays` holds is not written again.

    Raises:
        RunMismatchError: `plays` holds an answer to something else.
        EngineError: a model cannot be loaded or asked.
        StoreError: `plays` cannot be written.
    """
    stage = _Stage()
    first = {
        place(scene): cast.prompts.character_chat(
            cast.prompts.character(scene.character), scene.question
        )
        for scene in scenes
    }
    found = _write("answer1", first, cast.model, cast.sampling, plays, progress)
    _refuse_hopeless(found)
    stage.answers = _texts(found)
    going = [scene for scene in scenes if place(scene) in stage.answers]
    if isinstance(cast.user, Mapping):
        stage.questions = {
            place(scene): cast.user[place(scene)] for scene in going if place(scene) in cast.user
        }
    else:
        asked = {
            place(scene): cast.prompts.user_chat(
                cast.prompts.character(scene.character), scene.question, stage.answers[place(scene)]
            )
            for scene in going
        }
        if not cast.keep_loaded and cast.user is not cast.model:
            cast.model.close()
        said = _write("question2", asked, cast.user, cast.user_sampling, plays, progress)
        stage.questions = _texts(said)
        if not cast.keep_loaded and cast.user is not cast.model:
            cast.user.close()
    second = {
        place(scene): cast.prompts.second_chat(
            cast.prompts.character(scene.character),
            scene.question,
            stage.answers[place(scene)],
            stage.questions[place(scene)],
        )
        for scene in going
        if place(scene) in stage.questions
    }
    _write("answer2", second, cast.model, cast.sampling, plays, progress)
    if not cast.keep_loaded:
        cast.model.close()


def dialogues(
    system: str, scenes: Sequence[Scene], plays: Plays, recorded: Mapping[Place, str] | None = None
) -> tuple[tuple[Dialogue, ...], tuple[Scene, ...]]:
    """What was played, and the scenes that have no second question and so are no dialogues.

    An answer that failed is an empty one: a judge has nothing to judge there and says so. A first
    answer that is empty ends its dialogue.

    Args:
        system: the model's name.
        scenes: what was to be played.
        plays: what was written.
        recorded: the second questions, where they are recorded ones.
    """
    first, said, second = (plays.lines(part) for part in PARTS)
    found: list[Dialogue] = []
    broken: list[Scene] = []
    for scene in scenes:
        at = place(scene)
        if at not in first:
            continue
        answer = _text(first[at])
        turns = [Turn(scene.question, answer)]
        if answer:
            question = recorded.get(at, "") if recorded is not None else ""
            if recorded is None and at in said:
                question = _text(said[at])
            if not question:
                broken.append(scene)
                continue
            if at not in second:
                continue
            turns.append(Turn(question, _text(second[at])))
        found.append(Dialogue(system, scene.character, scene.scenario, tuple(turns)))
    return tuple(found), tuple(broken)


def place(scene: Scene) -> Place:
    """Where its lines stand."""
    return scene.character, scene.scenario


def _write(
    part: Part,
    chats: Mapping[Place, Chat],
    engine: Engine,
    sampling: Sampling,
    plays: Plays,
    progress: Progress,
) -> dict[Place, Line]:
    """A line for each chat, those that are there and the new ones."""
    there = plays.lines(part)
    keys = {at: _key(chat, engine, sampling) for at, chat in chats.items()}
    for at, key in keys.items():
        if at in there and there[at].key != key:
            raise RunMismatchError(
                f"{part} of {'/'.join(at)} was written by another model, with other settings or "
                "to other words",
                path=plays.folder,
                hint="choose another --out: what two models play does not mix",
            )
    found = {at: there[at] for at in chats if at in there}
    progress(part, len(found), len(chats))
    places = list(chats)
    for start in range(0, len(places), engine.batch_size):
        batch = places[start : start + engine.batch_size]
        missing = [at for at in batch if at not in found]
        if not missing:
            continue
        began = time.monotonic()
        # The same places, asked together, are drawn alike whenever they are asked.
        seed = _seed(sampling.seed, part, batch[0])
        replies = list(engine.generate([chats[at] for at in missing], replace(sampling, seed=seed)))
        if [reply.chat for reply in replies] != list(range(len(missing))):
            raise EngineError(
                "the engine replied to something else than it was asked",
                hint="this is a defect of the engine: please report it",
            )
        new = {
            at: Line(keys[at], replace(reply, chat=0))
            for at, reply in zip(missing, replies, strict=True)
        }
        plays.add(part, new, time.monotonic() - began)
        found |= new
        progress(part, len(found), len(chats))
    return found


def _refuse_hopeless(lines: Mapping[Place, Line]) -> None:
    """Raises an EngineError if not one scene could be begun."""
    outcomes = [line.reply.outcome for line in lines.values()]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)]
    if reasons and len(reasons) == len(outcomes):
        raise EngineError(
            f"none of {len(reasons)} scenes could be begun: {reasons[0]}",
            hint="a model with a longer context, shorter instructions (--prompts) or lower "
            "--max-tokens, and another --out",
        )


def _texts(lines: Mapping[Place, Line]) -> dict[Place, str]:
    """Those that say something."""
    return {at: text for at, line in lines.items() if (text := _text(line))}


def _text(line: Line) -> str:
    outcome = line.reply.outcome
    return "" if isinstance(outcome, Failure) else outcome.strip()


def _key(chat: Chat, engine: Engine, sampling: Sampling) -> str:
    """SHA-256 (hex) of who is asked what, and how."""
    parts = [engine.fingerprint, repr(sorted(asdict(sampling).items()))]
    parts += [f"{message.role}:{message.text}" for message in chat]
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _seed(seed: int, part: Part, at: Place) -> int:
    """31 bits of its own for each batch."""
    text = "\0".join((str(seed), part, *at))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
