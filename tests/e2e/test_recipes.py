"""Every command of `docs/recipes/`, one after the other, as far as it can be run here.

No network and no GPU: installing and fetching are left out, the embedded judge stands in for a
large one, and recorded dialogues for a model that plays.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.unit.engines.small import CHATML, save_model

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
NOT_HERE = ("pip install", "judge data fetch", "judge eval --model reference")
"""How the commands begin that need the network, or the public dialogues."""
STANDING_IN = {"Qwen/Qwen3-8B": "lexical", "Qwen/Qwen3-4B": "mine.json"}
SMALLER = {"probe": ("--limit", 2)}
SYSTEMS = ("gpt-4.1", "deepseek-v3", "human", "qwen-max")
REPLIES = (
    "没关系，再来一次！",
    "首先，要制定计划。其次，要坚持。",
    "哦。",
    "我陪你去吃肉吧，吃饱就好了。",
)


def commands(recipe: str) -> Iterator[list[str]]:
    """The words of each command in the shell blocks of a recipe."""
    text = (RECIPES / f"{recipe}.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and not line.startswith(NOT_HERE):
                assert words[0] == "judge", line
                yield words[1:]


def follow(judge: Program, recipe: str, before: Callable[[list[str]], None] | None = None) -> None:
    """Run a recipe; each command ends well, or counts what it found (status 1)."""
    for words in commands(recipe):
        if before:
            before(words)
        files = {word: sorted(judge.folder.glob(word)) for word in words if "*" in word}
        here = [n for word in words for n in files.get(word, [STANDING_IN.get(word, word)])]
        done = judge(*here, *SMALLER.get(words[0], ()), code=None)
        assert done.code in {0, 1}, (words, done.err)


def write_systems(folder: Path, write: Callable[..., Path]) -> None:
    """Four systems in `folder`, three characters and four scenarios each."""
    folder.mkdir(parents=True)
    cast = (
        "《海贼王》的蒙奇·D·路飞",
        "《火影忍者》的漩涡鸣人",
        "《Re：从零开始的异世界生活》的蕾姆",
    )
    for system, reply in zip(SYSTEMS, REPLIES, strict=True):
        path = write(system, n=4, characters=cast, replies={1: reply, 3: reply * 2})
        path.rename(folder / path.name)


def write_ratings(path: Path, dialogues: Path) -> None:
    """SIMULATED: one rater each for two systems' dialogues, on three metrics."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["system", "character", "scenario", "metric", "rater", "score"])
        for number, source in enumerate(sorted(dialogues.glob("*.json"))):
            for character, scenes in json.loads(source.read_text(encoding="utf-8")).items():
                for scene in scenes:
                    place = (source.stem, character, scene["dialog_id"])
                    for at, metric in enumerate(("fluency", "coherency", "speech_style")):
                        for rater in ("simulated 1", "simulated 2"):
                            score = 1 + (number + at + int(scene["dialog_id"])) % 5
                            rows.writerow([*place, metric, rater, score])


def test_my_model_on_my_gpu(judge: Program, recorded: Callable[..., Path]) -> None:
    """From the doctor to the leaderboard, with the files that the recipe names."""
    write_systems(judge.folder / "data" / "chatanime", recorded)
    write_ratings(judge.folder / "ratings.csv", judge.folder / "data" / "chatanime")
    recorded("mine", n=4)
    follow(judge, "my-model")
    assert (judge.folder / "leaderboard" / "leaderboard.html").exists()
    assert (judge.folder / "runs" / "probe" / "probe.html").exists()


def test_an_agreement_table(judge: Program) -> None:
    """The table as the recipe shows it, longer; every file that it names is there."""
    with (judge.folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item", "system", "metric", "rater", "rater_type", "score"])
        for item in range(12):
            for at, system in enumerate(("a", "b", "c")):
                place = (f"q{item}", system, "helpfulness")
                rows.writerow([*place, "ann1", "human", 1 + (item + at) % 5])
                rows.writerow([*place, "ann2", "human", 1 + (item + 2 * at) % 5])
                rows.writerow([*place, "my-judge", "judge", 1.3 + (item + at) % 4])
                rows.writerow([*place, "other", "judge", 1.1 + (item * at) % 4])
    follow(judge, "agreement-table")
    text = (RECIPES / "agreement-table.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`*]+)`(?:, `([^`]+)`)?", text, re.MULTILINE)
    assert len(named) > 4
    for name in filter(None, (name for pair in named for name in pair)):
        assert (judge.folder / "reports" / "my-judge" / name).exists(), name


def test_ratings_in_excel(judge: Program, recorded: Callable[..., Path]) -> None:
    """Sheets are written, filled in by a program in people's place, collected and compared."""
    recorded("answers", n=8)
    wide = openpyxl.Workbook()
    wide.active.append(["system", "character", "scenario", "rater", "流畅性"])  # type: ignore[union-attr]
    wide.active.append(["answers", "路飞", 1, "r1", "4分"])  # type: ignore[union-attr]
    wide.save(judge.folder / "ratings.xlsx")

    def filled_in_between(words: list[str]) -> None:
        if "collect" in words:
            for path in (judge.folder / "sheets" / "sheets").glob("*.xlsx"):
                fill_in(path)

    follow(judge, "ratings-in-excel", filled_in_between)
    with (judge.folder / "ratings.csv").open(encoding="utf-8-sig", newline="") as file:
        rated = {row["scenario"] for row in csv.DictReader(file)}
    assert rated == {str(number) for number in range(1, 9)}
    assert (judge.folder / "reports" / "answers" / "agreement.html").exists()


def fill_in(path: Path) -> None:
    """Every empty cell under a metric, with 1 to 5."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    (head,) = [
        row for row in sheet.iter_rows() if any("流畅" in str(cell.value) for cell in row)
    ]  # fmt: skip
    for number, row in enumerate(sheet.iter_rows(min_row=head[0].row + 1)):
        for at, cell in enumerate(row):
            if head[at].value and cell.value is None:
                cell.value = 1 + (number + at) % 5
    book.save(path)


def test_another_task(judge: Program, tmp_path: Path) -> None:
    """The skeleton of a set, the dialogues that the recipe shows, and a small random judge."""
    text = (RECIPES / "another-task.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^```csv\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (judge.folder / "talks.csv").write_text(table, encoding="utf-8")
    save_model(tmp_path / "my-judge", "Qwen3", window=65536, template=CHATML)
    follow(judge, "another-task")
    assert (judge.folder / "comparison" / "compare.html").exists()


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.md")))
def test_every_recipe_has_commands(name: str) -> None:
    """A recipe that this file does not run would not be a recipe."""
    assert list(commands(name))
    assert name in {"my-model", "agreement-table", "ratings-in-excel", "another-task"}
