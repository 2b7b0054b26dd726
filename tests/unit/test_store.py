"""The database of a run: what is kept, what is refused, what survives."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from judge.errors import RunMismatchError, StoreError
from judge.store import FORMAT, Store
from judge.types import Dialogue, Failure, Judgment, Reading, ScoreDistribution, Turn

GOLDEN = Path(__file__).parents[1] / "golden"


def dialogue(system: str = "bot", scenario: str = "1", answer: str = "睡吧。") -> Dialogue:
    return Dialogue(system, "路飞", scenario, (Turn("累了。", answer), Turn("嗯。", "乖。")))


def judgment(scenario: str = "1", metric: str = "fluency", key: str = "k") -> Judgment:
    outcome = ScoreDistribution((-1.5, -0.5), top_is_label=True)
    return Judgment(key, "bot", "路飞", scenario, metric, outcome)


def test_what_goes_in_comes_out_in_order(tmp_path: Path) -> None:
    """Scores and failures read back as they were, sorted by what was judged."""
    failure = Judgment("k", "bot", "路飞", "1", "coherency", Failure("too_long", "9,000 tokens"))
    with Store(tmp_path / "run") as store:
        store.add_dialogues([dialogue(scenario="2"), dialogue()])
        store.add([judgment("2"), judgment(), failure])
    with Store(tmp_path / "run", create=False) as store:
        assert store.judgments() == [failure, judgment(), judgment("2")]
        assert store.dialogues() == [dialogue(), dialogue(scenario="2")]
        assert store.keys() == {
            ("bot", "路飞", "1", "coherency"): "k",
            ("bot", "路飞", "1", "fluency"): "k",
            ("bot", "路飞", "2", "fluency"): "k",
        }


@pytest.mark.parametrize("reading", ["exact", "truncated", "sampled"])
@pytest.mark.parametrize("reason", [None, "", "“睡吧”：\n暖。"])
def test_how_it_was_read_and_why_are_kept(
    tmp_path: Path, reading: Reading, reason: str | None
) -> None:
    """The reading of a score, and the reason of a score or a failure, none apart from empty."""
    outcome = ScoreDistribution((-1.5, -0.5), True, reading)
    made = [
        Judgment("k", "bot", "路飞", "1", "fluency", outcome, reason),
        Judgment("k", "bot", "路飞", "2", "fluency", Failure("too_long", "x"), reason),
    ]
    with Store(tmp_path) as store:
        store.add(made)
        assert store.judgments() == made


def test_no_probability_is_written_as_json(tmp_path: Path) -> None:
    """-inf reads back, and the text in the database is JSON that any reader takes: null."""
    outcome = ScoreDistribution((-math.inf, -0.25), top_is_label=True)
    with Store(tmp_path) as store:
        store.add([Judgment("k", "bot", "路飞", "1", "fluency", outcome)])
        assert store.judgments()[0].outcome == outcome
        assert store._db.execute("SELECT logprobs FROM judgment").fetchall() == [("[null, -0.25]",)]


def test_the_time_of_a_batch_is_shared_by_its_judgments(tmp_path: Path) -> None:
    """6 s for two judgments of one system and one of another are 4 and 2; batches add up."""
    other = replace(judgment(), system="else")
    with Store(tmp_path) as store:
        store.add([judgment("1"), judgment("2"), other], 6.0)
        assert store.seconds() == {"bot": 4.0, "else": 2.0}
        store.add([judgment("3")], 0.5)
        assert store.seconds() == {"bot": 4.5, "else": 2.0}


def test_a_time_that_is_not_whole_is_not_known(tmp_path: Path) -> None:
    """One judgment that was not timed leaves its system without seconds."""
    with Store(tmp_path) as store:
        store.add([judgment("1")])
        assert store.seconds() == {}
        store.add([judgment("2"), replace(judgment(), system="else")], 6.0)
        assert store.seconds() == {"else": 3.0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_not_kept(tmp_path: Path, value: float) -> None:
    """Neither nan nor +inf comes to lie in a run; the whole batch is refused."""
    bad = Judgment("k", "bot", "路飞", "2", "fluency", ScoreDistribution((value, -1.0), True))
    with Store(tmp_path) as store:
        with pytest.raises(StoreError, match="not what it should be"):
            store.add([judgment(), bad])
        assert store.judgments() == []


def test_a_judgment_that_is_there_stays(tmp_path: Path) -> None:
    """The second of two processes that judged the same changes nothing."""
    other = Judgment("k", "bot", "路飞", "1", "fluency", Failure("x", "y"))
    with Store(tmp_path) as store:
        store.add([judgment()])
        store.add([other, judgment("2")])
        assert store.judgments() == [judgment(), judgment("2")]


def test_equal_questions_about_two_systems_are_two_judgments(tmp_path: Path) -> None:
    """The key is what was asked, not what was judged: systems that say the same share it."""
    one = judgment(key="same")
    two = Judgment("same", "human", "路飞", "1", "fluency", one.outcome)
    with Store(tmp_path) as store:
        store.add([one, two])
        assert store.judgments() == [one, two]


def test_another_text_is_refused_and_nothing_written(tmp_path: Path) -> None:
    """A changed reply under a known id stops the whole batch, and the run keeps the first text."""
    with Store(tmp_path) as store:
        store.add_dialogues([dialogue()])
        changed = dialogue(answer="起来！")
        with pytest.raises(RunMismatchError, match="another text of the dialogue bot/路飞/1"):
            store.add_dialogues([dialogue(scenario="2"), changed])
        assert store.dialogues() == [dialogue()]
        with pytest.raises(RunMismatchError):
            store.add_dialogues([dialogue(scenario="3"), dialogue(scenario="3", answer="起来！")])
        assert store.dialogues() == [dialogue()]


def _delete_and_stop(store: Store) -> None:
    store._db.execute("DELETE FROM judgment")
    raise KeyboardInterrupt


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """An error half-way through a batch leaves the store as it was, and usable."""

    class Broken:
        def __getattr__(self, name: str) -> str:
            raise KeyboardInterrupt

    with Store(tmp_path) as store:
        store.add([judgment()])
        with pytest.raises(KeyboardInterrupt):
            store.add([judgment("2"), Broken()])  # type: ignore[list-item]
        with pytest.raises(KeyboardInterrupt), store.transaction():
            _delete_and_stop(store)
        assert store.judgments() == [judgment()]
        store.add([judgment("2")])
        assert len(store.judgments()) == 2


def test_a_full_disk(tmp_path: Path) -> None:
    """SQLite's own "full" names the file, hints at space, keeps what was stored, and passes."""
    batch = [judgment(str(n), metric, "k" * 64) for n in range(500) for metric in "abcdefghi"]
    with Store(tmp_path) as store:
        store.add([judgment()])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match=r"judge\.sqlite: database or disk is full") as caught:
            store.add(batch)
        assert "free some space" in (caught.value.hint or "")
        assert store.judgments() == [judgment()]
        store._db.execute("PRAGMA max_page_count = 100000")
        store.add(batch)
        assert len(store.judgments()) == 1 + len(batch)


