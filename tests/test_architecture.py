"""What import-linter cannot say: who may use which library, and when it is loaded."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"calibration", "judge", "rubrics"}
BASE = PROJECT["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = [x for name, extra in EXTRAS.items() if name != "dev" for x in extra]


def imported(package: str) -> dict[str, set[str]]:
    """Top-level library -> the files of `package` with an import statement for it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                found.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    return {k: v for k, v in found.items() if k not in OWN | set(sys.stdlib_module_names)}


def canonical(requirement: str) -> str:
    """The distribution that a requirement names, as the package index spells it."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_statistics_use_numeric_libraries_only() -> None:
    """`calibration` is arrays in, arrays out."""
    assert set(imported("calibration")) <= {"numpy", "scipy", "sklearn"}


@pytest.mark.parametrize("package", sorted(OWN))
def test_every_import_is_declared(package: str) -> None:
    """A library that the product imports is a dependency of its own, not of a dependency."""
    declared = {canonical(requirement) for requirement in BASE + OPTIONAL}
    brought_by = packages_distributions()
    undeclared = {
        library: files
        for library, files in imported(package).items()
        if not declared & {canonical(name) for name in brought_by.get(library, ())}
    }
    assert undeclared == {}


def test_the_command_line_loads_no_optional_library() -> None:
    """`judge` starts, and its base install works, without the libraries of any extra."""
    optional = {canonical(requirement).replace("-", "_") for requirement in OPTIONAL}
    code = """
import sys, click
from judge.cli.main import cli
context = click.Context(cli)
for name in cli.list_commands(context):
    cli.get_command(context, name)
print(*{name.split(".")[0] for name in sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"judge", "rich"} <= loaded
    assert loaded & optional == set()
