"""Limits: what others made cannot run without end, fill the memory or control the terminal."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import string
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import transformers

from judge import calibration_file, limits
from judge import manifest as manifests
from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.servers.faults import retry_after
from judge.engines.tokens import local_prompt_tokenizer
from judge.errors import DataError, EngineError, RubricError, StoreError
from judge.limits import LimitError, bounded, harmless, refuse_deep
from judge.records import read_record_if_present
from judge.rubric import load_rubric, shipped_sets
from judge.store import Store
from judge.tables import read_table
from judge.types import Dialogue, Turn
from tests.unit.engines.small import CHATML, bpe, save_model

ROOT = Path(__file__).parents[2]
DIALOGUE = Dialogue("bot", "路飞", "1", (Turn("你好", "哈哈"),))


def judge_process(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """`python -m judge ARGS`."""
    return subprocess.run(
        [sys.executable, "-m", "judge", *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        check=False,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture
def rubric(tmp_path: Path) -> Path:
    """A copy of a shipped set that a test may spoil."""
    return Path(shutil.copytree(shipped_sets()["tiny"], tmp_path / "tiny"))


def spoil(folder: Path, block: str, code: str) -> Path:
    """`code` at the beginning of a block of the Chinese layout."""
    path = folder / "zh" / "layout.j2"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(rf"({{%-? block {block} -?%}})", rf"\1{code}", text, count=1), "utf-8")
    return path


# Templates

ENDLESS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "a power": "{{ 9**(9**9) }}",
    "a power of a variable": "{% set x = 9 %}{{ x**(x**x) }}",
    "doubling macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}"
    "{% endmacro %}{{ f(60) }}",
}
LARGE = {
    "a repeated text": "{{ 'a' * 10**11 }}",
    "a wide number": "{{ '%1000000000000d' % 1 }}",
    "a wide filter": "{{ 'a'|center(10**11) }}",
    "a replacement": "{{ ('a' * 10**6)|replace('a', 'b' * 10**6) }}",
    "a long text": "{% for i in range(99999) %}{{ 'a' * 100 }}{% endfor %}",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited under Linux only")


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_rubric_template_ends(
    monkeypatch: pytest.MonkeyPatch, rubric: Path, code: str
) -> None:
    """It is an error with the file and its line, after the time that a template may take."""
    monkeypatch.setattr(limits, "TEMPLATE_SECONDS", 1.0)
    path = spoil(rubric, "dialogue", code)
    begin = time.monotonic()
    with pytest.raises(RubricError, match=r"ran for more than 1 seconds") as caught:
        load_rubric(rubric, "zh").tree([DIALOGUE])
    assert caught.value.path == path
    assert time.monotonic() - begin < 10


@linux
@pytest.mark.parametrize("code", LARGE.values(), ids=LARGE)
def test_a_rubric_template_cannot_fill_the_memory(rubric: Path, code: str) -> None:
    """It is an error that names the template and the limit."""
    path = spoil(rubric, "dialogue", code)
    with pytest.raises(RubricError, match=r"more than 512 MiB|4,000,000 are the most") as caught:
        load_rubric(rubric, "zh").tree([DIALOGUE])
    assert caught.value.path == path


@pytest.mark.parametrize(
    "code", [ENDLESS["nested loops"], pytest.param(LARGE["a repeated text"], marks=linux)]
)
def test_a_chat_template_has_the_same_limits(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The error names the model and says that it is its chat template."""
    monkeypatch.setattr(limits, "TEMPLATE_SECONDS", 0.5)
    tokenizer = bpe()
    tokenizer.chat_template = code + CHATML
    with pytest.raises(EngineError, match=r"odd: its chat template .*: it (ran|needs)"):
        local_prompt_tokenizer(tokenizer, "odd")


def test_an_alarm_of_others_still_rings() -> None:
    """The limit uses the alarm of the process, and gives it back with the time that is left."""
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with bounded(5.0):
            pass
        time.sleep(0.3)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == [signal.SIGALRM]


# Links, pipes and devices


