"""Rows of a ratings file: what `judge.tables` reads, and XLSX, each also within gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from judge import tables
from judge.errors import DataError
from judge.ratings.xlsx import read_workbook

__all__ = ["LARGEST", "SUFFIXES", "read_rows", "stem"]

SUFFIXES = (*tables.SUFFIXES, ".xlsx")

LARGEST = 1 << 30
"""Bytes of a table, unpacked. A few kilobytes of gzip can claim to be more than any memory."""


def stem(path: Path) -> str:
    """The name of a file without `.csv`, `.csv.gz`, ..."""
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem


def read_rows(path: Path, data: bytes) -> Iterator[tables.Row]:
    """The rows of a table, each with the line or row where it begins.

    Of a workbook the first sheet is read; its rows are numbered as on the screen.

    Raises:
        DataError: the bytes are not in the format that the extension names.
        MissingExtraError: a Parquet file, and pyarrow is not installed.
    """
    inner = path
    if path.suffix.lower() == ".gz":
        inner = path.with_suffix("")
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"not a readable gzip file: {error}", path=path, hint="fetch or pack it again"
            ) from None
        if len(data) > LARGEST:
            raise DataError(f"it holds more than {LARGEST >> 20} MiB", path=path, hint="divide it")
    suffix = inner.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"ratings are read from {', '.join(SUFFIXES)}, not from "
            f"{suffix or 'a file without extension'}",
            path=path,
            hint="rename or convert the file",
        )
    return read_workbook(path, data) if suffix == ".xlsx" else tables.read_rows(inner, data)
