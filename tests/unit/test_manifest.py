"""The manifest of a run: what it holds, what it refuses, how two become one."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge import __version__, manifest
from judge.errors import RunMismatchError, StoreError
from judge.manifest import Manifest
from judge.rubric import load_rubric

RUBRIC = load_rubric("esrp").rubric


def made(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "rubric": RUBRIC,
        "judge": {"name": "mock", "fingerprint": "mock/0", "device": "cpu"},
        "prompts": "ab12",
        "data": {"bot": "0f"},
        "options": {"limit": None, "metrics": ["fluency"]},
        "notes": ("scores mean nothing",),
        "environment": {"python": "3.11.7"},
        "started": "2026-01-02T03:04:05+00:00",
        "finished": None,
    }
    return Manifest(**values | changes)


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """Rubric and all, whether the run is finished or not."""
    for one in (made(), made(finished="2026-01-02T04:00:00+00:00")):
        manifest.write(tmp_path, one)
        assert manifest.read(tmp_path) == one
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_folder_without_one(tmp_path: Path) -> None:
    """None, and no error: the run has not begun."""
    assert manifest.read(tmp_path) is None
    assert manifest.read(tmp_path / "nowhere") is None


def test_a_new_one_says_when_and_with_what() -> None:
    """Versions of this program and of what computes, a UTC time, no end."""
    fresh = Manifest.begin(RUBRIC, {"name": "mock", "fingerprint": "mock/0"}, "", {}, {})
    assert fresh.environment["esrp-judge"] == __version__
    assert {"python", "machine", "numpy", "scipy", "jinja2"} <= fresh.environment.keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", fresh.started)
    assert fresh.finished is None
    assert manifest.finish(fresh).finished >= fresh.started  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable manifest: Input data was truncated"),
        ("[]", "not a readable manifest"),
        ("{}", "missing required field `format`"),
        ('{"format": "new"}', "not a readable manifest"),
        ('{"format": 1}', "missing required field `rubric`"),
        ('{"format": 2}', "format 2 is newer than this version reads"),
    ],
)
def test_what_is_no_manifest_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    """Damaged, of another program, or newer: named with its file and a hint."""
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=message) as caught:
        manifest.read(tmp_path)
    assert caught.value.path == tmp_path / "manifest.json"
    assert caught.value.hint


@pytest.mark.parametrize("field", ["rubric", "judge", "prompts", "data", "options", "notes"])
@pytest.mark.parametrize("value", [None, 7, "text", ["x"]])
def test_no_edit_makes_a_traceback(tmp_path: Path, field: str, value: object) -> None:
    """A field lost or of another type is a StoreError, or is harmless text."""
    manifest.write(tmp_path, made())
    path = tmp_path / "manifest.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, field: value}))
    if field in {"rubric", "judge", "data", "options"}:
        with pytest.raises(StoreError, match="not a readable manifest"):
            manifest.read(tmp_path)
    del raw[field]
    path.write_text(json.dumps(raw))
    with pytest.raises(StoreError, match=f"missing required field `{field}`"):
        manifest.read(tmp_path)


def test_a_full_or_missing_folder(tmp_path: Path) -> None:
    """What cannot be written is named."""
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreError, match=r"manifest\.json: cannot be written: (File exists|Not a directory)"
    ):
        manifest.write(tmp_path / "file", made())


def test_an_older_one_stays_where_writing_fails(tmp_path: Path) -> None:
    """The new manifest takes the place of the old one whole, or not at all."""
    manifest.write(tmp_path, made())
    (tmp_path / f"manifest.json.{os.getpid()}.part").mkdir()
    with pytest.raises(StoreError):
        manifest.write(tmp_path, made(prompts="other"))
    assert manifest.read(tmp_path) == made()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rubric": load_rubric("esrp", "en").rubric},
            r"with the rubric esrp 1\.1\.0 zh \(hash \w{16}\), not the rubric esrp 1\.1\.0 en",
        ),
        (
            {"rubric": replace(RUBRIC, hash="0" * 64)},
            r"with the rubric esrp 1\.1\.0 zh \(hash \w{16}\), not .* \(hash 0{16}\)",
        ),
        (
            {"judge": {"name": "mock", "fingerprint": "mock/1"}},
            r"^\S+: this run was made with the judge of fingerprint mock/0, not .* mock/1$",
        ),
        (
            {"judge": {"name": "mock", "fingerprint": "mock/0", "rationale": "at most 9 tokens"}},
            r"made with no reasons, not reasons of at most 9 tokens \(--rationale\)$",
        ),
    ],
)
def test_other_rubrics_and_judges_do_not_mix(changes: dict[str, Any], message: str) -> None:
    """The message names what differs, and only that."""
    with pytest.raises(RunMismatchError, match=message):
        manifest.refuse_mismatch(Path("run"), made(), made(**changes))


def test_what_may_differ() -> None:
    """Data, options, versions, device and the judge's name are no reason to refuse."""
    other = made(
        judge={"name": "./mock", "fingerprint": "mock/0", "device": "cuda"},
        data={"human": "1f"},
        options={},
        environment={},
    )
    manifest.refuse_mismatch(Path("run"), made(), other)


