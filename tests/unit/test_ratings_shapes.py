"""The shapes that ratings come in beyond one row per rating, and names written in several ways."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from judge.errors import DataError, UsageError
from judge.ratings import DialogueId, Ratings, compare, join_ratings, read_ratings
from judge.rubric import load_rubric

METRICS = load_rubric("esrp").rubric.metrics
EXPECTED = [
    ("bot", "1", "fluency", "甲", 4.0),
    ("bot", "1", "fluency", "乙", 5.0),
    ("bot", "2", "fluency", "甲", 3.0),
    ("bot", "2", "fluency", "乙", 2.0),
]


def read(tmp_path: Path, rows: Sequence[Sequence[object]], **options: Any) -> Ratings:
    path = tmp_path / "bot.csv"
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8")
    return read_ratings(path, metrics=METRICS, **options)


def found(ratings: Ratings) -> list[tuple[str, str, str, str | None, float]]:
    frame = ratings.to_frame()
    columns = ("system", "scenario", "metric", "rater", "score")
    return sorted(zip(*(frame[column].tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    "headings",
    [
        ("fluency_甲", "fluency_乙"),
        ("流畅性/甲", "流畅性/乙"),
        ("甲-流畅性", "乙-流畅性"),
        ("流畅性（甲）", "流畅性（乙）"),
        ("Fluency: 甲", "Fluency: 乙"),
    ],
)
def test_a_column_for_each_metric_and_rater(tmp_path: Path, headings: Sequence[str]) -> None:
    """The part of a heading that is no metric is the rater."""
    rows = [("character", "scenario", *headings), ("路飞", 1, 4, 5), ("路飞", 2, 3, 2)]
    assert found(read(tmp_path, rows)) == sorted(EXPECTED)


def test_a_group_before_each_metric_is_no_rater(tmp_path: Path) -> None:
    """Dimensions above the metrics, as two rows of headings have them, name nobody."""
    head = ("角色", "场景", "评分人", "基础对话/流畅性", "情感支持/情绪价值")
    ratings = read(tmp_path, [head, ("路飞", 1, "甲", 4, 5)])
    assert found(ratings) == [
        ("bot", "1", "emotional_value", "甲", 5.0),
        ("bot", "1", "fluency", "甲", 4.0),
    ]


def test_remarks_beside_a_metric_are_not_read(tmp_path: Path) -> None:
    """Where the metric has a column of its own, `fluency_reason` is a column of something else."""
    ratings = read(
        tmp_path, [("角色", "场景", "fluency", "fluency_reason"), ("路飞", 1, 4, "natural")]
    )
    assert (len(ratings), ratings.unread, ratings.faults) == (1, ("fluency_reason",), ())


@pytest.mark.parametrize(
    "heading",
    [
        "流畅性(1-5)",
        "流畅性（1-5分）",
        "流畅性【1=差，5=好】",
        "3、流畅性",
        "Q3. 流畅性 (1-5)",
        "第3题：流畅性",
    ],
)
def test_headings_of_questionnaires(tmp_path: Path, heading: str) -> None:
    """The number of the question and the scale in brackets say nothing about the metric."""
    ratings = read(tmp_path, [("角色", "场景", "评分人", heading), ("路飞", 1, "甲", 4)])
    assert found(ratings) == [("bot", "1", "fluency", "甲", 4.0)]


def test_a_column_for_each_rater(tmp_path: Path) -> None:
    """The option says whose they are; without it the error names the option."""
    rows = [
        ("character", "scenario", "metric", "甲", "乙"),
        ("路飞", 1, "fluency", 4, 5),
        ("路飞", 2, "fluency", 3, 2),
    ]
    assert found(read(tmp_path, rows, raters=["甲", "乙"])) == sorted(EXPECTED)
    with pytest.raises(DataError) as caught:
        read(tmp_path, rows)
    assert "--raters" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no column 丙"):
        read(tmp_path, rows, raters=["甲", "丙"])


def test_a_column_for_each_system(tmp_path: Path) -> None:
    """As sheets have them on which people compare answers side by side."""
    rows = [
        ("角色", "场景", "指标", "评分人", "gpt-x", "qwen-y"),
        ("路飞", 1, "流畅性", "甲", 4, 5),
    ]
    assert found(read(tmp_path, rows, systems=["gpt-x", "Qwen-Y"])) == [
        ("Qwen-Y", "1", "fluency", "甲", 5.0),
        ("gpt-x", "1", "fluency", "甲", 4.0),
    ]


def test_a_questionnaire_with_its_mapping(tmp_path: Path) -> None:
    """Each question is a cell of the study, each respondent a rater; -3 and -2 are skipped."""
    rows = [
        ("序号", "提交答卷时间", "来自IP", "1、请评价第一段对话", "2、第二段（1-5）"),
        (1, "2026/1/1", "x", "4", "3 - 一般"),
        (2, "2026/1/1", "y", "5", "-3"),
        (3, "2026/1/1", "z", "-2", "2"),
    ]
    mapping = tmp_path / "mapping.csv"
    mapping.write_text("题号,角色,场景,指标\n1,路飞,1,流畅性\nQ2,路飞,2,流畅性\n", encoding="utf-8")
    ratings = read(tmp_path, rows, mapping=mapping)
    assert found(ratings) == [
        ("bot", "1", "fluency", "1", 4.0),
        ("bot", "1", "fluency", "2", 5.0),
        ("bot", "2", "fluency", "1", 3.0),
        ("bot", "2", "fluency", "3", 2.0),
    ]
    assert [fault.kind for fault in ratings.faults] == ["empty", "empty"]
    mapping.write_text("题号,角色\n9,路飞\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 9"):
        read(tmp_path, rows, mapping=mapping)
    mapping.write_text("a,b\n9,路飞\n", encoding="utf-8")
    with pytest.raises(DataError, match="a mapping has the column heading"):
        read(tmp_path, rows, mapping=mapping)


# Exports of annotation programs

DATA = {"character": "路飞", "scenario": 1}


def answer(name: str, kind: str, value: object) -> dict[str, object]:
    return {"from_name": name, "to_name": "text", "type": kind, "value": {kind: value}}


EXPORTS: dict[str, tuple[list[dict[str, object]], list[tuple[str, str, float]]]] = {
    "Label Studio": (
        [
            {
                "id": 1,
                "data": DATA,
                "predictions": [{"result": [answer("fluency", "rating", 1)]}],
                "annotations": [
                    {
                        "completed_by": 5,
                        "result": [
                            answer("fluency", "rating", 4),
                            answer("speech_style", "choices", ["3"]),
                            answer("remark", "text", ["good"]),
                        ],
                    },
                    {"completed_by": {"email": "a@b"}, "result": [answer("fluency", "number", 2)]},
                    {
                        "completed_by": 6,
                        "was_cancelled": True,
                        "result": [answer("fluency", "rating", 1)],
                    },
                ],
            }
        ],
        [("fluency", "5", 4.0), ("fluency", "a@b", 2.0), ("speech_style", "5", 3.0)],
    ),
    "Label Studio, JSON_MIN": (
        [
            {
                **DATA,
                "fluency": [{"rating": 4}],
                "annotator": {"id": 7, "email": ""},
                "lead_time": 9.5,
            }
        ],
        [("fluency", "7", 4.0)],
    ),
    "Argilla": (
        [
            {
                "id": "x",
                "fields": {"text": "..."},
                "metadata": DATA,
                "responses": {
                    "fluency": [
                        {"value": 4, "user_id": "u1"},
                        {"value": "2", "user_id": "u2"},
                        {"value": 1, "user_id": "u3", "status": "discarded"},
                    ]
                },
            }
        ],
        [("fluency", "u1", 4.0), ("fluency", "u2", 2.0)],
    ),
    "Argilla 1": (
        [
            {
                "metadata": DATA,
                "responses": [
                    {"user_id": "u1", "status": "submitted", "values": {"fluency": {"value": 4}}}
                ],
            }
        ],
        [("fluency", "u1", 4.0)],
    ),
    "Argilla, flat": (
        [{**DATA, "fluency.responses": [4, 3], "fluency.responses.users": ["u1", "u2"]}],
        [("fluency", "u1", 4.0), ("fluency", "u2", 3.0)],
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_exports_of_annotation_programs(tmp_path: Path, name: str, suffix: str) -> None:
    """Every answer that was handed in is a rating of the annotator who gave it."""
    records, expected = EXPORTS[name]
    path = tmp_path / f"bot{suffix}"
    lines = "\n".join(map(json.dumps, records))
    path.write_text(json.dumps(records) if suffix == ".json" else lines, encoding="utf-8")
    ratings = read_ratings(path, metrics=METRICS)
    frame = ratings.to_frame()
    triples = zip(frame["metric"], frame["rater"], frame["score"], strict=True)
    assert sorted(triples) == expected
    assert ratings.dialogues == (DialogueId("bot", "路飞", "1"),)


# Names


def test_spellings_of_one_name_in_a_file(tmp_path: Path) -> None:
    """Width, case, blanks and characters that cannot be seen make no other rater or system."""
    head = ("system", "character", "scenario", "metric", "rater", "score")
    rows = [
        ("GPT-4", "路飞", 1, "fluency", "Ann Lee", 4),
        ("gpt-4 ", "路飞\u200b", 2, "流畅性", "ann  lee", 3),
        ("ＧＰＴ-4", "路 飞", 3, "Fluency", "ANN LEE", 2),
    ]
    ratings = read(tmp_path, [head, *rows])
    assert {(d.system, d.character) for d in ratings.dialogues} == {("GPT-4", "路 飞")}
    assert len(ratings.raters) == 1
    other = read(
        tmp_path, [head, ("a", "c", "1 1", "fluency", "x", 4), ("a", "c", "11", "fluency", "x", 4)]
    )
    assert len(other.dialogues) == 2


def test_ratings_and_dialogues_with_other_spellings(tmp_path: Path) -> None:
    """They belong together; a short name belongs to the one full name that has it."""
    known = [
        DialogueId("Qwen3", "《海贼王》的蒙奇·D·路飞", "1"),
        DialogueId("Qwen3", "《刀剑神域》的结城明日奈（亚丝娜）", "1"),
        DialogueId("Qwen3", "《刀剑神域》的桐谷和人", "1"),
    ]
    head = ("system", "character", "scenario", "metric", "score")
    rows = [
        ("qwen3", "路飞", 1, "fluency", 4),
        ("QWEN3", "亚丝娜", "1", "fluency", 3),
        ("Ｑwen3", "刀剑神域", 1, "fluency", 2),
    ]
    ratings = read(tmp_path, [head, *rows])
    joined = compare(ratings, known, {(known[0], "fluency")})
    assert (joined.rated, joined.dialogues, joined.judged, joined.matched) == (2, 2, 1, 1)
    assert [fault.row for fault in joined.unknown] == [4]  # it could be two characters
    row = join_ratings(ratings, known, ["fluency"]).row
    assert sorted(zip(ratings.score.tolist(), row.tolist(), strict=True)) == [
        (2, -1),
        (3, 1),
        (4, 0),
    ]
