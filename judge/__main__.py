"""`judge` and `python -m judge`: a signal while the program still loads ends with 3, too."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    os.write(2, b"interrupted before it began\n")
    os._exit(3)


def main() -> None:
    """The command line."""
    # Not with the other imports: what they load takes most of the first second.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    from judge.cli.main import main as command  # noqa: PLC0415 - see above

    command()


if __name__ == "__main__":
    main()
