"""`judge data`: what is printed, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from judge.chatanime import FILES
from judge.cli.data_command import _show_progress, data
from judge.errors import DataError

DEFAULT = Path(__file__).parents[3] / "shared" / "data"
RELEASE = Path(os.environ.get("JUDGE_DATA") or DEFAULT) / "chatanime"


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(data, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def dialogues(path: Path, answer: str = "一二三") -> Path:
    """A file of two dialogues of one round, with this reply."""
    records = [{"dialog_id": n, "question_r1": "q", "answer_r1": answer} for n in (1, 2)]
    path.write_text(json.dumps({"路飞": records}), encoding="utf-8")
    return path


def test_check_aligns_wide_names(tmp_path: Path) -> None:
    """A Chinese character takes two cells of the terminal, so every column starts alike."""
    dialogues(tmp_path / "豆包.json")
    dialogues(tmp_path / "gpt-4.1.json")
    assert run("check", tmp_path).splitlines()[:3] == [
        (
            "system   characters  scenarios  dialogues  rounds  empty replies  reply length"
            "  released file"
        ),
        "gpt-4.1  1           2          2          2       0              3 (3-3)       different",
        "豆包     1           2          2          2       0              3 (3-3)       -",
    ]


def test_check_as_json(tmp_path: Path) -> None:
    """One JSON object with the counts and the hash of the file."""
    found = json.loads(run("check", "--json", dialogues(tmp_path / "bot.json")))
    (system,) = found["systems"]
    assert system["system"] == "bot"
    assert (system["dialogues"], system["empty_replies"], system["median"]) == (2, 0, 3.0)
    assert len(system["sha256"]) == 64
    assert system["release"] is None


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_check_ends_with_1_on_empty_replies(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Empty replies are counted and change the exit code; their length is undefined, not 0."""
    output = run("check", dialogues(tmp_path / "bot.json", answer=" "), *flags, code=1)
    if flags:
        (system,) = json.loads(output)["systems"]
        assert (system["empty_replies"], system["median"]) == (2, None)
    else:
        assert output.splitlines()[1].split() == ["bot", "1", "2", "2", "2", "2", "-", "-"]


def test_errors_go_up(tmp_path: Path) -> None:
    """A user's mistake leaves the command as a JudgeError for the program to print."""
    with pytest.raises(DataError, match="no such file"):
        run("check", tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        run("fetch", "--to", tmp_path, "--archive", tmp_path / "none.zip")


def test_fetch_goes_to_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --to the files belong in chatanime below $JUDGE_DATA; a wrong archive is refused."""
    monkeypatch.setenv("JUDGE_DATA", str(tmp_path))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("human.json", "{}")
    with pytest.raises(DataError, match=r"claude-sonnet-4.json in .* is missing"):
        run("fetch", "--archive", tmp_path / "x.zip")
    (tmp_path / "chatanime" / "human.json").mkdir(parents=True)
    with pytest.raises(DataError, match=r"chatanime/human.json"):
        run("fetch", "--archive", tmp_path / "x.zip")


def test_progress_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes are shown as megabytes on standard error, with the total where it is known."""
    _show_progress(1_500_000, None)
    _show_progress(2_000_000, 8_000_000)
    assert capsys.readouterr() == ("", "\r1.5 MB\r2.0 of 8.0 MB")


@pytest.mark.skipif(not RELEASE.is_dir(), reason=f"no public dialogues at {RELEASE}")
def test_fetch_from_an_archive_of_the_release(tmp_path: Path) -> None:
    """A zip of the released files is unpacked; the second time all is right already."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in FILES:
            archive.write(RELEASE / name, f"ChatAnime-2169710/data/{name}")
    args = ("fetch", "--to", tmp_path / "to", "--archive", tmp_path / "x.zip")
    last = f"11 files with the right SHA-256 in {tmp_path / 'to'}"
    assert run(*args).splitlines() == ["written: " + ", ".join(FILES), last]
    assert {path.name for path in (tmp_path / "to").iterdir()} == set(FILES)
    assert run(*args).splitlines() == ["already right: " + ", ".join(FILES), last]
    report = json.loads(run(*args, "--json"))
    assert (report["folder"], report["kept"]) == (str(tmp_path / "to"), list(FILES))