def test_waiting_ends(tmp_path: Path) -> None:
    """A run that another program keeps locked is a clear error, once patience is over."""
    with Store(tmp_path) as store, Store(tmp_path) as other, store.transaction():
        other._db.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(StoreError, match="locked") as caught:
            other.add([judgment()])
    assert "another program" in (caught.value.hint or "")


def test_write_ahead_and_version(tmp_path: Path) -> None:
    """Readers can look at a run at work, and the file says which format it has."""
    with Store(tmp_path) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA user_version").fetchone() == (FORMAT,)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """What a later version wrote is not guessed at, nor changed."""
    with Store(tmp_path) as store:
        store._db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = (tmp_path / "judge.sqlite").read_bytes()
    with pytest.raises(StoreError, match=f"format {FORMAT + 1} is newer") as caught:
        Store(tmp_path)
    assert caught.value.hint == "upgrade esrp-judge"
    assert (tmp_path / "judge.sqlite").read_bytes() == before


# Older formats


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The golden run of format 1."""
    with closing(sqlite3.connect(tmp_path / "judge.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((GOLDEN / "run-v1" / "judge.sql").read_text(encoding="utf-8"))
    return tmp_path


def format_of(folder: Path) -> tuple[int, list[str]]:
    """The version in the file, and the columns of its judgments."""
    with closing(sqlite3.connect(folder / "judge.sqlite")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(judgment)")]
        return int(db.execute("PRAGMA user_version").fetchone()[0]), columns


def test_a_run_of_format_1_is_read_as_it_is(old: Path) -> None:
    """Every score is exact and without a reason, and looking changes nothing in the file."""
    before = format_of(old)
    for create in (False, True):
        with Store(old, create=create) as store:
            found = store.judgments()
            assert len(found) == len(store.keys()) == 18
            assert store.seconds() == {}
            store.add_dialogues(store.dialogues())
    outcomes = [j.outcome for j in found if not isinstance(j.outcome, Failure)]
    assert [outcome.reading for outcome in outcomes] == ["exact"] * 9
    assert {j.rationale for j in found} == {None}
    assert format_of(old) == before == (1, before[1])
    assert "reading" not in before[1]


def test_a_run_of_format_1_becomes_one_of_format_2_when_written(old: Path) -> None:
    """The first new judgment brings the columns; the old ones stay what they were."""
    new = Judgment("k", "bot", "路飞", "9", "fluency", Failure("x", "y"), "reason")
    with Store(old) as store:
        before = store.judgments()
        store.add([new])
        assert sorted(store.judgments(), key=lambda j: j.scenario) == [*before, new]
    version, columns = format_of(old)
    assert (version, columns[-2:]) == (2, ["reading", "rationale"])
    with closing(sqlite3.connect(old / "judge.sqlite")) as db:
        told = db.execute("SELECT DISTINCT status, reading FROM judgment").fetchall()
    assert {row for row in told if row[0] in {"ok", "empty_reply"}} == {
        ("ok", "exact"),
        ("empty_reply", None),
    }


def test_the_time_of_a_run_of_format_1_is_not_known(old: Path) -> None:
    """What was judged before was not timed; a system that is new to the run is."""
    with Store(old) as store:
        store.add([judgment("8"), replace(judgment(), system="new")], 3.0)
        assert store.seconds() == {"new": 1.5}


def test_two_that_write_to_an_old_run(old: Path) -> None:
    """The second, which opened it before the first brought it on, writes all the same."""
    with Store(old) as one, Store(old) as two:
        one.add([judgment("8")])
        two.add([judgment("9")])
        assert len(one.judgments()) == len(two.judgments()) == 20


def test_a_failed_write_leaves_an_old_run_old(old: Path) -> None:
    """The new columns come with the first judgment, or not at all."""
    bad = Judgment("k", "bot", "路飞", "2", "fluency", ScoreDistribution((math.nan, -1.0), True))
    with Store(old) as store:
        with pytest.raises(StoreError, match="not what it should be"):
            store.add([bad])
        assert len(store.judgments()) == 18
    assert format_of(old)[0] == 1


def test_no_database_is_made_where_one_is_expected(tmp_path: Path) -> None:
    """Without `create` a folder that is no run is an error and stays as it was."""
    with pytest.raises(StoreError, match="unable to open"):
        Store(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file: the run folder cannot be made: File exists"):
        Store(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be made: Not a directory"):
        Store(tmp_path / "file" / "run")


def test_a_folder_name_may_hold_anything(tmp_path: Path) -> None:
    """Marks that mean something in a URI do not lead elsewhere."""
    folder = tmp_path / "a?mode=ro#b %41"
    with Store(folder):
        pass
    assert (folder / "judge.sqlite").is_file()


def test_damage_is_told(tmp_path: Path) -> None:
    """A file that is no database, and a row that is no judgment."""
    with Store(tmp_path) as store:
        store.add([judgment()])
        store.add_dialogues([dialogue()])
    with sqlite3.connect(tmp_path / "judge.sqlite") as db:
        db.execute("UPDATE judgment SET logprobs = '[-1.5'")
        db.execute("UPDATE dialogue SET turns = '[[1]]'")
    db.close()
    with Store(tmp_path) as store:
        with pytest.raises(StoreError, match="a row is not what it should be"):
            store.judgments()
        store._db.execute("UPDATE judgment SET logprobs = '[-1.5]', reading = 'guessed'")
        with pytest.raises(StoreError, match="there is no reading 'guessed'"):
            store.judgments()
        with pytest.raises(StoreError, match="a row is not what it should be"):
            store.dialogues()
    (tmp_path / "judge.sqlite").write_bytes(b"no database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match="not a database") as caught:
        Store(tmp_path)
    assert "restore" in (caught.value.hint or "")
