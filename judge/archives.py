"""Files that are small and hold much: gzip, and workbooks, which are zip files of XML.

Their size is found before anything is built from them. A workbook of a few kilobytes can name the
cell XFD1048576, and a reader that makes a rectangle of its cells would ask for 512 GiB.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePath
from xml.parsers import expat

from judge import limits
from judge.limits import CELLS, LimitError

__all__ = ["refuse_large_workbook", "unpacked"]

_FREE = 64 << 20
"""Bytes that any packed file may have unpacked."""
_RATIO = 100
"""How many times its own size a packed file may have unpacked beyond that. Tables of ratings that
repeat themselves much are packed 50 times smaller."""
_CHUNK = 1 << 20

_REFERENCE = re.compile(rb"""\sr\s*=\s*["'](?:([A-Za-z]{1,8}))?(\d{1,10})?["']""")
_SHEET = re.compile(rb"<(?:\w+:)?sheet\s")


def unpacked(data: bytes) -> bytes:
    """What a gzip file holds.

    Raises:
        OSError, EOFError, zlib.error: it is damaged.
        LimitError: it holds too much.
    """
    most = _most(len(data))
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        content = packed.read(most + 1)
    if len(content) > most:
        raise LimitError(f"it holds more than {most >> 20} MiB, which are the most for its size")
    return content


def refuse_large_workbook(data: bytes) -> None:
    """Refuse a workbook of too many bytes or cells. What is no zip file is left to its reader.

    Raises:
        LimitError: it has too many.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sheets, area = _sheets_and_area(archive, _most(len(data)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        return
    if area * sheets > CELLS:
        raise LimitError(
            f"its filled cells span {area:,} cells in each of {sheets} sheets; "
            f"up to {CELLS:,} are read"
        )


def _sheets_and_area(archive: zipfile.ZipFile, most: int) -> tuple[int, int]:
    """How many sheets there are, and rows times columns of the largest."""
    sheets, area = 1, 0  # several sheets can be made of one part
    for name, content in _parts(archive, most):
        if name == "xl/workbook.xml":
            sheets = max(len(_SHEET.findall(content)), 1)
        elif name.startswith("xl/"):
            area = max(area, _area_of_references(content))
        elif name == "content.xml":
            area = max(area, _area_of_open_document(content))
    return sheets, area


def _most(packed: int) -> int:
    return min(limits.TABLE_BYTES, max(_FREE, _RATIO * packed))


def _parts(archive: zipfile.ZipFile, most: int) -> Iterable[tuple[str, bytes]]:
    """Every XML part; the others, such as pictures, only count."""
    total = 0
    for entry in archive.infolist():
        content = bytearray()
        with archive.open(entry) as part:
            while chunk := part.read(_CHUNK):  # a zip file may say less than it holds
                total += len(chunk)
                if total > most:
                    raise LimitError(
                        f"it holds more than {most >> 20} MiB, which are the most for its size"
                    )
                content += chunk
        name = entry.filename.replace("\\", "/").lstrip("/")
        if PurePath(name).suffix == ".xml":
            yield name, bytes(content)


def _area_of_references(content: bytes) -> int:
    """Rows times columns of a sheet of XLSX, from the references of its rows and cells."""
    rows = columns = 0
    for letters, digits in _REFERENCE.findall(content):
        rows = max(rows, int(digits or 0))
        column = 0
        for letter in letters.upper():
            column = 26 * column + letter - 64
        columns = max(columns, column)
    return rows * max(columns, 1)


def _area_of_open_document(content: bytes) -> int:
    """Rows times columns of the largest table of an ODS file, up to its last cell with a value."""
    area = _OpenDocumentArea()
    with suppress(expat.ExpatError):  # its reader says what is wrong
        area.parser.Parse(content, True)  # noqa: FBT003 - expat takes no names
    return area.largest


class _OpenDocumentArea:
    """Counts while the XML is read. Rows and cells say how often they are repeated."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.largest = 0
        self._rows = self._columns = self._width = self._last_column = 0
        self._row_repeated = self._cell_repeated = 1
        self._filled = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "table":
                self._rows = self._last_column = 0
            case "table-row":
                self._columns = self._width = 0
                self._row_repeated = _repeated(attributes)
            case "table-cell" | "covered-table-cell":
                self._cell_repeated = _repeated(attributes)
                self._filled = any("value" in key or "formula" in key for key in attributes)
            case "p":
                self._filled = True

    def _end(self, name: str) -> None:
        match name.rpartition(":")[2]:
            case "table-cell" | "covered-table-cell":
                self._columns += self._cell_repeated
                self._width = self._columns if self._filled else self._width
                self._filled = False
            case "table-row":
                self._rows += self._row_repeated
                if self._width:
                    self._last_column = max(self._last_column, self._width)
                    self.largest = max(self.largest, self._rows * self._last_column)


def _repeated(attributes: dict[str, str]) -> int:
    found = [value for name, value in attributes.items() if name.endswith("-repeated")]
    return int(found[0]) if found and found[0].isdecimal() and len(found[0]) < 10 else 1
