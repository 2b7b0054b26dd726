"""Which engine asks which judge, and what happens where none can."""

from __future__ import annotations

import dataclasses
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from judge.engines import (
    EMBEDDED,
    ENGINES,
    EngineOptions,
    JudgeSpec,
    cuda_available,
    default_judge,
    open_engine,
    own_options,
    refuse_unused,
    resolve_judge,
)
from judge.errors import EngineError, UsageError
from tests.unit.engines.small import make_tree

ROOT = Path(__file__).parents[3]
WITHOUT_TORCH = """\
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "tokenizers", "huggingface_hub"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from judge.engines import EngineOptions, default_judge, open_engine, resolve_judge
from judge.errors import MissingExtraError
from judge.types import Dialogue, PromptItem, PromptTree, Turn
"""


def without_torch(code: str) -> str:
    """What `code` prints in a Python that has only the base installation."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH + code],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_every_engine_of_the_table_is_there() -> None:
    """Each name leads to a class of its module, each option to a setting that there is."""
    settings = {field.name for field in dataclasses.fields(EngineOptions)}
    for entry in ENGINES.values():
        assert isinstance(getattr(importlib.import_module(entry.module), entry.cls), type)
        assert entry.options <= settings


@pytest.mark.parametrize("judge", ["tiny", "lexical", "mock"])
def test_embedded_judges_warn(judge: str) -> None:
    """Reports made with them have to say what they are worth."""
    spec = resolve_judge(judge)
    assert spec == EMBEDDED[judge]
    assert "not for publishing" in spec.note or "mean nothing" in spec.note
    assert resolve_judge(judge, spec.engine) == spec


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "/models/mine", "tiny-2"])
def test_any_other_name_is_a_model(name: str) -> None:
    """It is asked by `hf` with the full rubric set, and carries no note."""
    wanted = JudgeSpec(name, engine="hf", model=name, rubric="esrp", note="")
    assert resolve_judge(name, "hf") == wanted
    for engine in ("hf-naive", "vllm", "http"):
        assert resolve_judge(name, engine) == dataclasses.replace(wanted, engine=engine)
    assert resolve_judge(name, base_url="http://localhost:1/v1").engine == "http"


@pytest.mark.parametrize("cuda", [True, False])
@pytest.mark.parametrize("installed", [True, False])
def test_vllm_is_preferred_where_it_can_run(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool, installed: bool
) -> None:
    """It needs to be installed and a CUDA device to be seen; transformers asks otherwise."""
    monkeypatch.setattr("judge.engines.cuda_available", lambda: cuda)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object() if installed else None)
    assert resolve_judge("acme/model").engine == ("vllm" if cuda and installed else "hf")
    assert resolve_judge("tiny").engine == "hf"
    assert resolve_judge("acme/model", device="cuda:1").engine == "hf"  # vLLM takes no device


def test_a_lexical_judge_of_ones_own() -> None:
    """It keeps the rubric set it was made for, and the note."""
    spec = resolve_judge("mine.npz", "lexical")
    assert (spec.name, spec.model, spec.engine) == ("mine.npz", "mine.npz", "lexical")
    assert (spec.rubric, spec.note) == (EMBEDDED["lexical"].rubric, EMBEDDED["lexical"].note)


def test_an_unknown_engine() -> None:
    """The hint lists those that exist."""
    with pytest.raises(UsageError, match="--engine none: no such engine") as caught:
        resolve_judge("tiny", "none")
    assert caught.value.hint == "choose from hf, hf-naive, vllm, http, lexical, mock"


@pytest.mark.parametrize(
    ("judge", "engine"),
    [
        ("tiny", "lexical"),
        ("tiny", "mock"),
        ("lexical", "hf"),
        ("mock", "hf"),
        ("mock", "lexical"),
        ("Qwen/Qwen3-8B", "mock"),  # or random numbers would bear the name of a model
    ],
)
def test_an_engine_that_cannot_ask_this_judge(judge: str, engine: str) -> None:
    """The message names both, the hint the engine that can."""
    with pytest.raises(
        UsageError, match=f"--engine {engine} cannot ask the judge {judge}"
    ) as caught:
        resolve_judge(judge, engine)
    assert caught.value.hint is not None
    assert resolve_judge(judge).engine in caught.value.hint


@pytest.mark.parametrize(
    "spec",
    [
        JudgeSpec("x", "hf", "./none-such", "esrp"),
        JudgeSpec("x", "lexical", "./none-such.npz", "tiny"),
    ],
)
def test_a_model_that_is_not_there(spec: JudgeSpec) -> None:
    """Whichever engine: an `EngineError` with the path and a hint."""
    with pytest.raises(EngineError) as caught:
        list(open_engine(spec, EngineOptions()).score(make_tree(["x"])))
    assert caught.value.path == Path(spec.model)
    assert caught.value.hint


@pytest.mark.skipif(cuda_available(), reason="this machine has CUDA")
def test_the_default_without_cuda_is_embedded() -> None:
    """A machine without a GPU is not sent 16 GB."""
    assert default_judge() in EMBEDDED
    assert default_judge() != "mock"


def test_the_default_judge_works_without_torch() -> None:
    """The base installation has no torch, and scores all the same."""
    code = """\
