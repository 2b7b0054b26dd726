"""The files of a rubric set or a set of roleplay prompts: where they are, and how they are read.

Every mistake in a TOML file is reported with its file, line and key.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from judge.errors import RubricError, StoreError, UsageError
from judge.limits import CONFIG_BYTES, LimitError, read_regular

__all__ = [
    "FORMAT",
    "TomlTable",
    "choose_language",
    "find_folder",
    "hash_files",
    "new_set",
    "profiles_file",
    "read_templates",
    "read_toml",
    "shipped_sets",
]

FORMAT = 1
"""The newest `format` of rubric.toml and characters.toml that this version reads."""

_EXAMPLE = "judge rubrics new FOLDER writes files that are right, with comments"


@dataclass(frozen=True)
class TomlTable:
    """A table of a TOML file, with its position in the file for error messages.

    Every method that reads a value raises a RubricError if the key is missing or has another type.

    Attributes:
        values: the keys and values of the table.
        label: how messages name the table; "" for the top level.
        start: the 1-based line where the table begins; 0 for the top level or if it is unknown.
    """

    path: Path
    lines: tuple[str, ...]
    values: Mapping[str, object]
    label: str = ""
    start: int = 0

    def error(self, key: str, problem: str, hint: str = _EXAMPLE) -> RubricError:
        """A RubricError about `key`, with the line of the key if it is found in this table."""
        line = self.start or None
        for number, text in enumerate(self.lines[self.start :], start=self.start + 1):
            if text.lstrip().startswith("["):
                break
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", text):
                line = number
                break
        return RubricError(f"{self.label}{key}: {problem}", path=self.path, line=line, hint=hint)

    def allow(self, *keys: str) -> None:
        """Refuse all other keys, because a misspelt key would otherwise be ignored silently."""
        for key in self.values:
            if key not in keys:
                raise self.error(key, "unknown key", hint=f"the keys are {', '.join(keys)}")

    def get(self, key: str) -> object:
        """The value of any type."""
        if key not in self.values:
            raise self.error(key, "the key is missing")
        return self.values[key]

    def text(self, key: str) -> str:
        """A string that is not blank."""
        value = self.get(key)
        if not _is_text(value):
            raise self.error(key, f"must be text, found {value!r}")
        return str(value)

    def texts(self, key: str, least: int = 1) -> tuple[str, ...]:
        """A list of at least `least` strings that are not blank."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) < least or not all(map(_is_text, value)):
            raise self.error(key, f"must be a list of texts in quotes, found {value!r}")
        return tuple(value)

    def texts_by(self, key: str) -> dict[str, str]:
        """A table language -> string."""
        value = self.get(key)
        if not isinstance(value, dict) or not value or not all(map(_is_text, value.values())):
            raise self.error(key, f"must be a table of texts by language, found {value!r}")
        return value

    def tables(self, key: str) -> tuple[TomlTable, ...]:
        """An array of tables, each with its own position in the file."""
        value = self.get(key)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.error(key, f"must be tables that begin with [[{key}]], found {value!r}")
        opening = f"[[{key}]]"
        starts = [n for n, text in enumerate(self.lines, 1) if text.strip().startswith(opening)]
        if len(starts) != len(value):  # written as an inline array
            starts = [0] * len(value)
        return tuple(
            TomlTable(self.path, self.lines, item, f"{key} {item.get('name', n)}, ", start)
            for n, (item, start) in enumerate(zip(value, starts, strict=True), 1)
        )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _read_text(path: Path, folder: Path) -> str:
    """The content of a file of the set in `folder`.

    Raises:
        RubricError: it cannot be read, is not UTF-8, or is a link out of the folder.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RubricError(
            f"it is a link to {path.resolve()}, which is not in the folder of the set",
            path=path,
            hint="put a copy of the file into the folder: what is in a prompt is part of the set",
        )
    try:
        return read_regular(path, CONFIG_BYTES).decode("utf-8")
    except LimitError as error:
        raise RubricError(str(error), path=path, hint="put a text file there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RubricError(str(error), path=path, hint="save the file as UTF-8 text") from error


def read_toml(path: Path) -> TomlTable:
    """The top level of a TOML file; RubricError if it is not TOML or has another `format`."""
    text = _read_text(path, path.parent)
    try:
        top = TomlTable(path, tuple(text.split("\n")), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line (\d+)", str(error))
        line = int(match[1]) if match else None
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


# Folders and hashes


def shipped_sets(manifest: str = "rubric.toml") -> dict[str, Path]:
    """The sets that come with the program and contain a file `manifest`: name -> folder.

    A name without a version is the version that is used unless another is asked for; its other
    versions lie in folders NAME@VERSION.
    """
    root = Path(str(files("rubrics")))
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{manifest}"))}


def new_set(folder: Path) -> None:
    """Write the skeleton of a rubric set, which is named like its folder.

    Raises:
        UsageError: there is something at `folder` already.
        StoreError: it cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", hint="name a folder that is not there yet")
    try:
        shutil.copytree(Path(str(files("judge.rubric"))) / "skeleton", folder, dirs_exist_ok=True)
        manifest = folder / "rubric.toml"
        text = manifest.read_text(encoding="utf-8")
        name = json.dumps(folder.resolve().name or "mine", ensure_ascii=False)
        manifest.write_text(text.replace('"mine"', name, 1), encoding="utf-8", newline="\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot be written: {reason}", path=folder) from None


