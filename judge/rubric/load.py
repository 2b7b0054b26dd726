"""Read the files of a rubric set into a `RubricSet`.

Anything wrong in the TOML files, such as a value of another type, an unknown key or a metric in no
dimension, is a RubricError that names the file, the line and the key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from judge.errors import RubricError
from judge.rubric.render import RubricSet
from judge.rubric.set_files import (
    TomlTable,
    choose_language,
    find_folder,
    hash_files,
    profiles_file,
    read_templates,
    read_toml,
)
from judge.types import Character, Dimension, Metric, Rubric

__all__ = [
    "RubricManifest",
    "build",
    "faults",
    "languages",
    "load_rubric",
    "read_characters",
    "read_manifest",
]


_CHARACTER_TEXTS = ("traits", "speech", "habits", "people")
_CHARACTER_LISTS = ("address", "catchphrases", "terms")


class RubricManifest(NamedTuple):
    """The content of a `rubric.toml`.

    Attributes:
        rubric: what it declares; its language and hash are still empty.
        characters: the file of the profiles, or None.
    """

    path: Path
    rubric: Rubric
    languages: tuple[str, ...]
    characters: Path | None


def languages(name: str | Path) -> tuple[str, ...]:
    """The languages that the `rubric.toml` of a set lists. Raises the errors of `load_rubric`."""
    return read_manifest(find_folder(name)).languages


def load_rubric(
    name: str | Path, language: str | None = None, characters_file: str | Path | None = None
) -> RubricSet:
    """Read a rubric set in one language.

    Args:
        name: a shipped set, with or without its version (`esrp`, `esrp@1.2.0`), or a folder with
            a `rubric.toml`.
        language: one of the set's languages; the first one by default.
        characters_file: profiles that replace those of the set.

    Raises:
        RubricError: there is no such set, or one of its files is wrong.
        UsageError: the set does not have this language.
    """
    manifest = read_manifest(find_folder(name), characters_file)
    what = f"the rubric set {manifest.rubric.name}"
    chosen = choose_language(language, manifest.languages, what, "--lang")
    for fault in faults(manifest):
        raise RubricError(fault, path=manifest.path, hint="`judge rubrics check` lists every fault")
    sources = read_templates(manifest.path.parent / chosen, "layout.j2")
    return build(manifest, chosen, sources, read_characters(manifest.characters))


def build(
    manifest: RubricManifest,
    language: str,
    sources: Mapping[str, tuple[str, Path]],
    characters: Mapping[str, Character],
) -> RubricSet:
    """A `RubricSet` of its parts, with the hash of the files that they came from."""
    paths = [manifest.path, *(path for _, path in sources.values())]
    paths += [manifest.characters] if manifest.characters else []
    rubric = replace(manifest.rubric, language=language, hash=hash_files(paths))
    return RubricSet(rubric, sources, characters)


# rubric.toml


def read_manifest(folder: Path, characters: str | Path | None = None) -> RubricManifest:
    """Read the `rubric.toml` of a set. Only types are checked here; `faults` checks the values.

    Args:
        characters: a file of profiles that replaces that of the set.

    Raises:
        RubricError: it is not TOML, has another format, or a key is missing, unknown or of the
            wrong type; or there is no file `characters`.
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
    return RubricManifest(
        path=top.path,
        rubric=Rubric(
            name=top.text("name"),
            version=top.text("version"),
            language="",
            hash="",
            labels=top.texts("labels"),
            dimensions=dimensions,
            metrics=tuple(_metric(table, dimension_of) for table in top.tables("metric")),
        ),
        languages=top.texts("languages"),
        characters=profiles_file(top, characters),
    )


def faults(manifest: RubricManifest) -> Iterator[str]:
    """What is inconsistent in a `rubric.toml` whose types are right, one sentence per fault."""
    rubric = manifest.rubric
    yield from _label_faults(rubric.labels)
    yield from _duplicates("language", manifest.languages)
    yield from _duplicates("dimension", [dimension.name for dimension in rubric.dimensions])
    yield from _duplicates("metric", [metric.name for metric in rubric.metrics])
    metrics = {metric.name for metric in rubric.metrics}
    for dimension in rubric.dimensions:
        for name in dimension.metrics:
            if name not in metrics:
                yield f"the dimension {dimension.name} names {name}, which has no [[metric]] table"
    grouped = Counter(m for dimension in rubric.dimensions for m in dimension.metrics)
    for metric in rubric.metrics:
        count = grouped[metric.name]
        if metric.unit == "dialogue" and count != 1:
            where = "no dimension" if count == 0 else "more than one dimension"
            yield f"the metric {metric.name} is in {where}"
        if metric.unit == "replies" and count:
            yield f"the metric {metric.name} judges replies, so no dimension can have it"
    titles = [(dimension.name, dimension.titles) for dimension in rubric.dimensions]
    titles += [(metric.name, metric.titles) for metric in rubric.metrics]
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
        # Scores are positions on the scale 1..K, so labels 0-4 would be reported as 1-5.
        yield f"labels that are numbers must be {scale}, found {list(labels)}"


def _duplicates(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"the {what} {name} is there twice"


def _metric(table: TomlTable, dimension_of: Mapping[str, str]) -> Metric:
    table.allow("name", "titles", "unit")
    name = table.text("name")
    unit: Literal["dialogue", "replies"] = "dialogue"
    if "unit" in table.values and table.text("unit") != "dialogue":
        unit = "replies"
        if table.text("unit") != unit:
            raise table.error("unit", f"must be dialogue or replies, found {table.text('unit')!r}")
    return Metric(name, dimension_of.get(name, ""), table.texts_by("titles"), unit)


# characters.toml


def _raise(error: RubricError) -> None:
    raise error


def read_characters(
    path: Path | None, report: Callable[[RubricError], None] = _raise
) -> dict[str, Character]:
    """The profiles of a file by the names of the characters; none if `path` is None.

    Args:
        path: the `characters.toml`.
        report: is called with each error: the file cannot be read, a profile is not valid, or a
            character has two. By default the first error is raised.
    """
    characters: dict[str, Character] = {}
    if path is None:
        return characters
    try:
        top = read_toml(path)
        top.allow("format", "character")
        tables = top.tables("character")
    except RubricError as error:
        report(error)
        return characters
    for table in tables:
        try:
            character = _read_character(table)
            if character.name in characters:
                raise table.error("name", f"{character.name} already has a profile")
            characters[character.name] = character
        except RubricError as error:
            report(error)
    return characters


def _read_character(table: TomlTable) -> Character:
    """The profile in a `[[character]]` table; RubricError if a key is wrong."""
    table.allow("name", "names", "work", *_CHARACTER_TEXTS, *_CHARACTER_LISTS)
    traits, speech, habits, people = (table.text(key) for key in _CHARACTER_TEXTS)
    address, catchphrases, terms = (
        table.texts(key, least=0) if key in table.values else () for key in _CHARACTER_LISTS
    )
    return Character(
        name=table.text("name"),
        known=True,
        names=table.texts_by("names"),
        work=table.texts_by("work"),
        traits=traits,
        speech=speech,
        habits=habits,
        people=people,
        address=address,
        catchphrases=catchphrases,
        terms=terms,
    )
