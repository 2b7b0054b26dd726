"""What all tests share: where the public dialogues are, how Hypothesis searches, what runs."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# No deadline: the first example of a test may load a library. On CI every run draws the same
# examples, so that a red build is the fault of the change it tests.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


_LONGEST = {"test_ray.py", "test_recipes.py", "test_worker.py"}


@pytest.fixture(scope="session")
def judge_data() -> Path:
    """The folder of released data: $JUDGE_DATA, by default ../shared/data beside the checkout."""
    folder = Path(os.environ.get("JUDGE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no released data at {folder}; set JUDGE_DATA to the folder that has it")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no core waits for them at the end.

    Those marked `gpu` are skipped where there is no CUDA device.
    """
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _cuda():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    return bool(importlib.import_module("torch").cuda.is_available())
