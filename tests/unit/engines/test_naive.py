"""The reference engine against the same models asked plainly: one prompt, no padding."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from judge.engines import EngineOptions
from judge.engines.naive import NaiveHfEngine
from judge.errors import EngineError
from judge.types import Failure, LabelRead
from tests.unit.engines.small import (
    ARCHITECTURES,
    CHATML,
    NO_SYSTEM,
    make_tree,
    save_model,
    shared_model,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def engine(folder: Path, **options: Any) -> NaiveHfEngine:
    return NaiveHfEngine(str(folder), EngineOptions(device="cpu", **options))


def plain(folder: Path, prompt: tuple[int, ...]) -> torch.Tensor:
    """Next-token log-probabilities in double precision of one prompt, asked alone."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([prompt])).logits[0, -1].double()
    return logits - logits.exp().sum().log()


def ragged(seed: int, size: int = 5) -> list[str]:
    """Texts of 0 to 150 characters, these two among the first three."""
    rng = np.random.default_rng(seed)
    lengths = [0, *rng.integers(1, 150, size - 2)]
    lengths.insert(rng.integers(0, 3), 150)
    return ["".join(rng.choice(list("ab 难受没关系。!"), n)) for n in lengths]


def values(reads: list[LabelRead]) -> np.ndarray[Any, Any]:
    return np.array([read.outcome for read in reads])


