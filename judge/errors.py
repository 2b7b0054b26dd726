"""Every error a user can meet.

    JudgeError                what went wrong, and `hint`: how to mend it
    ├── UsageError            an option that cannot be satisfied
    ├── DataError             a dialogue or ratings file that cannot be read
    ├── RubricError           a rubric set that is incomplete or does not render
    ├── EngineError           a model that cannot be loaded or asked
    │   └── MissingExtraError an optional dependency that is not installed
    ├── StoreError            a run folder that cannot be read or written
    │   └── RunMismatchError  a run folder made with something else
    └── NetworkError          a download that did not come through

The command line prints the message and the hint and exits with 2. Anything that is
not a `JudgeError` is a defect of this program.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "DataError",
    "EngineError",
    "JudgeError",
    "MissingExtraError",
    "NetworkError",
    "RubricError",
    "RunMismatchError",
    "StoreError",
    "UsageError",
]


class JudgeError(Exception):
    """What went wrong, where, and how to mend it.

    Args:
        message: one sentence that names the thing at fault.
        hint: what the user can do about it.
        path: the file at fault, if there is one.
        line: the 1-based line or row in that file, if it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: Path | str | None = None,
        line: int | None = None,
    ) -> None:
        self.message = message
        self.hint = hint
        self.path = None if path is None else Path(path)
        self.line = line
        super().__init__(str(self))

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        if self.path is not None and self.line is not None:
            where = f"{self.path}:{self.line}: "
        return f"{where}{self.message}"


class UsageError(JudgeError):
    """An option, or a combination of options, that cannot be satisfied."""


class DataError(JudgeError):
    """A dialogue or ratings file that cannot be read as what it should be."""


class RubricError(JudgeError):
    """A rubric set that is incomplete or does not render."""


class EngineError(JudgeError):
    """A model, of a judge or a player, that cannot be loaded or cannot be asked."""


class MissingExtraError(EngineError):
    """An optional dependency that is not installed.

    Args:
        package: the Python package that is missing.
        extra: the extra of this distribution that brings it.
        purpose: what needs it, as the subject of the sentence.
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            hint=f"pip install 'esrp-judge[{extra}]'",
        )


class StoreError(JudgeError):
    """A run folder that cannot be read or written."""


class RunMismatchError(StoreError):
    """A run folder that was made with another rubric, judge or data."""


class NetworkError(JudgeError):
    """A download that did not come through."""