@pytest.mark.parametrize("name", ["zh/layout.j2", "rubric.toml"])
def test_a_rubric_cannot_read_files_outside_of_its_folder(
    rubric: Path, tmp_path: Path, name: str
) -> None:
    """A link to another file would put that file into prompts; it is named and not read."""
    secret = tmp_path / "secret"
    shutil.copy(rubric / name, secret)
    (rubric / name).unlink()
    (rubric / name).symlink_to(secret)
    with pytest.raises(RubricError, match=r"a link to .*secret, which is not in the folder"):
        load_rubric(rubric, "zh")


def test_links_within_a_rubric_are_read(rubric: Path, tmp_path: Path) -> None:
    """Links inside the folder, and a link to the whole folder, mean what they say."""
    text = load_rubric(rubric, "zh").tree([DIALOGUE]).system
    (rubric / "zh" / "layout.j2").rename(rubric / "zh" / "real")
    (rubric / "zh" / "layout.j2").symlink_to("real")
    (tmp_path / "link").symlink_to(rubric)
    assert load_rubric(tmp_path / "link", "zh").tree([DIALOGUE]).system == text


def test_a_pipe_in_a_rubric_is_no_template(rubric: Path) -> None:
    """Reading it would wait for ever."""
    path = rubric / "zh" / "layout.j2"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RubricError, match="a pipe or a device"):
        load_rubric(rubric, "zh")


# Code of a model

