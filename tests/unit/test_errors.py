"""Errors say where and what is wrong, and how to mend it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from judge import errors
from judge.errors import DataError, EngineError, JudgeError, MissingExtraError


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "it is cut off"),
        ({"path": "a.json"}, "a.json: it is cut off"),
        ({"path": Path("a.json"), "line": 7}, "a.json:7: it is cut off"),
        ({"line": 7}, "it is cut off"),
    ],
)
def test_an_error_reads_as_place_and_message(where: dict[str, Path | int], text: str) -> None:
    """`path:line: message`, as far as they are known; a line without a file is not shown."""
    assert str(DataError("it is cut off", **where)) == text  # type: ignore[arg-type]


def test_the_parts_are_kept() -> None:
    """Message, hint, path and line are attributes; the path is a `Path`."""
    error = DataError("it is cut off", hint="copy it again", path="a.json", line=7)
    assert (error.message, error.hint) == ("it is cut off", "copy it again")
    assert (error.path, error.line) == (Path("a.json"), 7)


def test_a_missing_extra_says_what_to_install() -> None:
    """The hint is the command that installs it, and the error is an EngineError."""
    error = MissingExtraError("torch", extra="hf", purpose="a judge model")
    assert str(error) == "a judge model needs the package torch, which is not installed"
    assert error.hint == "pip install 'esrp-judge[hf]'"
    assert isinstance(error, EngineError)


def test_one_family_all_drawn_and_exported() -> None:
    """Every error is a JudgeError, is exported, and is in the tree of the docstring."""
    classes = {
        name: cls
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    }
    assert all(issubclass(cls, JudgeError) for cls in classes.values())
    assert sorted(classes) == sorted(errors.__all__)
    assert [name for name in classes if name not in (errors.__doc__ or "")] == []
