"""Judging: ask an engine for what is not judged yet, and store its judgments.

A prompt is identified by its key (`judge.scoring`). `run_batches` asks the engine for the prompts
without a stored answer. An engine that asks a server gives its answers one by one, and each is kept
when it comes; the others give a batch, which is kept as soon as it is made. A judgment that failed
in a way that may have been passing counts as not stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from judge import manifest as manifests
from judge.engines.interface import Answer, Batch, Engine, OneByOne, Team
from judge.errors import EngineError, RunMismatchError, StoreError, UsageError
from judge.manifest import Manifest
from judge.scoring import PromptId, blank_reply_failure, make_judgment, prompt_keys
from judge.store import Store
from judge.types import Failure, LabelRead, PromptItem, PromptTree, Rationale

__all__ = [
    "FinishedRun",
    "JudgingOutcome",
    "Progress",
    "refuse_rationale",
    "run",
    "run_batches",
    "score",
]

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (stored judgments, judgments in all) at the start and after every batch."""

_OnPrompt = TypeVar("_OnPrompt", LabelRead, Rationale)
_Answers = TypeVar("_Answers")
_Key = TypeVar("_Key")

# Judging a tree of prompts


@dataclass(frozen=True, slots=True)
class JudgingOutcome:
    """What a call of `score` has done.

    Attributes:
        rationales_cut: how many of those rationales the token limit ended.
        with_reasons: the items for whose metrics a rationale was written now, with the rationales.
    """

    made: int
    reused: int
    tokens_written: int = 0
    rationales_cut: int = 0
    with_reasons: tuple[PromptItem, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What was done for a run that is complete now, and its manifest."""

    outcome: JudgingOutcome
    manifest: Manifest


def run(
    tree: PromptTree,
    engine: Engine,
    store: Store,
    manifest: Manifest,
    progress: Progress = lambda *_: None,
    reply_sets: PromptTree | None = None,
    *,
    retry_failed: bool = False,
) -> FinishedRun:
    """Judge a tree and keep the manifest of the run folder up to date.

    The manifest is written before the first judgment and marked as finished after the last. If all
    judgments were stored already, it stays as it was.

    Args:
        store: the database of the run folder, which also has the manifest.
        manifest: describes the run as if it began now.
        reply_sets: the prompts about sets of replies, judged last and not counted in the outcome.
        retry_failed: as for `score`.

    Raises:
        RunMismatchError: the folder holds a run with another rubric, judge, setting or text.
        StoreError: the folder cannot be read or written.
        EngineError: the judge cannot be asked.
        UsageError: rationales are asked of an engine that cannot write.
    """
    if tree.rationale:
        refuse_rationale(engine)
    folder = store.folder
    with store.transaction():
        before = manifests.read(folder)
        if before is None and store.keys():
            raise StoreError(
                "there are judgments, but no manifest.json that says how they were made",
                path=folder,
                hint="restore it from a copy, or choose another --out",
            )
        if before is not None:
            manifests.refuse_mismatch(folder, before, manifest)
            manifest = manifests.merge(before, manifest)
        manifests.write(folder, manifest)
    outcome = score(tree, engine, store, progress, retry_failed=retry_failed)
    made = outcome.made
    if reply_sets is not None:
        made += score(reply_sets, engine, store, retry_failed=retry_failed).made
    with store.transaction():
        if before is not None and before.finished and not made:
            manifest = before
        else:
            # Read again: another process may have added its systems in the meantime.
            now = manifests.read(folder) or manifest
            if isinstance(engine, Team):  # which of its workers came, and where, is known now
                manifest = replace(manifest, judge={**manifest.judge, **engine.describe()})
            manifest = manifests.finish(manifests.merge(now, manifest))
        manifests.write(folder, manifest)
    return FinishedRun(outcome, manifest)


def score(
    tree: PromptTree,
    engine: Engine,
    store: Store,
    progress: Progress = lambda *_: None,
    *,
    retry_failed: bool = False,
) -> JudgingOutcome:
    """Judge the prompts of `tree` that have no stored judgment, and store the judgments.

    Where the tree asks for rationales, the judge first writes those of a batch, and is then asked
    for the labels with its own rationale before each of them. Judgments that failed in a way that
    may have been passing are made again; with `retry_failed` all that failed.

    Raises:
        RunMismatchError: the store holds other text of a dialogue, or the answer to another prompt
            about it.
        StoreError: the store cannot be written.
        EngineError: the judge cannot be asked.
        UsageError: rationales are asked of an engine that cannot write.
    """
    if tree.rationale:
        refuse_rationale(engine)
    store.add_dialogues(item.dialogue for item in tree.items)
    keys = prompt_keys(tree, engine.fingerprint)
    stored = _stored_prompts(tree, keys, store, retry_failed=retry_failed)
    made = tokens_written = rationales_cut = 0
    reasons: dict[int, dict[str, str]] = {}
    progress(len(stored), len(keys))

    def keep(answers: Sequence[Answer], seconds: float) -> None:
        nonlocal made, tokens_written, rationales_cut
        judgments = []
        for read, rationale in answers:
            reason = None
            if rationale is not None:
                tokens_written += rationale.tokens
                rationales_cut += rationale.cut
                if isinstance(rationale.outcome, str):
                    reason = rationale.outcome
                    reasons.setdefault(read.item, {})[read.metric] = reason
            place = read.item, read.metric
            judgments.append(
                make_judgment(read, tree.items[read.item].dialogue, keys[place], reason)
            )
        store.add(judgments, seconds)
        made += len(answers)
        progress(len(stored) + made, len(keys))

    prompts = [[(i, metric) for metric in item.metrics] for i, item in enumerate(tree.items)]
    run_batches(prompts, stored, engine, partial(_Prompts.of, tree), keep)
    with_reasons = tuple(
        replace(tree.items[i], metrics=tuple(texts), reasons=texts)
        for i, texts in sorted(reasons.items())
    )
    return JudgingOutcome(made, len(stored), tokens_written, rationales_cut, with_reasons)


def run_batches(
    groups: Sequence[Sequence[_Key]],
    done: Container[_Key],
    engine: Engine,
    batch_of: Callable[[Sequence[_Key]], Batch[_Answers]],
    keep: Callable[[_Answers, float], None],
) -> None:
    """Ask an engine for everything that is not done, in batches that can be resumed.

    Batches are cut from all groups, not from the unfinished ones. A run that was interrupted
    therefore asks the same batches as one that was not, and gets the same numbers to the last bit.
    An engine that answers one by one is asked everything at once, a team several batches.

    Args:
        groups: the keys of what is to be asked. The keys of a group are asked in one batch, and a
            batch has `engine.batch_size` groups.
        engine: is loaded before the first batch with something to ask.
        batch_of: what is asked for the keys of a batch that are not done.
        keep: stores answers, all or none, with the seconds that passed since the last ones.
    """
    size = max(1, len(groups)) if isinstance(engine, OneByOne) else engine.batch_size
    cut = (groups[start : start + size] for start in range(0, len(groups), size))
    missing = ([key for group in batch for key in group if key not in done] for batch in cut)
    batches = [batch_of(keys) for keys in missing if keys]
    if not batches:
        return
    engine.load()
    began = time.monotonic()
    if isinstance(engine, Team):
        answered = engine.ask_all(batches)
    else:
        answered = chain.from_iterable(batch.ask(engine) for batch in batches)
    for answers in answered:
        now = time.monotonic()
        keep(answers, now - began)
        stored = time.monotonic() - now
        _log.debug("answers in %.3f s, stored in %.3f s", now - began, stored)
        began = time.monotonic()


def refuse_rationale(engine: Engine) -> None:
    """Refuse to ask an engine that cannot write for rationales.

    Raises:
        UsageError: it cannot write.
    """
    if not engine.can_generate:
        raise UsageError(
            "--rationale: this judge cannot write reasons, it only reads labels",
            hint="leave out --rationale, or choose another judge or --engine",
        )


def _stored_prompts(
    tree: PromptTree, keys: Mapping[PromptId, str], store: Store, *, retry_failed: bool
) -> set[PromptId]:
    """The prompts of `tree` to which the store has an answer that counts."""
    stored_keys, failures = store.keys(), store.failures()
    stored = set()
    for (index, metric), key in keys.items():
        d = tree.items[index].dialogue
        place = d.system, d.character, d.scenario, metric
        if place not in stored_keys:
            continue
        if stored_keys[place] != key:
            raise RunMismatchError(
                f"{metric} of {d.id} was judged with another prompt",
                path=store.folder,
                hint="choose another --out: answers to two different prompts do not mix",
            )
        failure = failures.get(place)
        if failure is None or not (retry_failed or failure.passing):
            stored.add((index, metric))
    return stored


@dataclass(frozen=True, slots=True)
class _Prompts:
    """A batch of prompts (see `Batch`): some items of a tree, by their positions in it."""

    tree: PromptTree
    items: Mapping[int, PromptItem]

    @classmethod
    def of(cls, tree: PromptTree, missing: Sequence[PromptId]) -> _Prompts:
        """The prompts in `missing`, with what else of `tree` they are made of."""
        metrics: dict[int, list[str]] = {}
        for index, metric in missing:
            metrics.setdefault(index, []).append(metric)
        items = {i: replace(tree.items[i], metrics=tuple(names)) for i, names in metrics.items()}
        characters = dict.fromkeys(item.dialogue.character for item in items.values())
        profiles = {character: tree.profiles[character] for character in characters}
        return cls(replace(tree, items=(), profiles=profiles), items)

    @property
    def lane(self) -> str:
        return next(iter(self.items.values())).dialogue.character

    def parts(self) -> Sequence[_Prompts]:
        return [_Prompts(self.tree, {i: item}) for i, item in self.items.items()]

    def failed(self, failure: Failure) -> Sequence[Answer]:
        return [
            Answer(LabelRead(i, metric, failure))
            for i, item in self.items.items()
            for metric in item.metrics
        ]

    def ask(self, engine: Engine) -> Iterator[Sequence[Answer]]:
        """An answer for each prompt. Dialogues with a blank reply are not asked."""
        tree, items = self.tree, dict(self.items)
        blank: list[Answer] = []
        for i, item in self.items.items():
            failure = blank_reply_failure(item.dialogue)
            if failure is not None:
                blank += _Prompts(tree, {i: items.pop(i)}).failed(failure)
        if isinstance(engine, OneByOne):
            yield from [blank] if blank else []
            yield from ([answer] for answer in _ask_one_by_one(engine, tree, items))
            return
        if not tree.rationale:
            yield [*blank, *map(Answer, _ask_engine(engine.score, tree, items))]
            return
        written = {(r.item, r.metric): r for r in _ask_engine(engine.write, tree, items)}
        reasons: dict[int, dict[str, str]] = {}
        answers = blank
        for (i, metric), rationale in written.items():
            if isinstance(rationale.outcome, Failure):
                answers.append(Answer(LabelRead(i, metric, rationale.outcome), rationale))
            else:
                reasons.setdefault(i, {})[metric] = rationale.outcome
        with_reasons = {
            i: replace(items[i], metrics=tuple(texts), reasons=texts)
            for i, texts in reasons.items()
        }
        reads = _ask_engine(engine.score, tree, with_reasons)
        yield [*answers, *(Answer(read, written[read.item, read.metric]) for read in reads)]


def _ask_engine(
    method: Callable[[PromptTree], Iterator[_OnPrompt]],
    tree: PromptTree,
    items: Mapping[int, PromptItem],
) -> list[_OnPrompt]:
    """The answers that `method` gives about `items`, numbered by their positions in `tree`."""
    if not items:
        return []
    positions = list(items)
    answers = list(method(replace(tree, items=tuple(items.values()))))
    expected = [(i, metric) for i, item in enumerate(items.values()) for metric in item.metrics]
    if [(answer.item, answer.metric) for answer in answers] != expected:
        raise _other_prompts()
    return [replace(answer, item=positions[answer.item]) for answer in answers]


def _ask_one_by_one(
    engine: OneByOne, tree: PromptTree, items: Mapping[int, PromptItem]
) -> Iterator[Answer]:
    """The answers about `items` as they come, numbered by their positions in `tree`."""
    positions = list(items)
    wanted = {(i, metric) for i, item in items.items() for metric in item.metrics}
    asked = engine.judge_each(replace(tree, items=tuple(items.values()))) if items else ()
    for read, rationale in asked:
        place = positions[read.item], read.metric
        if place not in wanted:
            raise _other_prompts()
        wanted.remove(place)
        yield Answer(replace(read, item=place[0]), rationale and replace(rationale, item=place[0]))
    if wanted:
        raise _other_prompts()


def _other_prompts() -> EngineError:
    return EngineError(
        "the engine returned answers to other prompts than it was given",
        hint="this is a defect of the engine: please report it",
    )
