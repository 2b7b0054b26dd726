"""Judging: every prompt is asked once and stored at once, with or without interruptions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from judge import manifest as manifests
from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.mock import MockEngine
from judge.errors import EngineError, RunMismatchError, StoreError, UsageError
from judge.manifest import Manifest
from judge.pipeline import JudgingOutcome, run, score
from judge.rubric import load_rubric
from judge.store import Store
from judge.types import Dialogue, Failure, LabelRead, PromptTree, Rationale, Turn

TINY, ESRP = load_rubric("tiny"), load_rubric("esrp")


class Recorder(MockEngine):
    """The mock engine, which records what it is asked and can break off."""

    def __init__(self, batch_size: int = 4, *, breaks_after: int | None = None) -> None:
        super().__init__("mock", EngineOptions(batch_size=batch_size))
        self.asked: list[list[tuple[str, str]]] = []
        self._left = breaks_after

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        if self._left is not None and len(self.asked) == self._left:
            raise KeyboardInterrupt
        self.asked.append([(item.dialogue.id, m) for item in tree.items for m in item.metrics])
        yield from super().score(tree)


def dialogues(n: int = 10) -> list[Dialogue]:
    turns = (Turn("累了。", "睡吧。"), Turn("嗯。", "乖。"))
    return [Dialogue("bot", f"角色{i % 3}", str(i), turns) for i in range(n)]


def asking(said: Sequence[Dialogue], metrics: Sequence[str] = ()) -> PromptTree:
    return TINY.tree(said, metrics)


def manifest(engine: MockEngine, *systems: str) -> Manifest:
    judge = {"name": "mock", "fingerprint": engine.fingerprint}
    return Manifest.begin(TINY.rubric, judge, "", dict.fromkeys(systems, "0f"), {})


def test_everything_is_asked_once_in_batches(tmp_path: Path) -> None:
    """10 dialogues in batches of 4, 4 and 2, nine metrics each; progress hears of each."""
    engine = Recorder(4)
    heard: list[tuple[int, int]] = []
    with Store(tmp_path) as store:
        outcome = score(asking(dialogues()), engine, store, lambda *call: heard.append(call))
        assert outcome == JudgingOutcome(made=90, reused=0)
        assert [len(batch) for batch in engine.asked] == [36, 36, 18]
        assert heard == [(0, 90), (36, 90), (72, 90), (90, 90)]
        assert len(store.judgments()) == 90
        assert set(store.dialogues()) == set(dialogues())


def test_a_second_time_asks_nothing(tmp_path: Path) -> None:
    """Stored judgments are counted as reused, and the engine is not asked."""
    with Store(tmp_path) as store:
        score(asking(dialogues()), Recorder(), store)
        engine = Recorder()
        assert score(asking(dialogues()), engine, store) == JudgingOutcome(made=0, reused=90)
        assert engine.asked == []


@pytest.mark.parametrize("breaks_after", [0, 1, 2])
def test_an_interrupted_run_goes_on_with_the_same_batches(
    tmp_path: Path, breaks_after: int
) -> None:
    """Complete batches are stored, the rest is asked as before, the numbers are equal."""
    unbroken, broken, rest = Recorder(), Recorder(breaks_after=breaks_after), Recorder()
    with Store(tmp_path / "one") as store:
        score(asking(dialogues()), unbroken, store)
        expected = store.judgments()
    with Store(tmp_path / "two") as store:
        with pytest.raises(KeyboardInterrupt):
            score(asking(dialogues()), broken, store)
        kept = 36 * breaks_after
        assert len(store.judgments()) == kept
        assert score(asking(dialogues()), rest, store) == JudgingOutcome(90 - kept, kept)
        assert store.judgments() == expected
    assert broken.asked + rest.asked == unbroken.asked


def test_the_time_is_kept(tmp_path: Path) -> None:
    """Two batches that sleep .05 s each: stored is at least that, at most what passed."""

    class Slow(Recorder):
        def score(self, tree: PromptTree) -> Iterator[LabelRead]:
            time.sleep(0.05)
            yield from super().score(tree)

    with Store(tmp_path) as store:
        began = time.monotonic()
        score(asking(dialogues(8)), Slow(4), store)
        passed = time.monotonic() - began
        assert 0.1 <= store.seconds()["bot"] <= passed


def test_a_run_grows(tmp_path: Path) -> None:
    """With more dialogues, then more metrics, only the new prompts are asked."""
    with Store(tmp_path) as store:
        assert score(asking(dialogues(4), ["fluency"]), Recorder(), store) == JudgingOutcome(4, 0)
        assert score(asking(dialogues(6), ["fluency"]), Recorder(), store) == JudgingOutcome(2, 4)
        engine = Recorder()
        assert score(asking(dialogues(6)), engine, store) == JudgingOutcome(48, 6)
    asked = [place for batch in engine.asked for place in batch]
    assert len(asked) == len(set(asked)) == 48
    assert all(metric != "fluency" for _, metric in asked)


def test_two_systems_that_say_the_same_are_both_judged(tmp_path: Path) -> None:
    """Equal prompts are both asked and get equal scores."""
    (one,) = dialogues(1)
    two = replace(one, system="human")
    with Store(tmp_path) as store:
        assert score(asking([one, two]), Recorder(1), store) == JudgingOutcome(18, 0)
        bot, human = store.judgments()[:9], store.judgments()[9:]
    assert [j.system for j in human] == ["human"] * 9
    assert [(j.key, j.outcome) for j in bot] == [(j.key, j.outcome) for j in human]


def test_a_blank_reply_is_a_failure_that_nobody_is_asked_about(tmp_path: Path) -> None:
    """All metrics of that dialogue fail with the reason; the others are judged."""
    said = dialogues(3)
    said[1] = replace(said[1], turns=(Turn("累了。", " "),))
    engine = Recorder()
    with Store(tmp_path) as store:
        assert score(asking(said), engine, store) == JudgingOutcome(27, 0)
        blank = [j for j in store.judgments() if j.scenario == "1"]
        others = [j for j in store.judgments() if j.scenario != "1"]
        assert score(asking(said), Recorder(), store) == JudgingOutcome(0, 27)
    expected = Failure("empty_reply", "the reply of round 1 is empty")
    assert [j.outcome for j in blank] == [expected] * 9
    assert all(j.score is not None for j in others)
    assert all(said[1].id != dialogue for batch in engine.asked for dialogue, _ in batch)


def test_a_batch_of_blank_replies_only(tmp_path: Path) -> None:
    """The engine is not called with an empty tree."""
    said = [replace(d, turns=(Turn("累了。", ""),)) for d in dialogues(2)]
    engine = Recorder(1)
    with Store(tmp_path) as store:
        assert score(asking(said), engine, store) == JudgingOutcome(18, 0)
    assert engine.asked == []


class Careless(MockEngine):
    """Leaves out its last answer, repeats one, or returns them in another order."""

    def __init__(self, how: str) -> None:
        super().__init__("mock", EngineOptions(batch_size=2))
        self._how = how

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        reads = list(super().score(tree))
        ways = {"forgets": reads[:-1], "doubles": [*reads, reads[-1]], "turns": reads[::-1]}
        yield from ways[self._how]


@pytest.mark.parametrize("how", ["forgets", "doubles", "turns"])
def test_an_engine_that_answers_something_else(tmp_path: Path, how: str) -> None:
    """No answer is stored for another prompt: the whole batch is refused."""
    with Store(tmp_path) as store:
        with pytest.raises(EngineError, match="answers to other prompts than it was given"):
            score(asking(dialogues(2)), Careless(how), store)
        assert store.judgments() == []


def test_another_text_under_a_known_name(tmp_path: Path) -> None:
    """A changed reply is refused before anything is asked."""
    with Store(tmp_path) as store:
        score(asking(dialogues(2)), Recorder(), store)
        changed = [replace(dialogues(1)[0], turns=(Turn("累了。", "起来！"),))]
        engine = Recorder()
        with pytest.raises(RunMismatchError, match="another text of the dialogue bot/角色0/0"):
            score(asking(changed), engine, store)
        assert engine.asked == []


def test_other_words_for_the_same_metric(tmp_path: Path) -> None:
    """The answer to another prompt is never used for this one."""
    with Store(tmp_path) as store:
        tree = asking(dialogues(2))
        score(tree, Recorder(), store)
        with pytest.raises(RunMismatchError, match="bot/角色0/0 was judged with another prompt"):
            score(replace(tree, system="Be strict."), Recorder(), store)


def test_the_manifest_is_there_before_the_first_judgment(tmp_path: Path) -> None:
    """A run that breaks off at once has a manifest; its end is recorded when it is finished."""
    engine = Recorder(breaks_after=0)
    first = manifest(engine, "bot")
    with Store(tmp_path) as store, pytest.raises(KeyboardInterrupt):
        run(asking(dialogues()), engine, store, first)
    assert manifests.read(tmp_path) == first
    assert first.finished is None
    with Store(tmp_path) as store:
        done = run(asking(dialogues()), Recorder(), store, manifest(engine, "bot"))
    assert done.outcome == JudgingOutcome(90, 0)
    assert done.manifest == manifests.read(tmp_path)
    assert done.manifest.started == first.started
    assert done.manifest.finished


def test_a_run_with_nothing_left_keeps_its_manifest(tmp_path: Path) -> None:
    """Versions and times are those of the judging, not of a later call."""
    with Store(tmp_path) as store:
        run(asking(dialogues()), Recorder(), store, manifest(Recorder(), "bot"))
        before = (tmp_path / "manifest.json").read_bytes()
        later = replace(manifest(Recorder(), "bot"), environment={"python": "9"})
        again = run(asking(dialogues(3)), Recorder(), store, later)
    assert again.outcome == JudgingOutcome(0, 27)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_run_that_grows_names_all_that_made_it(tmp_path: Path) -> None:
    """A second system adds its data; other versions are recorded beside the first ones."""
    human = [replace(d, system="human") for d in dialogues(2)]
    one = replace(manifest(Recorder(), "bot"), environment={"python": "3.11"})
    two = replace(manifest(Recorder(), "human"), environment={"python": "3.12"})
    with Store(tmp_path) as store:
        run(asking(dialogues(2)), Recorder(), store, one)
        grown = run(asking(human), Recorder(), store, two).manifest
    assert grown.data == {"bot": "0f", "human": "0f"}
    assert grown.environment == {"python": "3.11 | 3.12"}


class Interloper(Recorder):
    """While it is asked, another process adds its own system to the same run."""

    def __init__(self, store: Store) -> None:
        super().__init__(100)
        self._store = store

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        human = [replace(d, system="human") for d in dialogues(2)]
        with Store(self._store.folder) as second:
            run(asking(human), Recorder(), second, manifest(self, "human"))
        yield from super().score(tree)


def test_two_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """The manifest names the data of both systems, and both are judged."""
    with Store(tmp_path) as store:
        engine = Interloper(store)
        done = run(asking(dialogues(2)), engine, store, manifest(engine, "bot"))
        assert {j.system for j in store.judgments()} == {"bot", "human"}
    assert done.manifest.data == {"bot": "0f", "human": "0f"}
    assert done.manifest.finished


def test_another_judge_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    """All files of the run stay the same, byte for byte."""
    other = MockEngine("mock", EngineOptions(seed=1))
    with Store(tmp_path) as store:
        run(asking(dialogues(2)), Recorder(), store, manifest(Recorder(), "bot"))
        before = (tmp_path / "manifest.json").read_bytes(), store.judgments()
        with pytest.raises(RunMismatchError, match="mock/0, not the judge of fingerprint mock/1"):
            run(asking(dialogues(4)), other, store, manifest(other, "bot"))
        assert ((tmp_path / "manifest.json").read_bytes(), store.judgments()) == before
        assert len(store.dialogues()) == 2


def test_judgments_of_unknown_making_are_not_mixed_with(tmp_path: Path) -> None:
    """Without a manifest it is unknown how judgments were made, so the run cannot be continued."""
    with Store(tmp_path) as store:
        run(asking(dialogues(2)), Recorder(), store, manifest(Recorder(), "bot"))
        (tmp_path / "manifest.json").unlink()
        with pytest.raises(StoreError, match=r"no manifest\.json that says how they were made"):
            run(asking(dialogues(2)), Recorder(), store, manifest(Recorder(), "bot"))


# Reasons


def reasoning(said: Sequence[Dialogue], metrics: Sequence[str] = (), most: int = 30) -> PromptTree:
    return ESRP.tree(said, metrics, rationale=most)


def test_each_judgment_is_read_after_its_own_reason(tmp_path: Path) -> None:
    """The judge's rationale is stored, and its labels are read after exactly that rationale."""
    tree, engine = reasoning(dialogues(5), most=10), Recorder(2)
    with Store(tmp_path) as store:
        outcome = score(tree, engine, store)
        made = {(j.scenario, j.metric): j for j in store.judgments()}
    written = list(engine.write(tree))
    reasons: dict[int, dict[str, str]] = {i: {} for i in range(5)}
    for w in written:
        assert isinstance(w.outcome, str)
        reasons[w.item][w.metric] = w.outcome
    items = tuple(replace(item, reasons=reasons[i]) for i, item in enumerate(tree.items))
    for read in MockEngine("mock", EngineOptions()).score(replace(tree, items=items)):
        judged = made[str(read.item), read.metric]
        assert judged.rationale == reasons[read.item][read.metric]
        assert not isinstance(judged.outcome, Failure)
        assert judged.outcome.logprobs == read.outcome
    assert (outcome.made, outcome.reused) == (45, 0)
    assert outcome.tokens_written == sum(w.tokens for w in written)
    assert outcome.rationales_cut == sum(w.cut for w in written) > 0
    assert outcome.with_reasons == items


