"""All errors that a user can cause or can mend.

    JudgeError                 what went wrong, where, and a hint how to mend it
    ├── UsageError             an option, argument or combination of them that is not possible
    ├── DataError              a file of dialogues or ratings that cannot be read
    ├── RubricError            a rubric set that is incomplete or cannot be rendered
    ├── EngineError            a model that cannot be loaded or asked
    │   └── MissingExtraError  an optional dependency that is not installed
    ├── StoreError             a run folder or another stored file that cannot be read or written
    │   └── RunMismatchError   a run folder that was made with other settings, models or data
    └── NetworkError           a download that failed

The command line prints the message and the hint, and exits with 2. Any other exception is a defect
of this program.
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
        message: a sentence that names what is at fault.
        hint: what the user can do about it.
        path: the file or folder at fault, if there is one.
        line: the 1-based line or row of the file, if it is known.
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
    """An option, an argument, or a combination of them that is not possible."""


class DataError(JudgeError):
    """A file of dialogues or ratings that cannot be read."""


class RubricError(JudgeError):
    """A rubric set, or a set of roleplay prompts, that is incomplete or cannot be rendered."""


class EngineError(JudgeError):
    """A model, as a judge or as a player, that cannot be loaded or asked."""


class MissingExtraError(EngineError):
    """An optional dependency that is not installed.

    Args:
        extra: the extra of this distribution that installs it.
        purpose: what needs it, as the subject of the message.
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            hint=f"pip install 'esrp-judge[{extra}]'",
        )


class StoreError(JudgeError):
    """A run folder, or another stored file, that cannot be read or written."""


class RunMismatchError(StoreError):
    """A run folder that was made with another rubric, judge, model, setting or data."""


class NetworkError(JudgeError):
    """A download that failed."""
