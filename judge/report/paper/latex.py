r"""Text and tables as LaTeX that compiles with booktabs, siunitx and graphicx.

It is plain ASCII, except for Chinese, which pdflatex can set only with CJKutf8 and its fonts.
Chinese becomes `\judgecjk{流畅}{U+6D41 U+7545}`; the default definition of that command prints the
code points, and a document such as that of `write_paper` may define it to print the characters.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from importlib.resources import files

from judge.report.paper.table import Column, Entry, Number, PaperTable, Range, Row, grouped, missing

__all__ = ["CJK_FALLBACK", "FITTED", "escape", "latex_table"]

CJK_FALLBACK = r"\providecommand{\judgecjk}[2]{#2}"

FITTED = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}"
"""Shrinks what follows to the width of the page if it is wider."""

_CJK = re.compile("[\u2e80-\u2fdf\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]+")
_LONG = re.compile(r"[0-9A-Za-z]{25,}")

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    # At the start of a line of a table, these would be read as arguments of the line break before.
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
}

_KNOWN = dict(
    line.split("\t")
    for line in (files("judge.report.paper") / "characters.tsv").read_text("utf-8").splitlines()
)
"""The LaTeX of characters beyond ASCII."""

_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}


def escape(text: str) -> str:
    """Any text as LaTeX that prints it and does nothing else.

    A character that has no LaTeX is printed as its code point. Line breaks become spaces, and
    LaTeX may break hashes across lines.
    """
    flat = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
    pieces: list[str] = []
    for part in re.split(f"({_CJK.pattern})", flat):
        if _CJK.fullmatch(part):
            pieces.append(rf"\judgecjk{{{part}}}{{{_code_points(part)}}}")
        else:
            pieces += [_piece(word) for word in re.split(f"({_LONG.pattern})", part)]
    return "".join(pieces)


def _piece(word: str) -> str:
    if _LONG.fullmatch(word):
        return r"\allowbreak{}".join(word[start : start + 8] for start in range(0, len(word), 8))
    # LaTeX would set two hyphens as a dash.
    return re.sub("-(?=-)", "-{}", "".join(map(_character, word)))


def _character(character: str) -> str:
    known = _SPECIAL.get(character) or _KNOWN.get(character)
    if known or character in string.printable:
        return known or character
    parts = unicodedata.normalize("NFD", character)
    base, accent = parts[0], _ACCENTS.get(parts[1:])
    if accent and base in string.ascii_letters:
        dotless = rf"\{base}" if base in "ij" and accent != "c" else base
        return rf"\{accent}{{{dotless}}}"
    return _code_points(character)


def _code_points(text: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in text)


def latex_table(table: PaperTable) -> str:
    """A float that can be pasted alone into a document with one column or two.

    It needs booktabs, siunitx and graphicx, and shrinks if it would be wider than the page.
    """
    letters = {reason: _letter(n) for n, reason in enumerate(table.reasons())}
    columns = table.columns
    body = _body(table, letters)
    lines = [
        r"% Needs \usepackage{booktabs,siunitx,graphicx}.",
        r"\begin{table*}[!htbp]",
        r"  \centering\footnotesize",
        r"  \setlength{\tabcolsep}{2.5pt}",
        r"  \setlength{\abovecaptionskip}{6pt}\setlength{\belowcaptionskip}{6pt}",
        r"  \sisetup{group-digits=integer,group-separator={,},group-minimum-digits=4}",
        rf"  \caption{{{_caption(table)}}}",
        rf"  \label{{tab:agreement-{table.name}}}",
        rf"  {FITTED}{{%",
        rf"  \begin{{tabular}}{{@{{}}{''.join(_formats(table))}@{{}}}}",
        r"    \toprule",
        *_heads(columns),
        r"    \midrule",
        *(f"    {line}" for line in _spaced(body, table.rows)),
        r"    \bottomrule",
        r"  \end{tabular}}",
        *_notes(table, letters),
        r"\end{table*}",
    ]
    text = "\n".join(lines) + "\n"
    return f"{CJK_FALLBACK}\n{text}" if r"\judgecjk" in text else text


def _caption(table: PaperTable) -> str:
    bold = "".join(rf"\textbf{{{escape(banner)}}} " for banner in table.banners)
    return bold + escape(table.caption)


def _letter(n: int) -> str:
    """The letter of a note: a, b, ..., z, aa, ab, ..."""
    alphabet = string.ascii_lowercase
    return alphabet[n] if n < len(alphabet) else _letter(n // 26 - 1) + alphabet[n % 26]


def _formats(table: PaperTable) -> list[str]:
    numbers = [
        [cell for row in table.rows if isinstance(cell := row.cells[n], Number)]
        for n in range(len(table.columns))
    ]
    # Columns under upright heads hold numbers of one kind: their widths are made equal.
    upright = [
        cell
        for column, cells in zip(table.columns, numbers, strict=True)
        for cell in cells
        if column.upright
    ]
    formats = []
    for n, (column, cells) in enumerate(zip(table.columns, numbers, strict=True)):
        if n and column.group != table.columns[n - 1].group:
            formats.append(r"@{\hspace{8pt}}")
        if column.kind == "number" and cells:
            formats.append(_number_format(upright if column.upright else cells))
        else:
            formats.append("r" if column.kind == "range" else "l")
    return formats


def _number_format(numbers: Sequence[Number]) -> str:
    texts = [_plain(n.value, n.decimals) for n in numbers if n.value is not None] or ["0.00"]
    whole = max(len(text.lstrip("-").partition(".")[0]) for text in texts)
    decimals = max(len(text.partition(".")[2]) for text in texts)
    sign = "-" if any(text.startswith("-") for text in texts) else ""
    return rf"S[table-format={sign}{whole}.{decimals}]"


def _heads(columns: Sequence[Column]) -> list[str]:
    lines = []
    if any(column.group for column in columns):
        heads, rules, first = [], [], 1
        for group, width in grouped(columns):
            text = rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}"
            heads.append(text if group else " & ".join([""] * width))
            if group:
                rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
            first += width
        lines += [f"    {' & '.join(heads)} \\\\", f"    {' '.join(rules)}"]
    titles = (_head(column) for column in columns)
    return [*lines, f"    {' & '.join(titles)} \\\\"]


def _head(column: Column) -> str:
    text = escape(column.head)
    if column.upright:
        text = rf"\rotatebox{{90}}{{{text}~}}"
    if column.kind == "range":
        return rf"\multicolumn{{1}}{{c}}{{{text}}}"
    return f"{{{text}}}"


def _body(table: PaperTable, letters: dict[str, str]) -> list[str]:
    across = [
        _column(column, [row.cells[n] for row in table.rows], letters)
        for n, column in enumerate(table.columns)
    ]
    lines = []
    for row, (title, *cells) in zip(table.rows, zip(*across, strict=True), strict=True):
        first = rf"\textbf{{{title}}}" if row.strong and title else title
        lines.append(rf"{' & '.join([first, *cells])} \\")
    return lines


def _column(column: Column, entries: Sequence[Entry], letters: dict[str, str]) -> list[str]:
    # Ranges are set flush right; room for a minus sign keeps their decimals aligned.
    uppers = [entry.upper for entry in entries if isinstance(entry, Range)]
    signed = any(upper is not None and upper < 0 for upper in uppers)
    return [_entry(entry, column, letters, signed=signed) for entry in entries]


def _entry(entry: Entry, column: Column, letters: dict[str, str], *, signed: bool) -> str:
    if isinstance(entry, str):
        text = escape(entry)
        return f"{{{text}}}" if column.kind == "number" and text else text
    if missing(entry):
        dash = rf"--\textsuperscript{{{letters[entry.reason]}}}"
        return rf"\multicolumn{{1}}{{c}}{{{dash}}}" if column.kind == "range" else f"{{{dash}}}"
    if isinstance(entry, Range):
        lower, upper = (_plain(end, entry.decimals) for end in (entry.lower, entry.upper))
        room = r"\phantom{-}" if signed and not upper.startswith("-") else ""
        return f"$[{lower}, {room}{upper}]$"
    return _plain(entry.value, entry.decimals)


def _plain(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:z.{decimals}f}"


def _spaced(body: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The rows with a little space after each dimension."""
    lines = []
    for line, row in zip(body, rows, strict=True):
        lines += [line, r"\addlinespace"] if row.strong else [line]
    return lines[:-1] if rows and rows[-1].strong else lines


def _notes(table: PaperTable, letters: dict[str, str]) -> list[str]:
    notes = [rf"\textsuperscript{{{letter}}}\,{escape(r)}." for r, letter in letters.items()]
    notes += [escape(note) for note in table.notes]
    if not notes:
        return []
    return [r"  \par\vspace{3pt}", rf"  \parbox{{\textwidth}}{{\scriptsize {' '.join(notes)}}}"]
