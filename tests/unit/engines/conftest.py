"""What the tests of servers share."""

from __future__ import annotations

import pytest

from judge.engines.servers import api, pace
from judge.engines.servers.faults import KEYS


@pytest.fixture
def no_key_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment, and failing requests are given up after 1.5 s."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "PATIENCE", 1.5)
    monkeypatch.setattr(api, "_PAUSE", 0.01)
    monkeypatch.setattr(pace, "_STEP", 0.01)


@pytest.fixture
def no_patience(no_key_and_little_patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that wait until a request is given up: after 0.2 s."""
    del no_key_and_little_patience
    monkeypatch.setattr(api, "PATIENCE", 0.2)
