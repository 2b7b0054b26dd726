"""TOML files whose every mistake can be told with its file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from judge.errors import RubricError

__all__ = ["FORMAT", "Table", "read_text", "read_toml"]

FORMAT = 1
"""The newest `format` of rubric.toml and characters.toml that this version reads."""


@dataclass(frozen=True)
class Table:
    """A table of a TOML file that knows where it stands: `start` is its 1-based line, 0 if unknown.

    Every method that reads a value raises a RubricError if the key is missing or of another type.
    """

    path: Path
    lines: tuple[str, ...]
    values: Mapping[str, object]
    label: str = ""
    start: int = 0

    def error(self, key: str, problem: str, hint: str = "compare rubrics/esrp") -> RubricError:
        """`problem` with `key`, at its line if the key is written out in this table."""
        line = self.start or None
        for number, text in enumerate(self.lines[self.start :], start=self.start + 1):
            if text.lstrip().startswith("["):
                break
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", text):
                line = number
                break
        return RubricError(f"{self.label}{key}: {problem}", path=self.path, line=line, hint=hint)

    def allow(self, *keys: str) -> None:
        """Refuse any other key: a misspelt one would be a setting dropped in silence."""
        for key in self.values:
            if key not in keys:
                raise self.error(key, "unknown key", hint=f"the keys are {', '.join(keys)}")

    def get(self, key: str) -> object:
        """The value, whatever it is."""
        if key not in self.values:
            raise self.error(key, "the key is missing")
        return self.values[key]

    def text(self, key: str) -> str:
        """A text that is not blank."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"must be text, found {value!r}")
        return value

    def texts(self, key: str, least: int = 1) -> tuple[str, ...]:
        """A list of at least `least` texts."""
        value = self.get(key)
        if (
            not isinstance(value, list)
            or len(value) < least
            or not all(isinstance(v, str) and v.strip() for v in value)
        ):
            raise self.error(key, f"must be a list of texts in quotes, found {value!r}")
        return tuple(value)

    def texts_by(self, key: str) -> dict[str, str]:
        """A table of texts, by language."""
        value = self.get(key)
        if (
            not isinstance(value, dict)
            or not value
            or not all(isinstance(v, str) and v.strip() for v in value.values())
        ):
            raise self.error(key, f"must be a table of texts by language, found {value!r}")
        return value

    def tables(self, key: str) -> tuple[Table, ...]:
        """An array of tables, each with its own place in the file."""
        value = self.get(key)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.error(key, f"must be tables that begin with [[{key}]], found {value!r}")
        opening = f"[[{key}]]"
        starts = [n for n, text in enumerate(self.lines, 1) if text.strip().startswith(opening)]
        if len(starts) != len(value):  # written as an inline array
            starts = [0] * len(value)
        return tuple(
            Table(self.path, self.lines, item, f"{key} {item.get('name', n)}, ", start)
            for n, (item, start) in enumerate(zip(value, starts, strict=True), 1)
        )


def read_text(path: Path) -> str:
    """The text of a file; RubricError if it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RubricError(str(error), path=path, hint="save the file as UTF-8 text") from error


def read_toml(path: Path) -> Table:
    """The top of a TOML file; RubricError if it is not TOML or has another `format`."""
    text = read_text(path)
    try:
        top = Table(path, tuple(text.split("\n")), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else None
        raise RubricError(
            f"not valid TOML: {error}", path=path, line=line, hint="see https://toml.io"
        ) from error
    if top.get("format") != FORMAT:
        raise top.error(
            "format",
            f"{top.get('format')!r} is not one this version reads",
            hint=f"set `format = {FORMAT}`, or upgrade esrp-judge",
        )
    return top
