"""The main job without its frills: ask an engine what is still unasked, keep every answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from judge import manifest as manifests
from judge.engines.base import Engine
from judge.errors import EngineError, RunMismatchError, StoreError
from judge.manifest import Manifest
from judge.scoring import blank_reply, judgment, keys
from judge.store import Store
from judge.types import LabelRead, PromptTree

__all__ = ["Outcome", "Progress", "Run", "run", "score"]

Progress = Callable[[int, int], None]
"""Called with (judgments there, judgments asked for) at the start and after every batch."""

Place = tuple[int, str]
"""An item of the tree and a metric."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many judgments `score` made now, and how many were there."""

    made: int
    reused: int


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
) -> Run:
    """`score` with the manifest in step: there before the first judgment, finished after the last.

    Where nothing was left to judge, the manifest stays as it was.

    Args:
        tree: what is to be judged.
        engine: the judge.
        store: the run folder's database; the manifest lies beside it.
        manifest: what would describe the run if it began now.
        progress: told of every batch.

    Raises:
        RunMismatchError: the folder holds a run of another rubric, judge or text.
        StoreError: the folder cannot be read or written.
        EngineError: the judge cannot be asked.
    """
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
    with store.transaction():
        if before is not None and before.finished and not outcome.made:
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
    the same numbers to the last bit.

    Raises:
        RunMismatchError: the store holds another text of a dialogue, or an answer to another
            question about it.
        StoreError: the store cannot be written.
        EngineError: the judge cannot be asked.
    """
    store.add_dialogues(item.dialogue for item in tree.items)
    key_of = keys(tree, engine.fingerprint)
    kept = _kept(tree, key_of, store)
    made = 0
    progress(len(kept), len(key_of))
    for start in range(0, len(tree.items), engine.batch_size):
        batch = range(start, min(start + engine.batch_size, len(tree.items)))
        missing = [(i, m) for i in batch for m in tree.items[i].metrics if (i, m) not in kept]
        if missing:
            reads = _ask(tree, missing, engine)
            store.add(
                [
                    judgment(read, tree.items[read.item].dialogue, key_of[read.item, read.metric])
                    for read in reads
                ]
            )
            made += len(reads)
            progress(len(kept) + made, len(key_of))
    return Outcome(made=made, reused=len(kept))


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


def _ask(tree: PromptTree, missing: Sequence[Place], engine: Engine) -> list[LabelRead]:
    """A read for each of `missing`, its item counted in `tree`; blank replies are not asked."""
    reads = []
    asked: dict[int, list[str]] = {}
    for index, metric in missing:
        blank = blank_reply(tree.items[index].dialogue)
        if blank is None:
            asked.setdefault(index, []).append(metric)
        else:
            reads.append(LabelRead(index, metric, blank))
    if asked:
        places = list(asked)
        items = tuple(replace(tree.items[i], metrics=tuple(asked[i])) for i in places)
        answers = list(engine.score(replace(tree, items=items)))
        expected = [(i, m) for i, item in enumerate(items) for m in item.metrics]
        if [(read.item, read.metric) for read in answers] != expected:
            raise EngineError(
                "the engine answered something else than it was asked",
                hint="this is a defect of the engine: please report it",
            )
        reads += [replace(read, item=places[read.item]) for read in answers]
    return reads
