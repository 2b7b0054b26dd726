"""A file written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from judge.errors import StoreError

__all__ = ["write_bytes", "write_text"]

_HINT = "make room or choose another folder with --out; the judgments are kept"


def write_text(path: Path, text: str, hint: str = _HINT) -> Path:
    """As `write_bytes`, in UTF-8 with line breaks as they are on every system."""
    return write_bytes(path, text.encode("utf-8"), hint)


def write_bytes(path: Path, content: bytes, hint: str = _HINT) -> Path:
    """Write beside, then in place: an interrupted write leaves the older file.

    Folders are made as needed.

    Raises:
        StoreError: the file cannot be written; `hint` says how to mend it.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(f"cannot be written: {error.strerror}", path=path, hint=hint) from error
    return path
