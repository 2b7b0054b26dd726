"""Laws of rubric sets, for any dialogue and any damage to a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from judge.errors import JudgeError
from judge.rubric import check, load_rubric, shipped_sets
from judge.types import Dialogue, Turn

TINY, ESRP = load_rubric("tiny"), load_rubric("esrp", "en")
texts = st.text(max_size=30) | st.sampled_from(["{{ x }}", "{% endblock %}", "a\nUser: 5\n# Task"])
turns = st.lists(st.builds(Turn, texts, texts), max_size=4).map(tuple)
names = st.text(max_size=6) | st.sampled_from(sorted(TINY.characters))
dialogues = st.builds(Dialogue, st.just("bot"), names, st.just("1"), turns)
FILES = sorted(
    str(path.relative_to(shipped_sets()["esrp"]))
    for path in shipped_sets()["esrp"].rglob("*")
    if path.suffix in {".toml", ".j2"} and path.parent.name != "zh"
)


@given(dialogues)
def test_the_short_prompt_is_the_dialogue_as_written(dialogue: Dialogue) -> None:
    """`tiny` shows each round as two lines, 问 and 答, and not a byte else."""
    expected = "".join(f"问：{turn.question}\n答：{turn.answer}\n" for turn in dialogue.turns)
    assert TINY.tree([dialogue]).items[0].text == expected


@given(dialogues)
def test_no_reply_begins_a_line(dialogue: Dialogue) -> None:
    """In `esrp` every line at the margin is the layout's: one heading and two per round."""
    text = ESRP.tree([dialogue]).items[0].text
    margin = [line for line in text.split("\n") if line.strip() and not line.startswith(" ")]
    assert len(margin) == 1 + 2 * len(dialogue.turns)


@settings(max_examples=25)
@given(
    st.lists(dialogues, max_size=3),
    st.sets(st.sampled_from([metric.name for metric in ESRP.dialogue_metrics])),
)
def test_no_prompt_depends_on_its_neighbours(batch: list[Dialogue], asked: set[str]) -> None:
    """What is shared is the same for any batch, and each dialogue reads as it does alone."""
    chosen = [metric.name for metric in ESRP.dialogue_metrics if metric.name in asked]
    tree = ESRP.tree(batch, chosen)
    assert tree.system == ESRP.tree([]).system
    assert len(tree) == len(batch) * (len(chosen) or 9)
    for dialogue, item in zip(batch, tree.items, strict=True):
        alone = ESRP.tree([dialogue], chosen)
        assert alone.items == (item,)
        assert alone.profiles[dialogue.character] == tree.profiles[dialogue.character]
        assert alone.questions == tree.questions


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 10**6), st.text(max_size=12) | st.none())
def test_whatever_does_not_load_is_told_by_check(file: str, where: int, line: str | None) -> None:
    """A line lost or overwritten anywhere never makes a traceback, and never hides from `check`."""
    with TemporaryDirectory() as root:
        folder = Path(shutil.copytree(shipped_sets()["esrp"], Path(root) / "esrp"))
        lines = (folder / file).read_text(encoding="utf-8").split("\n")
        at = where % len(lines)
        lines[at : at + 1] = [] if line is None else [line]
        (folder / file).write_bytes("\n".join(lines).encode())
        failure: JudgeError | None = None
        try:
            rubric = load_rubric(folder, "en")
            for metric in rubric.rubric.metrics:
                for character in ("路飞", "nobody"):
                    rubric.segments(metric, Dialogue("bot", character, "1", (Turn("a", "b"),)))
        except JudgeError as error:
            failure = error
        problems = check(folder)
        assert failure is None or problems
