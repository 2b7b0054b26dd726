"""The page of all dialogues: each with its text, scores and label probabilities.

All data lie compressed inside the page, so that it opens from disk and asks nobody for anything:
an index of scores that is read at once, and blocks of dialogues that are read when one is opened.
`templates/dialogues.js` reads them.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from judge.analysis.calibrated_scores import ItemKey, ItemScore
from judge.analysis.judgment_table import FLAG_BELOW, JudgmentTable, judgment_table
from judge.analysis.results import OVERALL, Results
from judge.limits import harmless
from judge.ratings import Ratings, join_ratings, mean_ratings
from judge.report.format import english_title, environment, script
from judge.types import Dialogue, Failure, Judgment, Turn

__all__ = ["dialogue_link", "render_dialogues"]

_BLOCK = 100
"""How many dialogues are unpacked together."""

_FLAGGED, _FAILED = 1, 2
"""The state of a score."""

_NONE = -1
"""Stands in the index for a score that is not there."""


def dialogue_link(**chosen: str) -> str:
    """The address of the page, beside a report, with some of its dialogues chosen."""
    names = {key: harmless(name) for key, name in chosen.items()}
    return f"dialogues.html#{urlencode(names)}"


def render_dialogues(
    results: Results,
    judgments: Sequence[Judgment],
    dialogues: Iterable[Dialogue],
    *,
    items: Mapping[ItemKey, ItemScore],
    beside: Mapping[str, Ratings],
) -> str:
    """The page as HTML.

    It loads nothing from elsewhere; its script writes every text from the data as text.

    Args:
        results: of these judgments.
        judgments: what the page shows.
        dialogues: their texts, as far as they are at hand.
        items: calibrated scores.
        beside: title -> ratings to set beside the judge's scores.
    """
    judged = [j for j in judgments if j.metric in results.metrics]
    table = judgment_table(judged, results.metrics, len(results.labels))
    row_of: dict[tuple[str, str, str], int] = {
        name: row for row, name in enumerate(table.dialogue_ids)
    }
    blocks = [_packed(block) for block in _blocks(table, row_of, judged, dialogues)]
    return (
        environment()
        .get_template("dialogues.html.j2")
        .render(
            r=results,
            script=script("dialogues.js"),
            human_scale=bool(items),
            index=_packed(_index(results, table, items, beside)),
            blocks=blocks,
        )
    )


def _index(
    results: Results,
    table: JudgmentTable,
    items: Mapping[ItemKey, ItemScore],
    beside: Mapping[str, Ratings],
) -> dict[str, Any]:
    """What the list shows, filters and sorts by, in columns over the n dialogues."""
    names: dict[str, Any] = {}
    columns = (table.systems, table.characters, table.scenarios)
    for part, column in zip(("system", "character", "scenario"), columns, strict=True):
        known = list(dict.fromkeys(column.tolist()))  # in the order of the rows
        code_of = {name: code for code, name in enumerate(known)}
        names[part] = {
            "names": [harmless(name) for name in known],
            "codes": [code_of[name] for name in column.tolist()],
        }
    calibrated = _calibrated(table, items)
    failed = table.code != "ok"
    codes = sorted({str(code) for code in table.code[failed].tolist()})
    state = np.where(table.mass < FLAG_BELOW, _FLAGGED, 0)
    for at, code in enumerate(codes):
        state[table.code == code] = _FAILED + at
    return {
        "block": _BLOCK,
        "labels": results.labels,
        "metrics": [english_title(name, results.titles[name]) for name in table.metrics],
        "whole": "Overall" if OVERALL in results.titles else "Mean of its metrics",
        "failures": codes,
        **names,
        "score": _ints(calibrated if _on_human_scale(results, items) else table.score),
        "calibrated": _ints(calibrated) if items else None,
        "first": "calibrated" if _on_human_scale(results, items) else "raw",
        "state": state.T.tolist(),
        "beside": {title: _ints(_means(table, given)) for title, given in beside.items()},
    }


def _on_human_scale(results: Results, items: Mapping[ItemKey, ItemScore]) -> bool:
    """Whether the list shows calibrated scores: all metrics have to be calibrated for that."""
    calibration = results.calibration
    return bool(items) and calibration is not None and all(m.map for m in calibration.metrics)


def _calibrated(table: JudgmentTable, items: Mapping[ItemKey, ItemScore]) -> NDArray[np.float64]:
    """(n, M) calibrated scores of the dialogues of a table, NaN where there is none."""
    missing = ItemScore(np.nan, None, None)
    return np.array(
        [
            [items.get((*name, metric), missing).score for metric in table.metrics]
            for name in table.dialogue_ids
        ]
    )


def _means(table: JudgmentTable, ratings: Ratings) -> NDArray[np.float64]:
    """(n, M) mean ratings of the dialogues of a table, NaN where there is none."""
    joined = join_ratings(ratings, table.dialogue_ids, table.metrics)
    use = joined.both
    return mean_ratings(joined.row[use], joined.column[use], ratings.score[use], table.score.shape)


def _ints(values: NDArray[np.float64]) -> list[list[int]]:
    """Metric -> dialogue -> ten thousandths of a point; `_NONE` for NaN."""
    known = np.where(np.isnan(values), 0.0, np.round(values * 1e4))
    whole = np.where(np.isnan(values), _NONE, known).astype(np.int64)
    columns: list[list[int]] = whole.T.tolist()
    return columns


def _blocks(
    table: JudgmentTable,
    row_of: Mapping[tuple[str, str, str], int],
    judgments: Iterable[Judgment],
    dialogues: Iterable[Dialogue],
) -> list[list[Any]]:
    """The dialogues in the order of the index: `[rounds, metrics]` of each."""
    column_of = {metric: column for column, metric in enumerate(table.metrics)}
    rows: list[list[Any]] = [[[], [None] * len(table.metrics)] for _ in table.dialogue_ids]
    for dialogue in dialogues:
        row = row_of.get((dialogue.system, dialogue.character, dialogue.scenario))
        if row is not None:
            rows[row][0] = [_texts(turn) for turn in dialogue.turns]
    for j in judgments:
        name = (j.system, j.character, j.scenario)
        if name in row_of:
            rows[row_of[name]][1][column_of[j.metric]] = _judged(j)
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _texts(turn: Turn) -> list[str]:
    return [harmless(turn.question), harmless(turn.answer)]


def _judged(judgment: Judgment) -> list[Any]:
    """`[probabilities in thousandths, label mass, how read, reason, raw score]`, or a failure's."""
    why = None if judgment.rationale is None else harmless(judgment.rationale)
    outcome = judgment.outcome
    if isinstance(outcome, Failure):
        return [outcome.code, harmless(outcome.reason), "", why, None]
    shares = [round(1000 * p) for p in outcome.p]
    reading = "" if outcome.reading == "exact" else outcome.reading
    return [shares, round(outcome.label_mass, 3), reading, why, round(outcome.expected, 4)]


def _packed(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
