"""What annotation programs export, as rows with one score each: Label Studio and Argilla.

Their flat exports (Label Studio's JSON_MIN and CSV) are wide tables already, and left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from judge.tables import Table, table_of_records

__all__ = ["flatten"]

_ANSWERS = ("rating", "choices", "number")
"""The kinds of answer of Label Studio that can be a score."""

_UNFINISHED = {"draft", "discarded"}
_RESPONSES = ".responses"


def flatten(table: Table) -> Table:
    """The table with a row for each answer, if it is an export with nested answers."""
    columns = table.columns.keys()
    if {"data", "annotations"} <= columns:
        rows = _rows(table, _label_studio)
    elif "responses" in columns:
        rows = _rows(table, _argilla)
    elif any(name.endswith(_RESPONSES) for name in columns):
        rows = _rows(table, _argilla_flat)
    elif "annotator" in columns:  # an object in some versions of Label Studio
        people = np.fromiter(map(_person, table.columns["annotator"]), np.object_, len(table))
        return replace(table, columns={**table.columns, "annotator": people})
    else:
        return table
    lines, records = zip(*rows, strict=True) if rows else ((), ())
    found = table_of_records(table.path, dict(enumerate(records)))
    return replace(table, columns=found.columns, lines=np.array(lines, dtype=np.int32))


def _rows(table: Table, read: Any) -> list[tuple[int, dict[str, object]]]:
    return [(line, row) for line, record in table.rows() for row in read(record)]


def _label_studio(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    for annotation in _list(record["annotations"]):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in _list(annotation.get("result")):
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict) and (kinds := [k for k in _ANSWERS if k in value]):
                yield {
                    **_object(record["data"]),
                    "rater": _person(annotation.get("completed_by", "")),
                    "metric": result.get("from_name"),
                    "score": value[kinds[0]],
                }


def _argilla(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Responses by question, or, in older exports, by annotator."""
    base = {**_object(record.get("fields")), **_object(record.get("metadata"))}
    base |= {name: value for name, value in record.items() if not isinstance(value, dict | list)}
    responses = record["responses"]
    for question, answers in _object(responses).items():
        for answer in filter(_finished, _list(answers)):
            rater = answer.get("user_id", "")
            yield {**base, "rater": rater, "metric": question, "score": answer.get("value")}
    for response in filter(_finished, _list(responses)):
        for question, answer in _object(response.get("values")).items():
            value = answer.get("value") if isinstance(answer, dict) else answer
            rater = response.get("user_id", "")
            yield {**base, "rater": rater, "metric": question, "score": value}


def _argilla_flat(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    base = {name: value for name, value in record.items() if _RESPONSES not in name}
    for name, answers in record.items():
        if not name.endswith(_RESPONSES):
            continue
        users, states = (_list(record.get(f"{name}.{part}")) for part in ("users", "status"))
        for i, value in enumerate(_list(answers)):
            if i < len(states) and states[i] in _UNFINISHED:
                continue
            rater = users[i] if i < len(users) else ""
            metric = name.removesuffix(_RESPONSES)
            yield {**base, "rater": rater, "metric": metric, "score": value}


def _finished(answer: object) -> bool:
    return isinstance(answer, dict) and answer.get("status") not in _UNFINISHED


def _person(value: object) -> object:
    """The name of an annotator, who may be a number, a text, or an object."""
    if isinstance(value, dict):
        return next((value[k] for k in ("email", "username", "id") if value.get(k)), "")
    return value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
