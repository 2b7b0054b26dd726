"""From the files of a rubric set to a `RubricSet`.

Whatever the TOML files hold that they should not (another type, an unknown key, a metric in
no dimension) is a RubricError that names the file, the line and the key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from judge.errors import RubricError, UsageError
from judge.rubric.characters import read_characters
from judge.rubric.folders import characters_file, find_folder, hash_files, read_templates, shipped
from judge.rubric.sets import RubricSet
from judge.rubric.toml import Table, read_toml
from judge.types import Character, Dimension, Metric, Rubric

__all__ = [
    "Manifest",
    "build",
    "faults",
    "find_set",
    "languages",
    "load_rubric",
    "read_manifest",
    "shipped_sets",
]


class Manifest(NamedTuple):
    """What a `rubric.toml` says; `characters` is the file of the profiles, None without any."""

    path: Path
    name: str
    version: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    characters: Path | None
    dimensions: tuple[Dimension, ...]
    metrics: tuple[Metric, ...]


def shipped_sets() -> dict[str, Path]:
    """The rubric sets that come with the program: name -> folder."""
    return shipped("rubric.toml")


def find_set(name: str | Path) -> Path:
    """The folder of a shipped set, or `name` itself if it is a folder with a `rubric.toml`.

    Raises:
        RubricError: neither.
    """
    return find_folder(name, "rubric.toml", "rubric set")


def languages(name: str | Path) -> tuple[str, ...]:
    """The languages of a set, as its `rubric.toml` lists them. Raises what `load_rubric` does."""
    return read_manifest(find_set(name)).languages


def load_rubric(name: str | Path, language: str | None = None) -> RubricSet:
    """Read a shipped set by name, or any folder that has a `rubric.toml`.

    Args:
        name: `esrp`, `tiny`, ... or the path of a folder.
        language: one of the set's languages; default the first it lists.

    Raises:
        RubricError: no such set, or a file of it that cannot be read as what it should be.
        UsageError: a language that the set does not have.
    """
    manifest = read_manifest(find_set(name))
    chosen = manifest.languages[0] if language is None else language
    if chosen not in manifest.languages:
        raise UsageError(
            f"--lang {chosen}: the rubric set {manifest.name} has no such language",
            hint=f"choose from {', '.join(manifest.languages)}",
        )
    for fault in faults(manifest):
        raise RubricError(fault, path=manifest.path, hint="`judge rubrics check` lists every fault")
    sources = read_templates(manifest.path.parent / chosen, "layout.j2")
    return build(manifest, chosen, sources, read_characters(manifest.characters))


def build(
    manifest: Manifest,
    language: str,
    sources: Mapping[str, tuple[str, Path]],
    characters: Mapping[str, Character],
) -> RubricSet:
    """Put the parts of a set together; the hash is that of the files they came from."""
    paths = [manifest.path, *(path for _, path in sources.values())]
    rubric = Rubric(
        name=manifest.name,
        version=manifest.version,
        language=language,
        hash=hash_files([*paths, *([manifest.characters] if manifest.characters else [])]),
        labels=manifest.labels,
        dimensions=manifest.dimensions,
        metrics=manifest.metrics,
    )
    return RubricSet(rubric, sources, characters)


# rubric.toml


def read_manifest(folder: Path) -> Manifest:
    """The `rubric.toml` of a set, every value of the right type. `faults` judges the sense.

    Raises:
        RubricError: it is not TOML, or of another format, or a key is missing, unknown or of
            the wrong type.
    """
    top = read_toml(folder / "rubric.toml")
    keys = ("format", "name", "version", "labels", "languages", "characters")
    top.allow(*keys, "dimension", "metric")
    tables = top.tables("dimension")
    for table in tables:
        table.allow("name", "titles", "metrics")
    dimensions = tuple(
        Dimension(table.text("name"), table.texts_by("titles"), table.texts("metrics"))
        for table in tables
    )
    dimension_of = {metric: d.name for d in dimensions for metric in d.metrics}
    return Manifest(
        path=top.path,
        name=top.text("name"),
        version=top.text("version"),
        labels=top.texts("labels"),
        languages=top.texts("languages"),
        characters=characters_file(top),
        dimensions=dimensions,
        metrics=tuple(_metric(table, dimension_of) for table in top.tables("metric")),
    )


def faults(manifest: Manifest) -> Iterator[str]:
    """What makes no sense in a `rubric.toml` that reads well, one sentence each."""
    yield from _label_faults(manifest.labels)
    yield from _twice("language", manifest.languages)
    yield from _twice("dimension", [dimension.name for dimension in manifest.dimensions])
    yield from _twice("metric", [metric.name for metric in manifest.metrics])
    metrics = {metric.name for metric in manifest.metrics}
    for dimension in manifest.dimensions:
        for name in dimension.metrics:
            if name not in metrics:
                yield f"the dimension {dimension.name} names {name}, which has no [[metric]] table"
    grouped = Counter(m for dimension in manifest.dimensions for m in dimension.metrics)
    for metric in manifest.metrics:
        count = grouped[metric.name]
        if metric.unit == "dialogue" and count != 1:
            where = "no dimension" if count == 0 else "more than one dimension"
            yield f"the metric {metric.name} is in {where}"
        if metric.unit == "replies" and count:
            yield f"the metric {metric.name} judges replies, so no dimension can have it"
    titles = [(dimension.name, dimension.titles) for dimension in manifest.dimensions]
    titles += [(metric.name, metric.titles) for metric in manifest.metrics]
    for name, by_language in titles:
        for language in manifest.languages:
            if language not in by_language:
                yield f"{name} has no title in the language {language}"


def _label_faults(labels: Sequence[str]) -> Iterator[str]:
    scale = [str(number) for number in range(1, len(labels) + 1)]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        yield f"labels must be two or more, all different, found {list(labels)}"
    elif any(label.split() != [label] for label in labels):
        yield f"labels must be single words, found {list(labels)}"
    elif any(label.isdecimal() for label in labels) and list(labels) != scale:
        # A score is a position on the scale, so labels 0-4 would be reported as 1-5.
        yield f"labels that are numbers must be {scale}, found {list(labels)}"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"the {what} {name} is there twice"


def _metric(table: Table, dimension_of: Mapping[str, str]) -> Metric:
    table.allow("name", "titles", "unit")
    name = table.text("name")
    unit: Literal["dialogue", "replies"] = "dialogue"
    if "unit" in table.values and table.text("unit") != "dialogue":
        unit = "replies"
        if table.text("unit") != unit:
            raise table.error("unit", f"must be dialogue or replies, found {table.text('unit')!r}")
    return Metric(name, dimension_of.get(name, ""), table.texts_by("titles"), unit)
