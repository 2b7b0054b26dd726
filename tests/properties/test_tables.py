"""Laws of reading tables: pandas' columns are the cells that the csv module finds."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from judge.errors import DataError
from judge.tables import read_table

CELLS = st.text(st.sampled_from('ab "\n\r\t,\0é\u2028\x0b\x1c'), max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A CSV file: cells quoted as they should be, or not, with any line ends."""
    width = draw(st.integers(1, 3))
    lines = (
        ["xyz"[n] for n in range(width)],
        *draw(st.lists(st.lists(CELLS, min_size=1, max_size=3))),
    )
    quote = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    out = io.StringIO(newline="")
    csv.writer(
        out, quoting=quote, lineterminator=draw(st.sampled_from(["\r\n", "\n", "\r"]))
    ).writerows(line if draw(st.booleans()) else (line * width)[:width] for line in lines)
    text = out.getvalue()
    return text.replace('"', "") if draw(st.booleans()) else text


@given(documents() | st.text(st.sampled_from('a",\n\r'), min_size=1))
@example('a,b\n1,"2\n"\n\n3,4')
def test_cells_and_lines_are_those_of_the_csv_module(text: str) -> None:
    """The same cells on the same lines if there are headings and every row has a cell for each.

    Another text is read in some way or refused; it never ends in another error.
    """
    expected = reference(text)
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        path.write_text(text, encoding="utf-8", newline="")
        try:
            found = [(line, list(row.values())) for line, row in read_table(path).rows()]
        except DataError:
            found = None
    assert expected is None or found == expected


def reference(text: str) -> list[tuple[int, list[str]]] | None:
    """Rows with their lines as the csv module reads them, None for what is no plain table."""
    if not text.strip():
        return None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        heading = next(reader)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error:
        return None
    names = [name.strip() for name in heading]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        return None
    if any(len(cells) != len(names) for _, cells in rows):
        return None
    return rows