CODE = """
import pathlib
pathlib.Path({trace!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A model folder with code of its own, and the file that the code writes where it runs."""
    monkeypatch.setattr(
        transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    folder, trace = save_model(tmp_path / "own", "Llama", template=CHATML), tmp_path / "trace"
    (folder / "own.py").write_text(CODE.format(trace=str(trace)), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder, trace


def test_the_code_of_a_model_is_not_run(with_code: tuple[Path, Path]) -> None:
    """Nor is anybody asked on the terminal: the error names the option that runs it."""
    folder, trace = with_code
    engine = open_engine(resolve_judge(str(folder), "hf"), EngineOptions())
    with pytest.raises(EngineError, match="Python code of its own") as caught:
        engine.load()
    assert "--trust-remote-code" in (caught.value.hint or "")
    rows = folder.parent / "rows.csv"
    rows.write_text(
        "system,character,scenario,round,question,answer\nbot,路飞,1,1,a,b\nbot,路飞,1,2,a,b\n",
        encoding="utf-8",
    )
    done = judge_process(
        *("eval", "--model", str(rows), "--judge", str(folder), "--engine", "hf", "--dry-run"),
        input="y\ny\n",
        capture_output=True,
    )
    assert done.returncode == 2
    assert "Python code of its own" in done.stderr
    assert "[y/N]" not in done.stdout + done.stderr
    assert not trace.exists()


def test_the_code_of_a_model_runs_where_the_option_says_so(with_code: tuple[Path, Path]) -> None:
    """The option is what makes the difference."""
    folder, trace = with_code
    open_engine(resolve_judge(str(folder), "hf"), EngineOptions(trust_remote_code=True)).load()
    assert trace.exists()


# The terminal and the pages

CONTROLS = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x08\r"


def test_control_characters_are_written_out() -> None:
    """ANSI, OSC, C1 and the controls of direction are shown; writing of any language stays."""
    shown = harmless(CONTROLS)
    assert shown == "\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u202egnp.exe\\u2066\\u0008\\u000d"
    plain = "路飞\t说：\n👩\u200d👩\u200d👧 שלום\u200f סלאם\r\n"
    assert harmless(plain) == plain
    assert json.loads(harmless(json.dumps({"a": "\u202e"}, ensure_ascii=False))) == {"a": "\u202e"}


def test_a_name_cannot_control_the_terminal_or_a_page(tmp_path: Path) -> None:
    """A system whose name holds controls, from the file to the terminal, the page and errors."""
    rows = [
        {"system": f"bad{CONTROLS}", "character": "路飞", "scenario": "1", "round": n,
         "question": f"q{CONTROLS}", "answer": f"a{CONTROLS}"}
        for n in (1, 2)
    ]  # fmt: skip
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = judge_process(
        *("eval", "--model", str(data), "--judge", "mock", "--out", str(tmp_path / "run")),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    missing = judge_process("data", "check", str(tmp_path / f"no{CONTROLS}"), capture_output=True)
    assert missing.returncode == 2
    page = next((tmp_path / "run").rglob("report.html")).read_text(encoding="utf-8")
    assert "\\u202egnp.exe" in page
    for text in (done.stdout, done.stderr, missing.stderr, page):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "bad\\u001b]0;title" in "".join(done.stdout.split())


def test_a_closed_standard_error_does_not_end_a_run(tmp_path: Path) -> None:
    """Closed from the beginning, and a pipe whose reader has gone: the run is done, with 0."""
    data = tmp_path / "rows.csv"
    rows = [f"bot,路飞,{n},{r},问题{n},回答{r}\n" for n in range(20) for r in (1, 2)]
    data.write_text("system,character,scenario,round,question,answer\n" + "".join(rows), "utf-8")
    read, write = os.pipe()
    os.close(read)
    for out, options in (
        ("closed", {"preexec_fn": lambda: os.close(2)}),
        ("pipe", {"stderr": write}),
    ):
        done = judge_process(
            *("eval", "--model", str(data), "--judge", "mock", "--out", str(tmp_path / out)),
            stdout=subprocess.PIPE,
            **options,
        )
        assert done.returncode == 0
        assert "report:" in done.stdout
    os.close(write)


def test_a_signal_while_the_program_loads_ends_with_3(tmp_path: Path) -> None:
    """From the first line of the program on, whatever it is importing."""
    (tmp_path / "click.py").write_text(
        "import sys, time\nprint('loading', flush=True)\ntime.sleep(30)\n", encoding="utf-8"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-c", "from judge.__main__ import main\nmain()"],
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 3
        assert errors == "interrupted before it began\n"


# Depth


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        ("[" * 100 + "]" * 100, False),
        ("[" * 101 + "]" * 101, True),
        ("[" * 100_000, True),
        ('{"a":' * 101 + "1" + "}" * 101, True),
        ("[" + ",".join('{"a": ["[[[[", {"b": "\\"{"}]}' for _ in range(1000)) + "]", False),
        ('[{"a":' * 51 + "1" + "}]" * 51, True),
        ('["' + "[" * 1000 + '"]', False),
    ],
)
def test_depth_is_counted_outside_of_texts(text: str, deep: bool) -> None:
    """100 levels are read, 101 are not, and a bracket in a text is no level."""
    if deep:
        with pytest.raises(LimitError, match="more than 100 levels"):
            refuse_deep(text)
    else:
        refuse_deep(text)


# Sizes


def zipped(parts: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return content.getvalue()


XML = '<?xml version="1.0"?>'
OOXML = "http://schemas.openxmlformats.org"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"


def xlsx(rows: str, after: str = "", sheets: int = 1) -> bytes:
    """A workbook whose sheets, all made of one part, have these rows."""
    relation = f'<Relationship Type="{OOXML}/officeDocument/2006/relationships'
    relations = f'{XML}<Relationships xmlns="{OOXML}/package/2006/relationships">'
    main = f"{OOXML}/spreadsheetml/2006/main"
    names = "".join(f'<sheet name="S{i}" sheetId="{i}" r:id="r{i}"/>' for i in range(sheets))
    links = "".join(
        f'{relation}/worksheet" Target="worksheets/sheet1.xml" Id="r{i}"/>' for i in range(sheets)
    )
    return zipped({
        "[Content_Types].xml": f'{XML}<Types xmlns="{OOXML}/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}"/></Types>',
        "_rels/.rels": f'{relations}{relation}/officeDocument" Target="xl/workbook.xml" Id="a"/>'
        "</Relationships>",
        "xl/workbook.xml": f'{XML}<workbook xmlns="{main}" '
        f'xmlns:r="{OOXML}/officeDocument/2006/relationships"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"{relations}{links}</Relationships>",
        "xl/worksheets/sheet1.xml": f'{XML}<worksheet xmlns="{main}"><sheetData>{rows}'
        f"</sheetData>{after}</worksheet>",
    })  # fmt: skip


def cells(*names: str) -> str:
    """A row of XLSX for each cell, which has its own name as its text."""
    return "".join(
        f'<row r="{name.lstrip(string.ascii_uppercase)}"><c r="{name}" t="inlineStr"><is><t>{name}'
        "</t></is></c></row>"
        for name in names
    )


def ods(*rows: tuple[int, int]) -> bytes:
    """A sheet with rows that are repeated so often, each of one cell repeated so often."""
    namespaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    body = "".join(
        f'<table:table-row table:number-rows-repeated="{down}"><table:table-cell '
        f'office:value-type="string" table:number-columns-repeated="{across}"><text:p>x</text:p>'
        "</table:table-cell></table:table-row>"
        for down, across in rows
    )
    return zipped({
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "META-INF/manifest.xml": f"{XML}<manifest/>",
        "content.xml": f"{XML}<office:document-content {namespaces}><office:body>"
        f'<office:spreadsheet><table:table table:name="S">{body}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>",
    })  # fmt: skip


WIDE = ",".join(f"c{i}" for i in range(200_000)) + "\n"
OVERSIZED = {
    "200,000 columns.csv": (lambda: WIDE + WIDE, "200,000 columns; up to 16,384"),
    "under a title.csv": (lambda: f"title\n{WIDE}{WIDE}", "200,000 columns; up to 16,384"),
    "200,000 keys.jsonl": (
        lambda: json.dumps({f"c{i}": 1 for i in range(200_000)}),
        "200,000 columns; up to 16,384",
    ),
    "keys of their own.jsonl": (
        lambda: "".join(f'{{"a{i}": 1}}\n' for i in range(16_000)),
        "256,000,000 cells or more; up to 20,000,000",
    ),
    "a long line.csv": (lambda: "a,b\n" + "x" * 50_000_000 + ",1\n", "more than 16 million char"),
    "a long line.jsonl": (
        lambda: '{"a": "' + "x" * 50_000_000 + '"}\n',
        "more than 16 million char",
    ),
    "many rows.csv": (lambda: "a\n" + "1\n" * 25_000_000, "up to 20,000,000 are read"),
    "many cells.csv": (
        lambda: "a\n" + ("," * 10_000 + "\n") * 3000,
        "up to 20,000,000 are read",
    ),
    "deep.json": (lambda: "[" * 100_000, "more than 100 levels"),
    "a bomb.csv.gz": (
        lambda: gzip.compress(b"a,b\n" + b"1,1\n" * 50_000_000, 9),
        "more than 64 MiB, which are the most for its size",
    ),
    "far away.xlsx": (
        lambda: xlsx(cells("A1", "XFD1048576")),
        "17,179,869,184 cells .* up to 20,000,000",
    ),
    "many sheets.xlsx": (lambda: xlsx(cells("A1", "CV100000"), sheets=3), "in each of 3 sheets"),
    "a bomb.xlsx": (
        lambda: xlsx('<row r="1"><c r="A1"><v>1</v></c></row>' * 2_000_000),
        "more than 64 MiB, which are the most for its size",
    ),
    "repeated.ods": (
        lambda: ods((1, 2), (1_000_000, 1000)),
        "1,000,001,000 cells .* up to 20,000,000",
    ),
}
MEASURE = """
import pathlib, re, sys, time
from judge.errors import DataError
from judge.tables import read_table
begin = time.monotonic()
try:
    read_table(pathlib.Path(sys.argv[1]))
except DataError as error:
    print(error)
status = pathlib.Path("/proc/self/status")  # the usage of resources has the parent's peak
peak = re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1] if status.exists() else 0
print(time.monotonic() - begin, int(peak) / 1024)
"""


@pytest.mark.parametrize("name", OVERSIZED)
def test_an_oversized_table_ends_quickly_and_in_little_memory(tmp_path: Path, name: str) -> None:
    """The message has the limit; it took seconds and less than 700 MiB, not gigabytes."""
    make, message = OVERSIZED[name]
    content = make()
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    error, measured = done.stdout.splitlines()
    assert re.search(message, error)
    assert str(path) in error
    seconds, mebibytes = map(float, measured.split())
    assert seconds < 20
    assert mebibytes < 700 or sys.platform != "linux"


def test_large_tables_that_people_have_are_read(tmp_path: Path) -> None:
    """As many columns as Excel has, 100,000 rows, a workbook whose last row is far down."""
    wide, long, far, open_document = (tmp_path / f"{n}.{s}" for n, s in enumerate(
        ("csv", "csv.gz", "xlsx", "ods")
    ))  # fmt: skip
    wide.write_text(",".join(f"c{i}" for i in range(16_384)) + "\n" + "1," * 16_383 + "1\n")
    long.write_bytes(gzip.compress(b"rater,item,score\n" + b"a,b,3\n" * 100_000, 9))
    far.write_bytes(xlsx(cells("A1", "B1", "A100000")))
    open_document.write_bytes(ods((1, 1), (3, 1), (1_000_000, 0)))
    assert len(read_table(wide).columns) == 16_384
    assert len(read_table(long)) == 100_000
    assert read_table(far).lines.tolist() == [100_000]
    assert len(read_table(open_document)) == 3


def test_a_merged_area_beyond_the_cells_is_no_defect(tmp_path: Path) -> None:
    """It reaches to the last cell of the sheet, of which only a few have a value."""
    path = tmp_path / "merged.xlsx"
    merge = '<mergeCells count="1"><mergeCell ref="A3:XFD1048576"/></mergeCells>'
    path.write_bytes(xlsx(cells("A1", "B1", "A3").replace('</row><row r="1">', ""), merge))
    table = read_table(path)
    assert {name: list(values) for name, values in table.columns.items()} == {
        "A1": ["A3"],
        "B1": ["A3"],
    }


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".xlsx"])
def test_pipes_and_devices_are_refused(tmp_path: Path, kind: str, suffix: str) -> None:
    """A pipe would wait for ever, and /dev/zero never ends."""
    path = tmp_path / f"table{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_table(path)


DEEP = "[" * 100_000
STORED = {
    "manifest": manifests.read,
    "calibration": lambda folder: calibration_file.read(folder / "calibration.json"),
    "played": lambda folder: read_record_if_present(
        folder / "played.json", dict[str, object], newest=1, kind="played", hint="-"
    ),
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("broken", ["deep", "pipe"])
def test_a_stored_record_that_is_no_record(tmp_path: Path, name: str, broken: str) -> None:
    """One that is nested without end, and a pipe in its place: the file is named."""
    path = tmp_path / f"{name}.json"
    if broken == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(f'{{"format": 1, "details": {DEEP}', encoding="utf-8")
    with pytest.raises(StoreError, match=r"more than 100 levels|a pipe or a device") as caught:
        STORED[name](tmp_path)
    assert caught.value.path == path


@pytest.mark.parametrize(("table", "column"), [("judgment", "logprobs"), ("dialogue", "turns")])
def test_a_stored_row_that_is_nested_without_end(tmp_path: Path, table: str, column: str) -> None:
    """The database is named, and nothing recurses into the row."""
    folder = Path(shutil.copytree(ROOT / "tests" / "golden" / "run-v2", tmp_path / "run"))
    with closing(sqlite3.connect(folder / "judge.sqlite")) as db, db:
        db.executescript((folder / "judge.sql").read_text(encoding="utf-8"))
        db.execute(f"UPDATE {table} SET {column} = ?", (DEEP,))  # noqa: S608
    with Store(folder) as store, pytest.raises(StoreError, match="a row is not what it should be"):
        store.judgments() if table == "judgment" else store.dialogues()


@pytest.mark.parametrize("zone", ["GMT", "-0100", "+2359"])
def test_a_server_that_asks_to_wait_until_the_year_9999(zone: str) -> None:
    """The date is a number of seconds, or none, also where the time zone leads out of the years."""
    seconds = retry_after({"retry-after": f"Fri, 31 Dec 9999 23:59:59 {zone}"})
    assert seconds is None or 7000 * 365 * 86_400 < seconds < 8000 * 366 * 86_400
