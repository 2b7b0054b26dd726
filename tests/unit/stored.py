"""Records sent through a file and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from judge.records import read_record

_Record = TypeVar("_Record")


def reread(plain: Mapping[str, Any], record_type: type[_Record], newest: int) -> _Record:
    """The record that a JSON file with this content holds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")
        return read_record(path, record_type, newest=newest, kind="record", hint="none")
