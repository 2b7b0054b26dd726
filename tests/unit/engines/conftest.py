"""What the tests of servers share."""

from __future__ import annotations

import pytest

from judge.engines.servers import api


@pytest.fixture
def no_key_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment, and failing requests are given up after 1.5 s."""
    for name in api.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "PATIENCE", 1.5)
    monkeypatch.setattr(api, "_PAUSE", 0.01)


@pytest.fixture
def no_patience(no_key_and_little_patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that wait until a request is given up: after 0.2 s."""
    del no_key_and_little_patience
    monkeypatch.setattr(api, "PATIENCE", 0.2)
