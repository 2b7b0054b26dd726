"""What a workflow is given, read: dialogues, ratings and published means, from files or objects."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from judge import dialogues as dialogue_files
from judge import manifest as manifests
from judge import ratings as rating_files
from judge.analysis.published import PAPER, PublishedMeans, paper_means, read_published
from judge.chatanime import data_root
from judge.dialogues import DialogueSet
from judge.errors import DataError, UsageError
from judge.ratings import Ratings, Scale, ensure_complete, ensure_usable
from judge.ratings.reference import REFERENCE, is_reference, reference_dialogues, reference_scores
from judge.rubric import load_rubric
from judge.text_files import stem
from judge.types import Dialogue, Metric

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PLAYED",
    "DialogueSource",
    "RatingsFile",
    "RatingsSource",
    "as_file",
    "dialogue_lines",
    "name_of",
    "paths_of",
    "published_means",
    "read_dialogues",
    "read_ratings",
    "reference_or_file",
    "usable_ratings",
    "usual_folder",
    "usual_table_name",
]

PLAYED = "dialogues.jsonl"
"""The file of a run folder that has all that was played in it."""


class RatingsFile(NamedTuple):
    """A file of human ratings, and how it is to be read.

    Attributes:
        path: see `read_ratings` for the formats.
        aliases: what a metric or a column is called in the file -> its name.
        scale: what a rating may be, as `1-5`; None for 1-5, and a file that looks as if it were on
            another scale is refused.
        step: between two neighbouring ratings; 0 allows every number.
        sheet: the one to be read of a workbook; None for all that have the same columns.
        raters, systems: the headings of columns that each hold the scores of one rater, or of one
            system.
        mapping: a table that says for each `heading` of a questionnaire what its scores are of.
        allow_missing: go on where more than 1% of the ratings were refused; every page says so.
    """

    path: str | Path
    aliases: Mapping[str, str] = {}
    scale: str | None = None
    step: float = 1.0
    sheet: str | None = None
    allow_missing: bool = False
    raters: Sequence[str] = ()
    systems: Sequence[str] = ()
    mapping: str | Path | None = None


DialogueSource: TypeAlias = "str | Path | DialogueSet | Sequence[Dialogue] | pd.DataFrame"
RatingsSource: TypeAlias = "str | Path | RatingsFile | Ratings | pd.DataFrame"


def read_dialogues(source: DialogueSource | Sequence[str | Path]) -> DialogueSet:
    """Dialogues of a file, a folder, several of them, a table in memory, or a list of dialogues.

    Args:
        source: `reference` for the public dialogues that have reference judgments; or a ChatAnime
            file or a folder of them, or a table with one row for each round and
            the columns `system`, `character`, `scenario`, `round`, `question` and `answer`: as
            a file, or as a pandas DataFrame.

    Raises:
        DataError: something cannot be read, with the file and the place.
        UsageError: a system is in two of the sources.
    """
    if isinstance(source, DialogueSet):
        return source
    if isinstance(source, str | Path):
        return _one(source)
    if not isinstance(source, Sequence):
        with as_file(source) as path:
            return dialogue_files.read_dialogues(path)
    given = [one for one in source if isinstance(one, Dialogue)]
    if given:
        systems = dict.fromkeys(d.system for d in given)
        texts = {name: dialogue_lines(d for d in given if d.system == name) for name in systems}
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        return DialogueSet(tuple(given), digests)
    return _several([one for one in source if isinstance(one, str | Path)])


def read_ratings(
    source: RatingsSource,
    *,
    rubric: str | Path | None = "esrp",
    aliases: Mapping[str, str] | None = None,
    scale: str | None = None,
    step: float = 1.0,
) -> Ratings:
    """Human ratings of a table, with every rating that had to be refused and why.

    Args:
        source: a `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx` file or a DataFrame, long
            (system, character, scenario, metric, rater, score) or wide (a column a metric).
        rubric: the set whose metrics there are; None takes every metric as it is named.
        aliases: what a metric or a column is called in the table -> its name.
        scale: what a rating may be, as `1-5`.
        step: between two neighbouring ratings; 0 allows every number.

    Raises:
        DataError: the table cannot be used as ratings.
        UsageError: an alias or a scale that cannot be.
    """
    metrics = None if rubric is None else load_rubric(str(rubric)).rubric.metrics
    if isinstance(source, str | Path):
        source = RatingsFile(source, aliases or {}, scale, step)
    return _ratings(source, metrics)


def reference_or_file(file: RatingsFile) -> str | RatingsFile:
    """A file of ratings, or `reference`, whose judgments no option says how to read.

    Raises:
        UsageError: one does.
    """
    if not is_reference(file.path):
        return file
    if file != RatingsFile(file.path):
        raise UsageError(
            "--alias, --scale, --step, --sheet and --allow-missing say how a file is read, and "
            f"--ratings {REFERENCE} is none",
            hint="leave them out",
        )
    return REFERENCE


def usable_ratings(
    source: RatingsSource, metrics: Iterable[Metric], wanted: Sequence[str] = ()
) -> Ratings:
    """Ratings that a workflow can go on with.

    Args:
        metrics: those there are.
        wanted: those that figures are made of; () for all.

    Raises:
        DataError: none can be used, they look as if they were on another scale, or more than 1% of
            those of a metric were refused and the source does not allow it.
        UsageError: an alias or a scale that cannot be.
    """
    found = _ratings(source, metrics)
    ensure_usable(found)
    allowed = isinstance(source, RatingsFile) and source.allow_missing
    return ensure_complete(found, wanted, allow_missing=allowed)


def published_means(source: str | Path | PublishedMeans | None) -> PublishedMeans | None:
    """Published means of systems: of a CSV file, or `paper` for those of arXiv 2508.06388.

    None without a source.
    """
    if source is None or isinstance(source, PublishedMeans):
        return source
    return paper_means() if Path(source) == Path(PAPER) else read_published(Path(source))


def dialogue_lines(dialogues: Iterable[Dialogue]) -> str:
    """Dialogues as JSONL, one line for each round."""
    rows = [
        {
            "system": d.system,
            "character": d.character,
            "scenario": d.scenario,
            "round": number,
            "question": turn.question,
            "answer": turn.answer,
        }
        for d in dialogues
        for number, turn in enumerate(d.turns, start=1)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _of_reference() -> DialogueSet:
    """The public dialogues that have reference judgments.

    Raises:
        DataError: they are not there.
    """
    folder = data_root() / "chatanime"
    fetch = "`judge data fetch` gets the public dialogues; $JUDGE_DATA names the folder above them"
    if not folder.is_dir():
        raise DataError(
            f"--model {REFERENCE} needs the public dialogues, and they are not there",
            path=folder,
            hint=fetch,
        )
    found = dialogue_files.read_dialogues(folder)
    wanted, held = len(reference_scores(None).dialogues), reference_dialogues(found.dialogues)
    if len(held) < wanted:
        raise DataError(
            f"it holds {len(held)} of the {wanted} dialogues that have reference judgments",
            path=folder,
            hint=fetch,
        )
    return DialogueSet(held, found.sources)


def _one(source: str | Path) -> DialogueSet:
    return _of_reference() if is_reference(source) else dialogue_files.read_dialogues(Path(source))


def _several(paths: Sequence[str | Path]) -> DialogueSet:
    """The dialogues of all files, and the SHA-256 of the file of each system."""
    dialogues: list[Dialogue] = []
    sources: dict[str, str] = {}
    notes: list[str] = []
    for path in paths:
        part = _one(path)
        twice = sources.keys() & part.sources.keys()
        if twice:
            raise UsageError(
                f"--model {path}: the system {', '.join(sorted(twice))} was given before",
                hint="give every system once; a system is named by its file, or in its table",
            )
        dialogues += part.dialogues
        sources |= part.sources
        notes += part.notes
    return DialogueSet(tuple(dialogues), sources, tuple(notes))


def _ratings(source: RatingsSource, metrics: Iterable[Metric] | None) -> Ratings:
    if isinstance(source, Ratings):
        return source
    if isinstance(source, str | Path):
        source = RatingsFile(source)
    if not isinstance(source, RatingsFile):
        with as_file(source) as path:
            return rating_files.read_ratings(path, metrics=metrics)
    usual = source.scale is None and source.step == 1
    return rating_files.read_ratings(
        Path(source.path),
        metrics=metrics,
        aliases=source.aliases,
        scale=None if usual else Scale.parse(source.scale or "1-5", source.step),
        sheet=source.sheet,
        raters=source.raters,
        systems=source.systems,
        mapping=None if source.mapping is None else Path(source.mapping),
    )


@contextmanager
def as_file(frame: pd.DataFrame) -> Iterator[Path]:
    """A table in memory as a file, so that it is read and refused like any other table."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frame.jsonl"
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
        yield path


