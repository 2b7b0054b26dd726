"""What the program does, one verb a module: a workflow takes typed arguments and gives a result.

Nothing here prints or knows the command line. What a user should know while a workflow runs goes
to the logger `judge`; progress goes to a callback. Each workflow is imported by its module's name,
so that asking for one does not load the others.
"""

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "no_progress"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, of how many) as often as there is news."""


def no_progress(what: str, done: int, total: int) -> None:
    """Progress that nobody asked to see."""