def find_folder(name: str | Path, manifest: str = "rubric.toml", what: str = "rubric set") -> Path:
    """The folder of a set, given by the name of a shipped set or by its path.

    Args:
        name: a shipped set, with or without its version (`esrp`, `esrp@1.1.0`), or a folder.
        manifest: the file that the folder must contain.
        what: what the folder is, for the message.

    Raises:
        RubricError: there is no such set or folder.
    """
    known = shipped_sets(manifest)
    folder = known.get(str(name), Path(name))
    plain, _, version = str(name).partition("@")
    if plain in known and read_toml(known[plain] / manifest).text("version") == version:
        folder = known[plain]
    if not (folder / manifest).is_file():
        raise RubricError(
            f"there is no {what} {str(name)!r}",
            hint=f"name one of {', '.join(known)}, or a folder with a {manifest}",
        )
    return folder


def profiles_file(top: TomlTable, chosen: str | Path | None = None) -> Path | None:
    """The file of the profiles: `characters.toml` beside the manifest, or that of another set.

    Args:
        top: the manifest, whose key `characters` may name another set.
        chosen: the file that is used instead.

    Raises:
        RubricError: the other set has no profiles, or there is no file `chosen`.
    """
    if chosen is not None:
        if not Path(chosen).is_file():
            raise RubricError(
                "there is no such file of characters",
                path=Path(chosen),
                hint="judge rubrics new FOLDER writes a characters.toml to begin with",
            )
        return Path(chosen)
    folder = top.path.parent
    own = folder / "characters.toml"
    if own.is_file():
        return own
    if "characters" not in top.values:
        return None
    borrowed = top.text("characters")
    path = shipped_sets().get(borrowed, folder / borrowed) / "characters.toml"
    if not path.is_file():
        raise top.error("characters", f"there is no {path}")
    return path


def choose_language(language: str | None, languages: Sequence[str], what: str, option: str) -> str:
    """`language`, or the first of the set's languages if it is None.

    Args:
        language: of the prompts.
        what: names the set in the message.
        option: by which the user chose the language.

    Raises:
        UsageError: the set does not have this language.
    """
    if language is None:
        return languages[0]
    if language not in languages:
        raise UsageError(
            f"{option} {language}: {what} has no such language",
            hint=f"choose from {', '.join(languages)}",
        )
    return language


def read_templates(folder: Path, *needed: str) -> dict[str, tuple[str, Path]]:
    """The `*.j2` files in the folder of a language: file name -> (text, path), sorted.

    Raises:
        RubricError: a file in `needed` is missing, or a file is not UTF-8 text.
    """
    paths = sorted(folder.glob("*.j2"))
    for name in needed:
        if not any(path.name == name for path in paths):
            raise RubricError(
                f"the language folder has no {name}",
                path=folder,
                hint="compare the sets in the folder rubrics of this program",
            )
    return {path.name: (_read_text(path, folder.parent), path) for path in paths}


def hash_files(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) over the names and contents of files; their folders do not matter."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
