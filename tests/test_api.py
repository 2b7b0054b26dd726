"""The names of `import judge`, and docs/api.md: its examples run, and print what stands there."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import judge

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "scripts" / "demo_dialogues"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```\n)?", re.DOTALL)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name, and no released data in sight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_DATA", str(tmp_path / "no-data"))
    shutil.copytree(DEMO, tmp_path / "demo_dialogues")
    lines = ["system,character,scenario,metric,rater,score"]
    for file in sorted(DEMO.glob("*.json")):
        kind = 4 if file.stem == "warm-friend" else 2
        for character, dialogues in json.loads(file.read_text(encoding="utf-8")).items():
            for number, dialogue in enumerate(dialogues):
                about = f"{file.stem},{character},{dialogue['dialog_id']},fluency"
                lines += [f"{about},{rater},{kind + (number + rater) % 2}" for rater in (1, 2)]
    (tmp_path / "ratings.csv").write_text("\n".join(lines), encoding="utf-8")
    means = [("warm-friend", 4.2), ("stiff-bot", 2.9), ("another", 3.5)]
    rows = [f"{system},fluency,{mean}" for system, mean in means]
    text = "\n".join(["system,metric,mean", *rows])
    (tmp_path / "means.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_examples_of_the_docs(notebook: Path) -> None:
    """One session from top to bottom; where an output is shown, it is what was printed."""
    del notebook
    blocks = BLOCK.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for code, shown in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            last = run_cell(code, names)
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        assert lines == [line.rstrip() for line in shown.splitlines()], code
        if last is not None and hasattr(last, "_repr_html_"):
            assert "<table" in str(last._repr_html_())


def run_cell(code: str, names: dict[str, object]) -> object:
    """What the last line of a notebook's cell gives, if it is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "docs/api.md", "exec"), names)  # noqa: S102 - our own docs
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "docs/api.md", "eval"), names)  # noqa: S307


def test_what_is_exported() -> None:
    """Every name of `__all__` is there and documented, and nothing else is offered."""
    assert judge.__all__ == sorted(judge.__all__)
    assert set(judge.__all__) == {*judge._MODULE_OF, "__version__"}
    for name in judge._MODULE_OF:
        exported = getattr(judge, name)
        assert inspect.getdoc(exported), name
        assert exported.__name__ == name
    assert set(judge.__all__) <= set(dir(judge))
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        _ = judge.sing


def test_no_name_is_also_a_module() -> None:
    """`judge.calibrate` is the function, whatever was imported before."""
    modules = {path.stem for path in (ROOT / "judge").iterdir()}
    assert modules & set(judge.__all__) == {"__init__"} & set(judge.__all__)


def test_importing_judge_loads_no_library() -> None:
    """Nor does asking for a name load more than it needs."""
    code = "import judge, sys; judge.Dialogue; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "pandas", "scipy", "sklearn", "matplotlib", "click", "rich", "jinja2"}
    assert heavy & set(done.stdout.split()) == set()