def test_plain_runs_write_nothing(tmp_path: Path) -> None:
    """No rationale is asked for, stored or counted."""
    with Store(tmp_path) as store:
        outcome = score(ESRP.tree(dialogues(2)), Recorder(), store)
        assert {j.rationale for j in store.judgments()} == {None}
    assert (outcome.tokens_written, outcome.rationales_cut, outcome.with_reasons) == (0, 0, ())


def test_an_interrupted_run_with_reasons_goes_on_as_it_would_have(tmp_path: Path) -> None:
    """Batches, rationales and numbers are as without it; only new tokens are counted."""
    tree = reasoning(dialogues())
    with Store(tmp_path / "one") as store:
        whole = score(tree, Recorder(), store)
        expected = store.judgments()
    with Store(tmp_path / "two") as store:
        with pytest.raises(KeyboardInterrupt):
            score(tree, Recorder(breaks_after=1), store)
        first = sum(len(j.rationale or "") for j in store.judgments())
        rest = score(tree, Recorder(), store)
        assert store.judgments() == expected
    assert (rest.made, rest.reused) == (54, 36)
    assert rest.tokens_written == whole.tokens_written - first


class Speechless(Recorder):
    """Fails to write rationales for some metrics, or returns them in another order."""

    def __init__(self, *silent: str, turns: bool = False) -> None:
        super().__init__(2)
        self._silent, self._turns = silent, turns

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        written = list(super().write(tree))
        for w in written[::-1] if self._turns else written:
            failure = Failure("too_long", "no room for a reason")
            yield Rationale(w.item, w.metric, failure) if w.metric in self._silent else w