def paths_of(model: DialogueSource | Sequence[str | Path]) -> list[str]:
    """The names in `model`, empty where it is objects."""
    given = [model] if isinstance(model, str | Path) else model
    if not isinstance(given, Sequence):
        return []
    return [str(one) for one in given if isinstance(one, str | Path)]


def name_of(model: DialogueSource | Sequence[str | Path]) -> str:
    """What is judged, for the name of the run folder: a file, or the run that a model played in."""
    paths = [Path(name).resolve() for name in paths_of(model)]
    if not paths:
        return "dialogues"
    name = paths[0].parent.name if paths[0].name == PLAYED else paths[0].stem
    return name if len(paths) == 1 else f"{name}-and-{len(paths) - 1}-more"


def usual_folder(model: DialogueSource | Sequence[str | Path], name: str, judge: str) -> Path:
    """`runs/NAME-JUDGE`; with the names of parents, or a number, if that is of other dialogues."""
    usual = Path("runs") / f"{name}-{Path(judge).name}"
    now = {Path(path).resolve() for path in paths_of(model)}
    if not now or not all(map(Path.exists, now)):
        return usual
    parent = Path(paths_of(model)[0]).resolve().parent.name
    numbered = (usual.with_name(f"{usual.name}-{number}") for number in count(2))
    for folder in chain([usual, usual.with_name(f"{parent}-{usual.name}")], numbered):
        there = manifests.read(folder)
        before = {Path(str(p)).resolve() for p in there.options.get("model") or ()} if there else ()
        if not before or before == now:
            return folder
    raise AssertionError("there is always another number")


def usual_table_name(
    kind: str, table: str | Path | Sequence[str | Path] | pd.DataFrame, judges: Sequence[str]
) -> str:
    """`KIND-TABLE-JUDGE`, of which a file name can be made; a table in memory has no name."""
    files = [table] if isinstance(table, str | Path) else table
    names = [stem(Path(files[0]))] if isinstance(files, Sequence) else []
    return re.sub(r"[^\w.-]+", "_", "-".join([kind, *names, *judges]))
