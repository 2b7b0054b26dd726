"""The wheel, built and installed away from the checkout, is whole and holds nothing else.

The locked versions belong to the ranges of pyproject.toml.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PACKAGES = ("calibration", "judge", "rubrics")
EMBEDDED = ("config.json", "tokenizer.json", "model.safetensors", "lexical.npz", "MODEL_CARD.md")


def run(*args: object, cwd: Path, **env: str) -> str:
    """The standard output of `python ARGS`, which has to end with 0."""
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONUTF8": "1", **env},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built without fetching anything."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def inside(wheel: Path) -> set[str]:
    """The paths of the files in the wheel."""
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("no pip in this environment")
    folder = tmp_path_factory.mktemp("site")
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def test_every_file_of_the_packages_is_inside(inside: set[str]) -> None:
    """Templates, rubrics and models are installed with the code: nothing on disk is missing."""
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    }
    assert "rubrics/esrp/zh/fluency.j2" in on_disk
    assert on_disk - inside == set()


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_judges_are_inside(inside: set[str], name: str) -> None:
    """The main job runs with no network, so the wheel brings its own judges and their card."""
    assert [path for path in inside if path.startswith("judge/embedded/") and path.endswith(name)]


def test_nothing_else_is_inside(inside: set[str]) -> None:
    """Scripts, tests and runs stay in the repository."""
    tops = {path.split("/")[0] for path in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_licence_and_the_command_are_inside(wheel: Path, inside: set[str]) -> None:
    """The wheel carries the licence text, and installs `judge`."""
    info = next(path for path in inside if path.endswith(".dist-info/METADATA")).split("/")[0]
    assert f"{info}/licenses/LICENSE" in inside
    commands = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "judge = judge.__main__:main" in commands.splitlines()


def test_an_installed_copy_finds_its_rubrics(site: Path, tmp_path: Path) -> None:
    """Away from the checkout, the installed program lists every set of the repository."""
    where = run("-c", "import judge; print(judge.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert Path(where.strip()).is_relative_to(site)
    listed = run("-m", "judge", "rubrics", "list", cwd=tmp_path, PYTHONPATH=str(site))
    for folder in (ROOT / "rubrics").iterdir():
        if (folder / "rubric.toml").is_file():
            assert folder.name in listed


def pins(name: str, python: str) -> dict[str, Version]:
    """The versions of a file of scripts/constraints/ for a version of Python, by distribution."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, Version] = {}
    text = (ROOT / "scripts" / "constraints" / f"{name}.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)  # without index, host, hash or option: no such line parses
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def ranges() -> list[Requirement]:
    """What `pip install .[dev]` asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = list(map(Requirement, project["dependencies"]))
    extras = ["dev"]
    for extra in extras:
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            if requirement.name == project["name"]:
                extras += sorted(requirement.extras)
            else:
                asked.append(requirement)
    return asked


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locked_versions_are_in_the_ranges(python: str) -> None:
    """Each dependency is pinned, inside its range; else `scripts/lock` was forgotten."""
    locked = pins("locked", python)
    for requirement in ranges():
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    """`scripts/test --lowest` tests what pyproject.toml promises, and not something newer."""
    lowest = pins("lowest", "3.11")
    for requirement in ranges():
        (bound,) = (s.version for s in requirement.specifier if s.operator in {">=", "=="})
        assert lowest[canonicalize_name(requirement.name)] == Version(bound), requirement
