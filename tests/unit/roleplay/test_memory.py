"""Which models are in memory while others play, with real models that are loaded and unloaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from judge.engines import EngineOptions
from judge.engines.hf import HfEngine
from judge.roleplay import Scene, Transcript, parts_of, play
from judge.types import Sampling
from tests.unit.engines.small import NO_SYSTEM, save_model
from tests.unit.roleplay.wire import cast, serving

PARTS = parts_of(2)

SCENES = [Scene("小明", "1", "难过。", {})]


class Watched(HfEngine):
    """Reports when it is loaded and closed."""

    def __init__(self, folder: Path, news: list[tuple[str, str]]) -> None:
        super().__init__(str(folder), EngineOptions(device="cpu", batch_size=4))
        self.name, self.news = folder.name, news

    def load(self) -> None:
        """Report it only if the model was not loaded."""
        if "model" not in self._judge.__dict__:
            self.news.append(("load", self.name))
        super().load()

    def close(self) -> None:
        """Report it only if the model was loaded."""
        if "model" in self._judge.__dict__:
            self.news.append(("close", self.name))
        super().close()


def test_one_model_in_memory(tmp_path: Path) -> None:
    """With two models, each is unloaded before the other is loaded, and none is loaded at the end.

    With `keep_loaded` each is loaded once. If one model plays both sides, it is never unloaded in
    between. If everything was played already, nothing is loaded.
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