engine = open_engine(resolve_judge(default_judge()), EngineOptions())
dialogue = Dialogue("s", "某人", "1", (Turn("今天好累", "辛苦了，早点休息吧。"),))
tree = PromptTree("", {"某人": ""}, {}, tuple("12345"), (PromptItem(dialogue, "", ("fluency",)),))
(read,) = engine.score(tree)
print(len(read.outcome), "torch" in sys.modules)
"""
    assert without_torch(code) == "5 False\n"


@pytest.mark.parametrize("judge", ["tiny", "acme/model"])
def test_a_model_without_torch_says_how_to_install_it(judge: str) -> None:
    """The hint is the line to type."""
    code = f"""\
try:
    open_engine(resolve_judge({judge!r}), EngineOptions())
except MissingExtraError as error:
    print(error)
    print(error.hint)
"""
    assert without_torch(code) == (
        "a judge model needs the package torch, which is not installed\n"
        "pip install 'esrp-judge[hf]'\n"
    )


GIVEN: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "quantization": "8bit",
    "adapter": "my-lora",
    "tensor_parallel": 2,
    "gpu_memory": 0.5,
    "reproducible": True,
    "trust_remote_code": True,
    "base_url": "http://localhost:1/v1",
    "server": "vllm",
    "concurrency": 2,
    "samples": 3,
    "retry_for": 5.0,
    "accept_model_name": "alias",
}


def test_every_setting_is_tried_below() -> None:
    """Those beside `batch_size` and `seed`, which every engine has."""
    assert {*GIVEN, "batch_size", "seed"} == {f.name for f in dataclasses.fields(EngineOptions)}


MEANINGLESS = [
    (engine, option)
    for engine, entry in ENGINES.items()
    for option in GIVEN
    if option not in entry.options
]


@pytest.mark.parametrize(("engine", "option"), MEANINGLESS)
def test_an_option_that_would_be_dropped_is_refused(engine: str, option: str) -> None:
    """A setting that means nothing to an engine is named, with the engines it goes with."""
    options = EngineOptions(**{option: GIVEN[option]})
    name = option.replace("_", "-")
    with pytest.raises(UsageError, match=f"--{name} means nothing to the engine {engine}") as error:
        open_engine(JudgeSpec("x", engine, "x", "esrp"), options)
    assert "it goes with " in str(error.value.hint)


def test_a_model_on_a_server_by_name() -> None:
    """`openai:NAME` is asked over HTTP as NAME, with or without an address; by nothing else."""
    for engine, url in ((None, None), ("http", None), (None, "http://localhost:1/v1")):
        spec = resolve_judge("openai:org/big", engine, url)
        assert spec == resolve_judge("org/big", "http", "http://localhost:1/v1")
    with pytest.raises(UsageError, match="--engine hf cannot ask openai:big"):
        resolve_judge("openai:big", "hf")
    with pytest.raises(UsageError, match="openai: names no model"):
        resolve_judge("openai:")
    with pytest.raises(UsageError, match="big is a model on a server, and no address") as caught:
        open_engine(resolve_judge("openai:big"), EngineOptions())
    assert "--base-url" in str(caught.value.hint)


@pytest.mark.parametrize("engine", ENGINES)
def test_own_options_are_those_that_are_not_refused(engine: str) -> None:
    """Of all options together an engine keeps those of the table, and these are all it takes."""
    spec = JudgeSpec("x", engine, "x", "esrp")
    everything = EngineOptions(**GIVEN, batch_size=3, seed=9)
    own = own_options(spec, everything)
    refuse_unused(own, [spec])
    kept = {field.name for field in dataclasses.fields(own) if getattr(own, field.name) is not None}
    assert kept == ENGINES[engine].options | {"batch_size", "seed"}
    refuse_unused(everything, [JudgeSpec("y", name, "y", "esrp") for name in ENGINES])
