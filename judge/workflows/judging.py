"""A judge opened once: it scores dialogues in memory, or in run folders through `evaluate`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self, Unpack

from judge.pipeline import JudgingOutcome, refuse_rationale, score
from judge.roleplay.reply_flags import share_of_language
from judge.rubric import load_rubric
from judge.runs import score_frame, show_frame
from judge.store import Store
from judge.token_plan import plan_tokens, rationale_cost
from judge.types import Dialogue, Failure, Judgment, PromptTree, Rubric
from judge.workflows import Progress, no_progress
from judge.workflows.inputs import DialogueSource, read_dialogues
from judge.workflows.opening import EngineKeywords, JudgeChoice, choose_judge

if TYPE_CHECKING:
    import pandas as pd

    from judge.engines.interface import Engine

__all__ = [
    "RATIONALE_TOKENS",
    "Judge",
    "Scores",
    "cost_of_reasons",
    "judge_notes",
    "tell_outcome",
    "warn_of_window",
]

_log = logging.getLogger(__name__)

_FROM_CHINESE = ("lexical", "tiny")
"""The embedded judges that have read Chinese only."""

RATIONALE_TOKENS = 512
"""The longest reason that a judge may write, where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a judge said of dialogues.

    Attributes:
        judgments: one for each dialogue and metric, in the order of the dialogues.
        dialogues: what was judged.
        rubric: what was asked.
        judge: the name of the judge.
    """

    judgments: tuple[Judgment, ...] = field(repr=False)
    dialogues: tuple[Dialogue, ...] = field(repr=False)
    rubric: Rubric = field(repr=False)
    judge: str

    @property
    def failed(self) -> int:
        """How many judgments could not be made; `to_frame` has their reasons."""
        return sum(isinstance(judgment.outcome, Failure) for judgment in self.judgments)

    def to_frame(self) -> pd.DataFrame:
        """One row for each judgment; see `judge.runs.score_frame` for the columns."""
        return score_frame(self.judgments, self.rubric.labels)

    def _repr_html_(self) -> str:
        frame = self.to_frame()[["system", "character", "scenario", "metric", "score", "status"]]
        return show_frame(frame, f"scores of {self.judge}, rubric {self.rubric.name}")


class Judge:
    """A judge and the rubric that it is asked with; the model is loaded when it is first needed.

    Use it as a context manager, or call `close` to give its memory back.

    Args:
        name: `lexical`, `tiny` or `mock`, which are embedded; a model folder; a hub id such as
            `Qwen/Qwen3-8B`; or `openai:NAME` for a model on a server. None for the default judge.
        rubric: a shipped rubric set or a folder; None for the judge's usual one.
        language: of the rubric; None for its first.
        characters_file: profiles of the characters that replace those of the rubric.
        rationale: let the judge write its reason before it scores; a number is the most tokens
            of a reason.
        **engine: how the model is asked; see `judge.engines.EngineOptions`. `cluster` says where
            several workers ask it at once.

    Attributes:
        choice: which judge this is, and the settings of its engine.
        rubric: the rubric set.
        engine: what asks the model.
        rationale: the most tokens of a reason, 0 without reasons.

    Raises:
        UsageError: options that do not fit this judge.
        RubricError: the rubric cannot be used.
        EngineError: there is no such model, or a library that it needs is not installed.
    """

    def __init__(
        self,
        name: str | JudgeChoice | None = None,
        *,
        rubric: str | Path | None = None,
        language: str | None = None,
        characters_file: str | Path | None = None,
        rationale: bool | int = False,
        **engine: Unpack[EngineKeywords],
    ) -> None:
        self.choice = name if isinstance(name, JudgeChoice) else choose_judge(name, engine)
        spec = self.choice.spec
        asked_by = spec.rubric if rubric is None else str(rubric)
        self.rubric = load_rubric(asked_by, language, characters_file)
        self.rationale = RATIONALE_TOKENS if rationale is True else int(rationale)
        self.engine = self.choice.open()
        if self.rationale:
            refuse_rationale(self.engine)

    def __repr__(self) -> str:
        rubric = self.rubric.rubric
        return f"Judge({self.choice.spec.name!r}, rubric {rubric.name} {rubric.language})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def facts(self) -> dict[str, str]:
        """What the manifest says of the judge."""
        facts = {"name": self.choice.spec.name, "seed": str(self.choice.options.seed)}
        facts |= {"fingerprint": self.engine.fingerprint, **self.engine.describe()}
        if self.rationale:
            facts["rationale"] = f"at most {self.rationale} tokens"
        return facts

    def close(self) -> None:
        """Give back the memory that the model holds; it is loaded again if it is asked again."""
        self.engine.close()

    def score(
        self,
        dialogues: DialogueSource,
        *,
        metrics: Sequence[str] = (),
        progress: Progress = no_progress,
    ) -> Scores:
        """The judge's scores of dialogues; nothing is kept on disk.

        Args:
            dialogues: a file, a folder, a DataFrame, or a list of dialogues.
            metrics: only these; all that judge one dialogue otherwise.

        Raises:
            DataError: the dialogues cannot be read.
            UsageError: a metric that there is not, or one that is judged over many replies.
            EngineError: the judge cannot be asked.
        """
        given = read_dialogues(dialogues).dialogues
        tree = self.rubric.tree(given, metrics, rationale=self.rationale)
        with TemporaryDirectory() as folder, Store(Path(folder)) as store:
            score(tree, self.engine, store, lambda done, total: progress("judging", done, total))
            judgments = store.judgments()
        by_name = {(j.system, j.character, j.scenario, j.metric): j for j in judgments}
        ordered = tuple(
            by_name[item.dialogue.system, item.dialogue.character, item.dialogue.scenario, metric]
            for item in tree.items
            for metric in item.metrics
        )
        return Scores(ordered, given, self.rubric.rubric, self.choice.spec.name)


def tell_outcome(outcome: JudgingOutcome, judge: Judge, judgments: Sequence[Judgment]) -> None:
    """Tell what was done now, and why some of the judgments could not be made."""
    failures = [j.outcome for j in judgments if isinstance(j.outcome, Failure)]
    _log.info(
        "%d judgments made, %d were there; %d could not be made",
        *(outcome.made, outcome.reused, len(failures)),
    )
    for code, count in Counter(failure.code for failure in failures).most_common():
        example = next(failure.reason for failure in failures if failure.code == code)
        _log.info("%6d %s, such as: %s", count, code, example)
    passing = sum(failure.passing for failure in failures)
    if passing:
        _log.info("%d of them may succeed now: the same command asks them again", passing)
    if passing < len(failures):
        _log.info("--retry-failed asks all of them again")
    share = getattr(judge.engine, "cached_share", None)  # of vLLM, which shares by itself
    if share is not None:
        _log.info("%.1f%% of the prompt tokens were found in the cache", 100 * share)


def cost_of_reasons(
    outcome: JudgingOutcome, tree: PromptTree, plain: PromptTree, judge: Judge
) -> dict[str, object]:
    """What the reasons written now took; empty where none was written."""
    if not outcome.with_reasons:
        return {}
    facts: dict[str, object] = {
        "tokens_written": outcome.tokens_written,
        "reasons_cut": outcome.rationales_cut,
    }
    line = f"with reasons: {outcome.tokens_written} tokens written"
    spent = rationale_cost(outcome.with_reasons, tree, plain, judge.engine)
    if spent is not None:
        facts |= {"tokens_read_at_most": spent.read, "tokens_read_without": spent.plain}
        line += f", at most {spent.read} read"
        if spent.plain is not None:
            line += f"; without: {spent.plain} read"
    _log.info(line)
    if outcome.rationales_cut:
        _log.info("%d reasons were cut at %d tokens", outcome.rationales_cut, tree.rationale)
    return facts


def warn_of_window(tree: PromptTree, engine: Engine) -> None:
    """Warn where the longest dialogue does not fit into the model's window.

    Only the prompts about the dialogue of the most characters are counted: that takes no longer
    than loading the tokenizer.
    """
    if not tree.items:
        return
    longest = max(
        tree.items, key=lambda item: sum(len(t.question + t.answer) for t in item.dialogue.turns)
    )
    plan = plan_tokens(replace(tree, items=(longest,)), engine)
    if plan is not None and plan.window is not None and plan.longest > plan.window:
        _log.warning(
            "the model's window is %d tokens, and a prompt about the longest dialogue has %d: "
            "prompts that are longer than the window fail",
            plan.window,
            plan.longest,
        )


def judge_notes(judge: Judge, dialogues: Sequence[Dialogue]) -> tuple[str, ...]:
    """What every report is to say of this judge on these dialogues."""
    names = dict.fromkeys(d.character for d in dialogues)
    strangers = [name for name in names if not judge.rubric.character(name).known]
    notes = [judge.choice.spec.note] if judge.choice.spec.note else []
    chinese = share_of_language(" ".join(t.answer for d in dialogues for t in d.turns), "zh")
    if judge.choice.spec.name in _FROM_CHINESE and chinese is not None and chinese < 0.5:
        notes.append(
            f"The embedded judge {judge.choice.spec.name} has learnt from Chinese, and these "
            "dialogues are not in Chinese: its scores say nothing of them."
        )
    if strangers:
        notes.append(f"Judged without a profile: {', '.join(strangers)}.")
    return tuple(notes)
