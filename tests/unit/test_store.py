"""The database of a run: what is kept, what is refused, what survives."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

from judge.errors import RunMismatchError, StoreError
from judge.store import FORMAT, Store
from judge.types import Dialogue, Failure, Judgment, ScoreDistribution, Turn


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


def test_no_probability_is_written_as_json(tmp_path: Path) -> None:
    """-inf reads back, and the text in the database is JSON that any reader takes: null."""
    outcome = ScoreDistribution((-math.inf, -0.25), top_is_label=True)
    with Store(tmp_path) as store:
        store.add([Judgment("k", "bot", "路飞", "1", "fluency", outcome)])
        assert store.judgments()[0].outcome == outcome
        assert store._db.execute("SELECT logprobs FROM judgment").fetchall() == [("[null, -0.25]",)]


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
        with pytest.raises(StoreError, match="a row is not what it should be"):
            store.dialogues()
    (tmp_path / "judge.sqlite").write_bytes(b"no database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match="not a database") as caught:
        Store(tmp_path)
    assert "restore" in (caught.value.hint or "")
