"""A model plays characters: it answers, the user reacts, it answers again.

All first answers are written, then all second questions, then all second answers, so that of two
models only one is in memory at a time. Batches are cut from all scenes, not from what is left, and
are kept whole or not at all; draws follow from what is asked. So it makes no difference to what is
written where it was stopped, nor which scenes are played together.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from judge.engines.base import Engine
from judge.errors import EngineError, RunMismatchError
from judge.roleplay.plays import Line, Part, Place, Plays
from judge.roleplay.prompts import RoleplayPrompts
from judge.roleplay.scenes import Scene
from judge.types import Dialogue, Failure, Message, Sampling, Turn

__all__ = ["PARTS", "Cast", "Progress", "dialogues", "place", "play"]

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
        keep_loaded: both stay in memory until all is played; else one is let go before the
            other is loaded.
    """

    model: Engine
    user: Engine | Mapping[Place, str]
    prompts: RoleplayPrompts
    sampling: Sampling
    user_sampling: Sampling
    keep_loaded: bool = False


def play(
    scenes: Sequence[Scene],
    cast: Cast,
    plays: Plays,
    progress: Progress = lambda *_: None,
) -> None:
    """Write what is still unwritten, and keep it; no model is in memory afterwards.

    A scene ends early where the model's first answer is empty or failed, or where there is no
    second question. What `plays` holds is not written again.

    Raises:
        RunMismatchError: `plays` holds a line that was written to something else.
        EngineError: a model cannot be loaded or asked, or not one scene can be played.
        StoreError: `plays` cannot be written.
    """
    _refuse_other_questions(cast, plays)
    told, model = cast.prompts, cast.model
    first = {
        place(scene): told.character_chat(told.character(scene.character), scene.question)
        for scene in scenes
    }
    answers = _write("answer1", first, model, cast.sampling, plays, progress)
    going = [scene for scene in scenes if place(scene) in answers]
    if isinstance(cast.user, Mapping):
        questions = cast.user
    else:
        asked = {
            place(scene): told.user_chat(
                told.character(scene.character), scene.question, answers[place(scene)]
            )
            for scene in going
        }
        apart = cast.user is not model and not cast.keep_loaded
        if apart:
            model.close()
        questions = _write("question2", asked, cast.user, cast.user_sampling, plays, progress)
        if apart:
            cast.user.close()
    second = {
        place(scene): told.second_chat(
            told.character(scene.character),
            scene.question,
            answers[place(scene)],
            questions[place(scene)],
        )
        for scene in going
        if place(scene) in questions
    }
    _write("answer2", second, model, cast.sampling, plays, progress)
    model.close()
    if not isinstance(cast.user, Mapping):
        cast.user.close()


def dialogues(system: str, plays: Plays) -> dict[Place, Dialogue]:
    """All that was played to its end, in the order of character and scenario.

    A first answer that is empty or failed ends its dialogue. An answer that failed is an empty
    one: a judge has nothing to judge there and says so.

    Args:
        system: the model's name.
        plays: what was written.
    """
    second = plays.lines("answer2")
    found = {}
    for at, line in plays.lines("answer1").items():
        turns = [Turn(line.asked, _text(line))]
        if turns[0].answer and at in second:
            turns.append(Turn(second[at].asked, _text(second[at])))
        if len(turns) > 1 or not turns[0].answer:
            found[at] = Dialogue(system, *at, tuple(turns))
    return found


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
) -> dict[Place, str]:
    """What was said to each chat, then or now; a chat to which nothing was said is missing."""
    keys = {at: _key(chat, engine, sampling) for at, chat in chats.items()}
    found = _kept(part, keys, plays)
    progress(part, len(found), len(chats))
    places = list(chats)
    for start in range(0, len(places), engine.batch_size):
        batch = places[start : start + engine.batch_size]
        missing = [at for at in batch if at not in found]
        if not missing:
            continue
        engine.load()
        began = time.monotonic()
        replies = list(engine.generate([chats[at] for at in missing], sampling))
        seconds = time.monotonic() - began
        if [reply.chat for reply in replies] != list(range(len(missing))):
            raise EngineError(
                "the engine replied to something else than it was asked",
                hint="this is a defect of the engine: please report it",
            )
        new = {
            at: Line(keys[at], chats[at][-1].text, replace(reply, chat=0))
            for at, reply in zip(missing, replies, strict=True)
        }
        plays.add(part, new, seconds, engine.describe())
        # What another process has written meanwhile was there first.
        found = _kept(part, keys, plays)
        progress(part, len(found), len(chats))
    _refuse_hopeless(part, found)
    return {at: text for at, line in found.items() if (text := _text(line))}


def _kept(part: Part, keys: Mapping[Place, str], plays: Plays) -> dict[Place, Line]:
    """The lines that are there, of those that these keys ask for."""
    there = plays.lines(part)
    for at, key in keys.items():
        if at in there and there[at].key != key:
            raise RunMismatchError(
                f"{part} of {'/'.join(at)} was written by another model, with other settings or "
                "to other words",
                path=plays.folder,
                hint="choose another --out: what two models play does not mix",
            )
    return {at: there[at] for at in keys if at in there}


def _refuse_other_questions(cast: Cast, plays: Plays) -> None:
    """Refuse to mix recorded second questions with written ones, before either is asked."""
    written, answered = plays.lines("question2"), plays.lines("answer2")
    recorded = isinstance(cast.user, Mapping)
    if written if recorded else answered.keys() - written.keys():
        raise RunMismatchError(
            f"the second questions in this folder are {'written' if recorded else 'recorded'} ones",
            path=plays.folder,
            hint="choose another --out, or the --user that it was begun with",
        )


def _refuse_hopeless(part: Part, lines: Mapping[Place, Line]) -> None:
    """Raises an EngineError if nothing came of a part: every reply failed, or the user is mute."""
    user = part == "question2"
    outcomes = [line.reply.outcome for line in lines.values()]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Failure)]
    mute = user and not any(map(_text, lines.values()))
    if outcomes and (mute or len(reasons) == len(outcomes)):
        raise EngineError(
            f"{'--user' if user else '--model'}: nothing came of {len(outcomes)} requests: "
            f"{reasons[0] if reasons else 'the replies are empty'}",
            hint="a model with a longer context, shorter instructions (--prompts) or lower "
            "--max-tokens, and another --out",
        )


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