@pytest.mark.parametrize("template", [CHATML, NO_SYSTEM, None], ids=["chatml", "gemma", "plain"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reads_equal_a_plain_forward(architecture: str, template: str | None) -> None:
    """To 1e-4 in log-probability, whatever else is in the batch and whatever the attention.

    Full attention (Qwen3, Llama, GPT2), sliding windows shorter than the prompts (Mistral, the
    Gemmas), logit soft-capping (Gemma2), a recurrent state (Mamba), positions that change with
    the length of the batch (Phi3 with longrope, prompts on both sides of its threshold).
    """
    folder = shared_model(architecture, seed=3, template=template)
    tree = make_tree(ragged(seed=7))
    hf = engine(folder, batch_size=3)
    tokens = hf._judge.checkpoint.prompt_tokenizer(tree)
    reads = list(hf.score(tree))
    assert [(r.item, r.metric) for r in reads] == [
        (i, m) for i, item in enumerate(tree.items) for m in item.metrics
    ]
    for read in reads:
        assert not isinstance(read.outcome, Failure)
        whole = plain(folder, tokens.prompt(read.item, read.metric))
        labels = list(tokens.label_ids[read.metric])
        assert read.outcome == pytest.approx(whole[labels].tolist(), abs=1e-4)
        assert read.top_is_label == (int(whole.argmax()) in labels)
        mass = math.fsum(math.exp(v) for v in read.outcome)
        assert mass == pytest.approx(float(whole[labels].exp().sum()), abs=1e-4)
        assert 0 < mass <= 1


def head_of(folder: Path, rows: dict[int, torch.Tensor]) -> None:
    """Write a head of zeros with these rows into a saved model."""
    weights = load_file(folder / "model.safetensors")
    head = torch.zeros_like(weights["lm_head.weight"])
    for index, row in rows.items():
        head[index] = row
    save_file(weights | {"lm_head.weight": head}, folder / "model.safetensors")


@pytest.mark.parametrize(
    "pulls",
    [
        (-1.0, -0.8, -0.5, -1.2, -0.9),
        (0.0, 0.0, 0.5, 0.0, -0.5),
        (1.95, 1.45, 1.45, 1.8, 1.95),
        (1.15, 1.5, 1.55, 1.55, 1.5),
        (1.7, 1.85, 1.65, 1.9, 1.9),
    ],
)
def test_label_mass_and_the_most_probable_token(tmp_path: Path, pulls: tuple[float, ...]) -> None:
    """With a head that pulls to or pushes from the labels, all is known from the state.

    The logit of a label is pull x |state|^2, that of every other token 0. A judge that is sure
    gives the labels all of the mass, and not more.
    """
    folder = save_model(tmp_path, "Llama")
    tree = make_tree(["好"], metrics=["fluency"])
    tokens = engine(folder)._judge.checkpoint.prompt_tokenizer(tree)
    prompt, labels = tokens.prompt(0, "fluency"), tokens.label_ids["fluency"]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        state = model.model(torch.tensor([prompt])).last_hidden_state[0, -1]
    head_of(folder, {label: p * state for label, p in zip(labels, pulls, strict=True)})
    (read,) = engine(folder).score(tree)
    assert not isinstance(read.outcome, Failure)
    logits = np.array(pulls) * float(state.double() @ state.double())
    others = len(model.lm_head.weight) - len(labels)
    total = math.log(others + math.fsum(np.exp(logits)))
    assert read.outcome == pytest.approx(logits - total, abs=1e-4)
    assert read.top_is_label == (max(pulls) > 0)
    mass = math.fsum(math.exp(v) for v in read.outcome)
    assert mass <= 1 + 1e-12
    assert mass > 1 - 1e-9 or min(pulls) <= 0


def test_reads_do_not_depend_on_what_was_read_before() -> None:
    """The same tree gives the same numbers to the last bit, in a new engine and after others."""
    folder = shared_model("Qwen3")
    tree = make_tree(ragged(seed=1))
    first = engine(folder)
    fresh = list(first.score(tree))
    list(first.score(make_tree(ragged(seed=2))))
    assert list(first.score(tree)) == fresh == list(engine(folder).score(tree))


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_batch_size_changes_rounding_only(batch_size: int) -> None:
    """Any number of dialogues at once gives the same reads, in the same order."""
    folder = shared_model("Qwen3")
    tree = make_tree(ragged(seed=1))
    reads = list(engine(folder, batch_size=batch_size).score(tree))
    others = list(engine(folder, batch_size=5).score(tree))
    assert [(r.item, r.metric) for r in reads] == [(r.item, r.metric) for r in others]
    assert values(reads) == pytest.approx(values(others), abs=1e-5)


def test_a_tree_without_items_gives_no_reads() -> None:
    """Nothing asked, nothing answered."""
    assert list(engine(shared_model("Llama")).score(make_tree([]))) == []


def test_a_prompt_longer_than_the_window_is_a_failure() -> None:
    """It is not cut; the prompts beside it are read as without it."""
    folder = shared_model("Llama", window=120)
    short, long = "没关系", "没关系，我陪你。" * 40
    tree = make_tree([short, long, short])
    hf = engine(folder)
    reads = list(hf.score(tree))
    length = len(hf._judge.checkpoint.prompt_tokenizer(tree).prompt(1, "fluency"))
    assert length > 120
    for read in reads[3:6]:
        assert isinstance(read.outcome, Failure)
        assert read.outcome.code == "too_long"
    assert reads[3].outcome == Failure(
        "too_long", f"the prompt has {length} tokens, the model's window is 120"
    )
    alone = list(hf.score(make_tree([short, short])))
    assert values(reads[:3] + reads[6:]) == pytest.approx(values(alone), abs=1e-5)
    assert all(isinstance(r.outcome, Failure) for r in hf.score(make_tree([long])))


def test_a_prompt_that_just_fills_the_window_is_read() -> None:
    """The label is predicted, not read: it needs no place in the window."""
    tree = make_tree(["没关系"], metrics=["fluency"])
    tokens = engine(shared_model("Llama"))._judge.checkpoint.prompt_tokenizer(tree)
    length = len(tokens.prompt(0, "fluency"))
    (fits,) = engine(shared_model("Llama", window=length)).score(tree)
    (no_fit,) = engine(shared_model("Llama", window=length - 1)).score(tree)
    assert not isinstance(fits.outcome, Failure)
    assert isinstance(no_fit.outcome, Failure)


def test_weights_that_are_not_numbers_give_no_number(tmp_path: Path) -> None:
    """One NaN in the weights makes every read a failure, never a score."""
    folder = save_model(tmp_path, "Llama")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    reads = list(engine(folder).score(make_tree(["没关系"])))
    assert len(reads) == 3
    for read in reads:
        assert isinstance(read.outcome, Failure)
        assert read.outcome.code == "not_finite"
        assert not read.top_is_label


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_half_precision_is_near(architecture: str, dtype: str) -> None:
    """It moves log-probabilities a little, and is not taken for a model that looks ahead."""
    folder = shared_model(architecture)
    tree = make_tree(ragged(seed=1, size=3))
    exact = values(list(engine(folder).score(tree)))
    near = values(list(engine(folder, dtype=dtype).score(tree)))
    assert 0 < np.median(np.abs(near - exact)) < 0.1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("device", "nonsense"),
        ("device", "cpu:nonsense"),
        ("device", "meta"),
        ("device", "cuda:99"),
        ("dtype", "float64"),
        ("dtype", "nonsense"),
    ],
)
def test_a_device_or_dtype_that_cannot_be(tmp_path: Path, option: str, value: str) -> None:
    """The option and its value are named, before any file is read."""
    with pytest.raises(EngineError) as caught:
        NaiveHfEngine(str(tmp_path), replace(EngineOptions(), **{option: value}))  # type: ignore[arg-type]
    assert caught.value.message.startswith(f"--{option} {value}: ")
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none(tmp_path: Path) -> None:
    """Asked for by name it is an error; not asked for, the CPU is used in float32."""
    with pytest.raises(EngineError, match="--device cuda: "):
        NaiveHfEngine(str(tmp_path), EngineOptions(device="cuda"))
    described = NaiveHfEngine(str(shared_model("Llama")), EngineOptions()).describe()
    assert (described["device"], described["dtype"]) == ("cpu", "float32")
    assert torch.__version__.startswith(described["torch"])  # which may go on with +cu130


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_nothing(tmp_path: Path) -> None:
    """No progress bar, warning or advice of a library on either stream.

    The prompt is longer than the tokenizer's limit and the padding token is not set: both are
    things that transformers likes to speak about.
    """
    save_model(tmp_path, "Llama", template=CHATML)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 10}))
    code = (
        "import sys\n"
        "from judge.engines.naive import NaiveHfEngine, EngineOptions\n"
        "from tests.unit.engines.small import make_tree\n"
        "engine = NaiveHfEngine(sys.argv[1], EngineOptions())\n"
        "tree = make_tree(['没关系', '难受' * 20])\n"
        "assert engine.fingerprint and engine.count(tree) and engine.describe()\n"
        "assert len(list(engine.score(tree))) == 6\n"
    )
    result = _run(code, str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


OUT_OF_MEMORY = """\
import json, resource, sys
import torch
from judge.engines.naive import NaiveHfEngine, EngineOptions
from judge.errors import EngineError
from tests.unit.engines.small import make_tree

torch.set_num_threads(1)
engine = NaiveHfEngine(sys.argv[1], EngineOptions(batch_size=16, device="cpu"))
tree = make_tree(["没考好" * 7 * i for i in range(1, 17)])
sizes, logits = [], engine._judge.logits
engine._judge.logits = lambda ids, *a, **k: sizes.append(len(ids)) or logits(ids, *a, **k)

def outcomes(tree):
    return [read.outcome for read in engine.score(tree)]

free = outcomes(tree)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), resource.RLIM_INFINITY))
tight = outcomes(tree)
again = outcomes(tree)
try:
    refused = outcomes(make_tree(["没考好" * 4000]))
except EngineError as error:
    refused = [error.message, error.hint]
print(json.dumps([free, tight, again, sizes, refused]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process")
def test_when_memory_runs_out_batches_are_halved() -> None:
    """For real, under a limit of the process: every prompt is read as in a free process.

    Every call tries the whole batch first, so that no read hangs on what ran out before. Where
    not even one prompt fits, the error says so.
    """
    changes = {"intermediate_size": 4096, "num_hidden_layers": 1}
    folder = shared_model("Llama", window=1 << 16, changes=changes)
    result = _run(OUT_OF_MEMORY, str(folder))
    assert result.returncode == 0, result.stderr
    free, tight, again, sizes, refused = json.loads(result.stdout)
    assert sizes[:3] == [48, 48, 24]
    assert sizes[-2:] == [3, 1]
    assert np.array(tight) == pytest.approx(np.array(free), abs=1e-5)
    assert np.array(again) == pytest.approx(np.array(free), abs=1e-5)
    assert sizes.count(48) == 3
    assert "does not fit on cpu" in refused[0]
    assert refused[1] == "use a smaller judge, or a device with more memory"


def test_an_error_that_is_not_about_memory_is_not_hidden() -> None:
    """Halving answers one trouble only; a defect must stay visible."""
    hf = engine(shared_model("Llama"))
    calls = []

    def broken(ids: object, *_: object, **__: object) -> list[Any]:
        calls.append(ids)
        raise RuntimeError("shapes do not match")

    hf._judge.logits = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(hf.score(make_tree(["x"])))
    assert len(calls) == 1
