"""Where sets of templates lie, and the files they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from judge.errors import RubricError
from judge.rubric.toml import Table, read_text

__all__ = ["characters_file", "find_folder", "hash_files", "read_templates", "shipped"]


def shipped(manifest: str) -> dict[str, Path]:
    """The sets that come with the program and have a file `manifest`: name -> folder."""
    root = Path(str(files("rubrics")))
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{manifest}"))}


def find_folder(name: str | Path, manifest: str, what: str) -> Path:
    """The folder of a shipped set, or `name` itself if it is a folder with a file `manifest`.

    Raises:
        RubricError: neither; `what` says what there is none of.
    """
    known = shipped(manifest)
    folder = known.get(str(name), Path(name))
    if not (folder / manifest).is_file():
        raise RubricError(
            f"there is no {what} {str(name)!r}",
            hint=f"name one of {', '.join(known)}, or a folder with a {manifest}",
        )
    return folder


def characters_file(top: Table) -> Path | None:
    """The profiles beside a manifest, else those of the set that its `characters` names.

    Raises:
        RubricError: that set has none.
    """
    folder = top.path.parent
    own = folder / "characters.toml"
    if own.is_file():
        return own
    if "characters" not in top.values:
        return None
    borrowed = top.text("characters")
    path = shipped("rubric.toml").get(borrowed, folder / borrowed) / "characters.toml"
    if not path.is_file():
        raise top.error("characters", f"there is no {path}")
    return path


def read_templates(folder: Path, *needed: str) -> dict[str, tuple[str, Path]]:
    """The `*.j2` files of a language: file name -> (text, path), sorted.

    Raises:
        RubricError: there is none of a `needed` name, or a file is not UTF-8 text.
    """
    paths = sorted(folder.glob("*.j2"))
    for name in needed:
        if not any(path.name == name for path in paths):
            raise RubricError(
                f"the language folder has no {name}",
                path=folder,
                hint="compare the sets in the folder rubrics of this program",
            )
    return {path.name: (read_text(path), path) for path in paths}


def hash_files(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) over the names and bytes of files, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
