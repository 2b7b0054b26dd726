"""The main job without its frills: ask an engine what is still unasked, keep every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from judge import manifest as manifests
from judge.engines.interface import Engine
from judge.errors import EngineError, RunMismatchError, StoreError, UsageError
from judge.manifest import Manifest
from judge.scoring import blank_reply, judgment, keys
from judge.store import Store
from judge.types import Failure, LabelRead, PromptItem, PromptTree, Written

__all__ = ["Outcome", "Progress", "Run", "refuse_rationale", "run", "run_batches", "score"]

Progress = Callable[[int, int], None]
"""Called with (judgments there, judgments asked for) at the start and after every batch."""

Place = tuple[int, str]
"""An item of the tree and a metric."""

Answer = TypeVar("Answer", LabelRead, Written)
Answers = TypeVar("Answers")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many judgments `score` made now, and how many were there.

    Attributes:
        made: judgments made now.
        reused: judgments that were there.
        written: tokens of the reasons written now.
        cut: how many of those reasons the limit of tokens ended.
        reasoned: the items and metrics for which a reason was written now, with the reasons.
    """

    made: int
    reused: int
    written: int = 0
    cut: int = 0
    reasoned: tuple[PromptItem, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is complete: what was done now, and the manifest it has."""

    outcome: Outcome
    manifest: Manifest


def run(
    tree: PromptTree,
    engine: Engine,
    store: Store,
    manifest: Manifest,
    progress: Progress = lambda *_: None,
    sets: PromptTree | None = None,
) -> Run:
    """`score` with the manifest in step: there before the first judgment, finished after the last.

    Where nothing was left to judge, the manifest stays as it was.

    Args:
        tree: what is to be judged.
        engine: the judge.
        store: the run folder's database; the manifest lies beside it.
        manifest: what would describe the run if it began now.
        progress: told of every batch.
        sets: sets of replies, to be judged after the dialogues; few, and not counted in what is
            returned.

    Raises:
        RunMismatchError: the folder holds a run of another rubric, judge, way or text.
        StoreError: the folder cannot be read or written.
        EngineError: the judge cannot be asked.
        UsageError: reasons from an engine that cannot write.
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
    outcome = score(tree, engine, store, progress)
    more = None if sets is None else score(sets, engine, store)
    with store.transaction():
        made = outcome.made + (more.made if more else 0)
        if before is not None and before.finished and not made:
            manifest = before
        else:
            # Read again: another process may have added systems of its own meanwhile.
            now = manifests.read(folder) or manifest
            manifest = manifests.finish(manifests.merge(now, manifest))
        manifests.write(folder, manifest)
    return Run(outcome, manifest)


def score(
    tree: PromptTree,
    engine: Engine,
    store: Store,
    progress: Progress = lambda *_: None,
) -> Outcome:
    """Judge all that `tree` asks and keep it; what the store holds is not asked again.

    Batches are cut from the whole tree, not from what is left of it, and are kept whole or not
    at all: a run that was interrupted asks the same batches as one that was not, and so gets
    the same numbers to the last bit. Where the tree wants reasons, the judge first writes those
    of a batch, then is asked for its labels with each reason begun.

    Raises:
        RunMismatchError: the store holds another text of a dialogue, or an answer to another
            question about it.
        StoreError: the store cannot be written.
        EngineError: the judge cannot be asked.
        UsageError: reasons from an engine that cannot write.
    """
    if tree.rationale:
        refuse_rationale(engine)
    store.add_dialogues(item.dialogue for item in tree.items)
    key_of = keys(tree, engine.fingerprint)
    kept = _kept(tree, key_of, store)
    made = written = cut = 0
    reasoned: list[PromptItem] = []
    progress(len(kept), len(key_of))

    def ask(missing: Sequence[Place]) -> _Answers:
        return _ask(tree, missing, engine)

    def keep(answers: _Answers, seconds: float) -> None:
        nonlocal made, written, cut
        judgments = [
            judgment(
                read,
                tree.items[read.item].dialogue,
                key_of[read.item, read.metric],
                answers.reason(read),
            )
            for read in answers.reads
        ]
        store.add(judgments, seconds)
        made += len(answers.reads)
        written += sum(w.tokens for w in answers.written)
        cut += sum(w.cut for w in answers.written)
        reasoned.extend(answers.reasoned.values())
        progress(len(kept) + made, len(key_of))

    prompts = [[(i, m) for m in item.metrics] for i, item in enumerate(tree.items)]
    run_batches(prompts, kept, engine, ask, keep)
    return Outcome(made, len(kept), written, cut, tuple(reasoned))


def run_batches(
    groups: Sequence[Sequence[Key]],
    done: Container[Key],
    engine: Engine,
    ask: Callable[[Sequence[Key]], Answers],
    keep: Callable[[Answers, float], None],
) -> None:
    """Ask an engine what is not done yet, in batches that do not depend on what is done.

    Batches are cut from all groups, so that a run that was interrupted asks the same batches as one
    that was not, and gets the same numbers to the last bit.

    Args:
        groups: the keys of what is to be asked. Keys of one group come into one batch; a batch has
            `engine.batch_size` groups.
        done: the keys that were answered before.
        engine: is loaded before the first batch that has something to ask.
        ask: asks the engine for the keys of a batch that are not done.
        keep: stores the answers of a batch, with the seconds that asking took, completely or not
            at all.
    """
    size = engine.batch_size
    for start in range(0, len(groups), size):
        missing = [
            key for group in groups[start : start + size] for key in group if key not in done
        ]
        if missing:
            engine.load()
            began = time.monotonic()
            answers = ask(missing)
            keep(answers, time.monotonic() - began)


def refuse_rationale(engine: Engine) -> None:
    """Refuse to want reasons of an engine that cannot write.

    Raises:
        UsageError: it cannot.
    """
    if not engine.capabilities.generate:
        raise UsageError(
            "--rationale: this judge cannot write reasons, it only reads labels",
            hint="leave out --rationale, or choose another judge or --engine",
        )


def _kept(tree: PromptTree, key_of: Mapping[Place, str], store: Store) -> set[Place]:
    """What of `tree` the store has an answer to."""
    stored = store.keys()
    kept = set()
    for (index, metric), key in key_of.items():
        d = tree.items[index].dialogue
        found = stored.get((d.system, d.character, d.scenario, metric))
        if found is not None and found != key:
            raise RunMismatchError(
                f"{metric} of {d.id} was asked in other words",
                path=store.folder,
                hint="choose another --out: answers to two questions do not mix",
            )
        if found is not None:
            kept.add((index, metric))
    return kept


@dataclass(frozen=True, slots=True)
class _Answers:
    """To one batch: a read for each place, what was written, and items with their reasons."""

    reads: Sequence[LabelRead]
    written: Sequence[Written] = ()
    reasoned: Mapping[int, PromptItem] = field(default_factory=dict)

    def reason(self, read: LabelRead) -> str | None:
        """What was written before `read`."""
        item = self.reasoned.get(read.item)
        return None if item is None else item.reasons.get(read.metric)


def _ask(tree: PromptTree, missing: Sequence[Place], engine: Engine) -> _Answers:
    """A read for each of `missing`, its item counted in `tree`; blank replies are not asked."""
    reads = []
    metrics: dict[int, list[str]] = {}
    for index, metric in missing:
        blank = blank_reply(tree.items[index].dialogue)
        if blank is None:
            metrics.setdefault(index, []).append(metric)
        else:
            reads.append(LabelRead(index, metric, blank))
    asked = {i: replace(tree.items[i], metrics=tuple(of)) for i, of in metrics.items()}
    if not tree.rationale:
        return _Answers([*reads, *_put(engine.score, tree, asked)])
    written = _put(engine.write, tree, asked)
    reasons: dict[int, dict[str, str]] = {i: {} for i in asked}
    for one in written:
        if isinstance(one.outcome, Failure):
            reads.append(LabelRead(one.item, one.metric, one.outcome))
        else:
            reasons[one.item][one.metric] = one.outcome
    reasoned = {
        i: replace(asked[i], metrics=tuple(own), reasons=own) for i, own in reasons.items() if own
    }
    return _Answers([*reads, *_put(engine.score, tree, reasoned)], written, reasoned)


def _put(
    ask: Callable[[PromptTree], Iterator[Answer]],
    tree: PromptTree,
    items: Mapping[int, PromptItem],
) -> list[Answer]:
    """What the engine answers about `items`, each under the number that it has in `tree`."""
    if not items:
        return []
    places = list(items)
    answers = list(ask(replace(tree, items=tuple(items.values()))))
    expected = [(at, m) for at, item in enumerate(items.values()) for m in item.metrics]
    if [(answer.item, answer.metric) for answer in answers] != expected:
        raise EngineError(
            "the engine answered something else than it was asked",
            hint="this is a defect of the engine: please report it",
        )
    return [replace(answer, item=places[answer.item]) for answer in answers]
