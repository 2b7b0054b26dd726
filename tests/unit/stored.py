"""Records sent through a file and back, and what a page of dialogues holds."""

from __future__ import annotations

import base64
import gzip
import json
import re
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


def unpacked(page: str, name: str) -> Any:
    """The data in a page of dialogues: `index`, or `block-0` and so on."""
    (packed,) = re.findall(f'id="{name}">([^<]*)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))