def test_a_reason_that_fails_is_the_failure_of_the_judgment(tmp_path: Path) -> None:
    """No label is asked for without its rationale; the other metrics are judged."""
    tree, engine = reasoning(dialogues(3)), Speechless("fluency")
    with Store(tmp_path) as store:
        outcome = score(tree, engine, store)
        made = store.judgments()
        assert score(tree, Speechless("fluency"), store) == JudgingOutcome(0, 27)
    assert outcome.made == 27
    assert [len(item.metrics) for item in outcome.with_reasons] == [8, 8, 8]
    failed = [j for j in made if isinstance(j.outcome, Failure)]
    assert {(j.metric, j.outcome, j.rationale) for j in failed} == {
        ("fluency", Failure("too_long", "no room for a reason"), None)
    }
    assert len(failed) == 3
    assert all(metric != "fluency" for batch in engine.asked for _, metric in batch)
    with Store(tmp_path / "other") as store:
        score(tree, Recorder(2), store)
        others = [j for j in store.judgments() if j.metric != "fluency"]
    assert [j for j in made if j.metric != "fluency"] == others


def test_a_batch_without_any_reason(tmp_path: Path) -> None:
    """The labels are not asked for at all."""
    engine = Speechless("fluency", "wit")
    with Store(tmp_path) as store:
        assert score(reasoning(dialogues(2), ["fluency"]), engine, store).made == 2
    assert engine.asked == []


