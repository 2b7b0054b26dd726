"""The vLLM engine on a CUDA device, against transformers on the CPU.

Every engine is asked in a program of its own: vLLM gives its memory back when the program ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judge.engines import EngineOptions
from judge.engines.naive import NaiveHfEngine
from tests.unit.engines.small import CHATML, make_tree, save_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed (extra vllm)"
    ),
]
ROOT = Path(__file__).parents[2]
TEXTS = ["好", "没关系，我陪你。" * 5, "难受" * 40, "", *["再试一次吧" * i for i in range(1, 12)]]
SIZES = {"hidden_size": 128, "head_dim": 64}
ASK = """
import json, sys
from judge.engines import EngineOptions
from judge.engines.vllm import VllmEngine
from judge.errors import EngineError
from tests.gpu.test_vllm_gpu import TEXTS
from tests.unit.engines.small import make_tree
if __name__ == "__main__":
    engine = VllmEngine(sys.argv[1], EngineOptions(**json.loads(sys.argv[2])))
    try:
        reads = [[r.outcome, r.top_is_label] for r in engine.score(make_tree(TEXTS))]
        answer = {"reads": reads, "share": engine.cached_share, "is": dict(engine.describe())}
    except EngineError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
"""


def ask(folder: Path, **options: Any) -> dict[str, Any]:
    script = folder / "ask.py"
    script.write_text(ASK)
    done = subprocess.run(
        [sys.executable, script, folder, json.dumps({"gpu_memory": 0.3, **options})],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def values(reads: list[Any]) -> np.ndarray[Any, Any]:
    return np.array([outcome for outcome, _ in reads], dtype=float)


@pytest.mark.parametrize("architecture", ["Qwen3", "Llama"])
def test_the_gpu_reads_what_transformers_reads(tmp_path: Path, architecture: str) -> None:
    """In float32, to 1e-3 in log-probability; in bfloat16 near it; with what is shared cached."""
    folder = save_model(tmp_path, architecture, template=CHATML, changes=SIZES)
    naive = NaiveHfEngine(str(folder), EngineOptions(device="cpu", dtype="float32"))
    expected = list(naive.score(make_tree(TEXTS)))
    exact = ask(folder, dtype="float32")
    assert values(exact["reads"]) == pytest.approx(
        np.array([read.outcome for read in expected], dtype=float), abs=1e-3
    )
    assert [top for _, top in exact["reads"]] == [read.top_is_label for read in expected]
    assert exact["share"] > 0.5
    near = ask(folder)
    assert near["is"]["dtype"] == "bfloat16"
    assert near["is"]["device"].startswith("cuda (NVIDIA")
    assert np.median(np.abs(values(near["reads"]) - values(exact["reads"]))) < 0.2


def test_reproducible_reads_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    """To the last bit, in bfloat16, for dialogues alone and all at once."""
    folder = save_model(tmp_path, "Qwen3", template=CHATML, changes=SIZES)
    alone = ask(folder, reproducible=True, batch_size=1)
    together = ask(folder, reproducible=True, batch_size=64)
    assert alone["reads"] == together["reads"]


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    """The error names the model's size and what is free."""
    changes = SIZES | {"intermediate_size": 1 << 17}
    folder = save_model(tmp_path, "Llama", template=CHATML, changes=changes)
    error = ask(folder, gpu_memory=0.001)["error"]
    assert "does not fit: its files have 0." in error
    assert "GiB were free on cuda (NVIDIA" in error
