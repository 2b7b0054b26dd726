"""Which models are in memory while others play: real ones, which are loaded and let go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from judge.engines import EngineOptions
from judge.engines.hf import HfEngine
from judge.roleplay import PARTS, Scene, Transcript, play
from judge.types import Sampling
from tests.unit.engines.small import NO_SYSTEM, save_model
from tests.unit.roleplay.wire import cast, serving

SCENES = [Scene("小明", "1", "难过。", {})]


class Watched(HfEngine):
    """Tells of its loading and closing."""

    def __init__(self, folder: Path, news: list[tuple[str, str]]) -> None:
        super().__init__(str(folder), EngineOptions(device="cpu", batch_size=4))
        self.name, self.news = folder.name, news

    def load(self) -> None:
        """Only where it is not there."""
        if "model" not in self._judge.__dict__:
            self.news.append(("load", self.name))
        super().load()

    def close(self) -> None:
        """Only where it is there."""
        if "model" in self._judge.__dict__:
            self.news.append(("close", self.name))
        super().close()


def test_one_model_in_memory(tmp_path: Path) -> None:
    """Two folders: each lets go before the other loads, and none is there at the end.

    With `keep_loaded` each loads once. One model on both sides is never let go in between. What is
    played already loads nothing.
    """
    news: list[tuple[str, str]] = []
    for seed, name in enumerate(("talker", "asker")):
        save_model(tmp_path / name, "Llama", window=8192, seed=seed, template=NO_SYSTEM)
    talker, asker = (Watched(tmp_path / name, news) for name in ("talker", "asker"))
    in_turns = ("talker", "asker", "talker")
    apart = [(what, who) for who in in_turns for what in ("load", "close")]
    kept = [("load", "talker"), ("load", "asker"), ("close", "talker"), ("close", "asker")]
    alone = [("load", "talker"), ("close", "talker")]
    sampling = Sampling(max_tokens=3)
    said = []
    for name, user, keep, expected in (
        ("apart", asker, False, apart),
        ("kept", asker, True, kept),
        ("alone", talker, False, alone),
    ):
        with serving() as wire, Transcript(tmp_path / f"run-{name}") as transcript:
            who = cast(wire, model=talker, user=user, sampling=sampling, user_sampling=sampling)
            for wanted in (expected, []):
                news.clear()
                play(SCENES, replace(who, keep_loaded=keep), transcript)
                assert news == wanted
            assert transcript.engine("answer1")["system_role"] == "folded into the first turn"
            said.append({part: transcript.lines(part) for part in PARTS})
    assert said[0] == said[1]