def test_a_blank_reply_needs_no_reason(tmp_path: Path) -> None:
    """It is a failure as without rationales, and none is written about it."""
    said = [replace(dialogues(1)[0], turns=(Turn("累了。", " "),))]
    with Store(tmp_path) as store:
        outcome = score(reasoning(said), Recorder(), store)
        assert {j.rationale for j in store.judgments()} == {None}
    assert (outcome, outcome.with_reasons) == (JudgingOutcome(9, 0), ())


def test_reasons_in_another_order_are_refused(tmp_path: Path) -> None:
    """No rationale is used for another metric."""
    with Store(tmp_path) as store:
        with pytest.raises(EngineError, match="answers to other prompts than it was given"):
            score(reasoning(dialogues(2)), Speechless(turns=True), store)
        assert store.judgments() == []


def test_a_judge_that_cannot_write_is_refused_at_once(tmp_path: Path) -> None:
    """Before a manifest, a dialogue or a judgment is stored."""
    engine = open_engine(resolve_judge("lexical"), EngineOptions())
    with Store(tmp_path) as store:
        first = Manifest.begin(ESRP.rubric, {"name": "lexical", "fingerprint": "x"}, "", {}, {})
        with pytest.raises(UsageError, match="--rationale: this judge cannot write"):
            run(reasoning(dialogues(2)), engine, store, first)
        with pytest.raises(UsageError, match="--rationale"):
            score(reasoning(dialogues(2)), engine, store)
        assert (store.judgments(), store.dialogues()) == ([], [])
    assert manifests.read(tmp_path) is None


def test_reasons_do_not_join_a_plain_run(tmp_path: Path) -> None:
    """Nor does another limit: refused by the manifest, and without it by the keys."""
    engine = Recorder()
    plain = replace(manifest(engine, "bot"), rubric=ESRP.rubric)
    reasoned = replace(plain, judge={**plain.judge, "rationale": "at most 30 tokens"})
    with Store(tmp_path) as store:
        run(ESRP.tree(dialogues(2)), engine, store, plain)
        with pytest.raises(RunMismatchError, match="made with no reasons, not reasons of at most"):
            run(reasoning(dialogues(2)), engine, store, reasoned)
        with pytest.raises(RunMismatchError, match="judged with another prompt"):
            score(reasoning(dialogues(2)), engine, store)
    with Store(tmp_path / "other") as store:
        score(reasoning(dialogues(2)), engine, store)
        with pytest.raises(RunMismatchError, match="judged with another prompt"):
            score(reasoning(dialogues(2), most=31), engine, store)
