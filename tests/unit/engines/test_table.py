"""Which engine asks which judge, and what happens where none can."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from judge.engines import (
    EMBEDDED,
    ENGINES,
    EngineOptions,
    JudgeSpec,
    cuda_available,
    default_judge,
    open_engine,
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
    """Each name leads to a class of its module."""
    for module, name in ENGINES.values():
        assert isinstance(getattr(importlib.import_module(module), name), type)


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
    assert resolve_judge(name) == resolve_judge(name, "hf") == wanted


def test_a_lexical_judge_of_ones_own() -> None:
    """It keeps the rubric set it was made for, and the note."""
    spec = resolve_judge("mine.npz", "lexical")
    assert (spec.name, spec.model, spec.engine) == ("mine.npz", "mine.npz", "lexical")
    assert (spec.rubric, spec.note) == (EMBEDDED["lexical"].rubric, EMBEDDED["lexical"].note)


def test_an_unknown_engine() -> None:
    """The hint lists those that exist."""
    with pytest.raises(UsageError, match="--engine none: no such engine") as caught:
        resolve_judge("tiny", "none")
    assert caught.value.hint == "choose from hf, lexical, mock"


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


@pytest.mark.parametrize("judge", ["lexical", "mock"])
@pytest.mark.parametrize("option", ["device", "dtype"])
def test_an_option_that_would_be_dropped_is_refused(judge: str, option: str) -> None:
    """An engine without torch has no device and no precision: it says so, and drops nothing."""
    options = EngineOptions(**{option: "cpu" if option == "device" else "float32"})
    with pytest.raises(UsageError, match=f"--{option} means nothing to the judge {judge}"):
        open_engine(resolve_judge(judge), options)