def test_two_become_one() -> None:
    """Data and notes of both, from the first start to the last end.

    Facts that differ stand side by side, and merging again adds nothing.
    """
    one = made(finished="2026-01-02T04:00:00+00:00")
    two = made(
        judge={"name": "mock", "fingerprint": "mock/0", "device": "cuda", "dtype": "bfloat16"},
        data={"human": "1f"},
        notes=("no profile: X", "scores mean nothing"),
        environment={"python": "3.12.1"},
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-03T00:00:00+00:00",
        options={"limit": 5},
    )
    both = manifest.merge(one, two)
    assert both.judge == {
        "name": "mock",
        "fingerprint": "mock/0",
        "device": "cpu | cuda",
        "dtype": "bfloat16",
    }
    assert both.data == {"bot": "0f", "human": "1f"}
    assert both.notes == ("scores mean nothing", "no profile: X")
    assert both.environment == {"python": "3.11.7 | 3.12.1"}
    assert (both.started, both.finished) == (two.started, two.finished)
    assert both.options == {"limit": 5}
    again = manifest.merge(manifest.merge(both, one), two)
    assert (again.judge, again.environment) == (both.judge, both.environment)


def test_unfinished_beats_finished() -> None:
    """A report over a complete and a broken run is one over a broken run, and says so first."""
    done = made(finished="2026-01-02T04:00:00+00:00")
    for both in (manifest.merge(done, made()), manifest.merge(made(), done)):
        assert both.finished is None
        assert both.notices[0].startswith("This run is not finished")
        assert both.notices[1:] == both.notes
        assert both.provenance["finished"] == "not finished"
    assert done.notices == done.notes


def test_provenance_is_text_with_judge_first() -> None:
    """Everything a reader needs to know what made the numbers."""
    facts = made(judge={"seed": "3", "fingerprint": "mock/0", "name": "mock"}).provenance
    assert all(isinstance(value, str) for value in facts.values())
    assert list(facts)[:3] == ["judge", "judge fingerprint", "seed"]
    assert facts["seed"] == "3"
    assert facts["rubric hash"] == RUBRIC.hash
    assert facts["data bot"] == "0f"
    assert facts["python"] == "3.11.7"


def test_the_commit_is_that_of_this_checkout_only(tmp_path: Path) -> None:
    """The full hash, marked when a file differs; nothing for a folder inside another checkout."""

    def git(*args: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *who, *args],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    assert manifest._git_commit(tmp_path) is None
    git("init", "--quiet")
    (tmp_path / "inside").mkdir()
    (tmp_path / "file").write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    git("tag", "-a", "v1", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert manifest._git_commit(tmp_path) == commit
    assert manifest._git_commit(tmp_path / "inside") is None
    (tmp_path / "file").write_text("2")
    assert manifest._git_commit(tmp_path) == f"{commit}-dirty"
