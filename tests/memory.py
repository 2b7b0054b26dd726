"""A folder in memory, for tests that open many databases: on a disk they wait for it."""

from __future__ import annotations

import os

__all__ = ["MEMORY"]

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - Linux's own
"""The `dir` of a temporary folder; None where the system has no such folder, for the usual one."""
