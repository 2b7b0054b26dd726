"""Limits: what others made cannot run without end, fill the memory or control the terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import transformers

from judge import limits
from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.tokens import local_prompt_tokenizer
from judge.errors import EngineError, RubricError
from judge.limits import LimitError, bounded, harmless, refuse_deep
from judge.rubric import load_rubric, shipped_sets
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
    done = judge_process(
        *("eval", "--model", str(ROOT / "tests" / "golden" / "run-v2"), "--judge", str(folder)),
        *("--engine", "hf", "--dry-run"),
        input="y\ny\n",
        capture_output=True,
    )
    assert done.returncode == 2
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
