"""Model folders: what is refused, in which words, and what the fingerprint stands for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from judge.engines import Engine, EngineOptions, open_engine, resolve_judge
from judge.errors import EngineError
from tests.unit.engines.small import CHATML, bpe, make_tree, save_model

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good Llama folder; tests copy it."""
    return save_model(tmp_path_factory.mktemp("good") / "llama", "Llama", template=CHATML)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def engine(model: Path | str, **options: Any) -> Engine:
    return open_engine(resolve_judge(str(model)), EngineOptions(**options))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def config_of(text: str) -> Callable[[Path], None]:
    return lambda folder: _write(folder / "config.json", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def broken_tokenizer(folder: Path) -> None:
    _write(folder / "tokenizer.json", '{"version": "1.0", "model": {"type": "None such"}}')


def truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def garbled_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights at all")


def pickled_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()


def weights_of_another_size(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({k: v[..., :8].contiguous() for k, v in load_file(path).items()}, path)


def half_of_the_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if "layers.1" not in k}, path)


def foreign_tokenizer(folder: Path) -> None:
    tokenizer = bpe()
    tokenizer.add_tokens([f"word{i}" for i in range(50)] + ["这段话"])
    tokenizer.save_pretrained(folder)


def a_classifier(folder: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.LlamaForSequenceClassification(config).save_pretrained(folder)


def an_encoder(folder: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    torch.manual_seed(0)
    transformers.BertForMaskedLM(config).save_pretrained(folder)


def an_encoder_decoder(folder: Path) -> None:
    config = transformers.T5Config(vocab_size=400, d_model=32, d_ff=48, num_layers=1, num_heads=2)
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_config, "no config.json"),
        (config_of("{ not json"), "config.json cannot be read"),
        (config_of("[]"), "config.json cannot be read"),
        (config_of('{"model_type": "none-such"}'), "config.json cannot be read"),
        (config_of('{"model_type": "llama", "hidden_size": "wide"}'), "config.json cannot be"),
        (no_tokenizer, "no tokenizer"),
        (broken_tokenizer, "tokenizer cannot be read"),
        (truncated_weights, "weights cannot be loaded"),
        (garbled_weights, "weights cannot be loaded"),
        (pickled_weights, "no \\*.safetensors"),
        (weights_of_another_size, "weights cannot be loaded"),
        (half_of_the_weights, r"weights lack model.layers.1.*LlamaForCausalLM"),
        (foreign_tokenizer, "tokenizer gives the token"),
        (a_classifier, "weights lack lm_head.weight"),
        (an_encoder, "not causal"),
        (an_encoder_decoder, "weights cannot be loaded"),
    ],
)
def test_a_spoilt_folder_is_refused(folder: Path, spoil: Callable[[Path], None], why: str) -> None:
    """An `EngineError` that says what is wrong with which folder, and how to mend it."""
    spoil(folder)
    with pytest.raises(EngineError, match=why) as caught:
        list(engine(folder).score(make_tree(["这段话"])))
    assert caught.value.path == folder
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("spoil", [no_config, no_tokenizer, broken_tokenizer])
def test_counting_tokens_needs_the_tokenizer(folder: Path, spoil: Callable[[Path], None]) -> None:
    """What cannot be counted is refused in the same way."""
    spoil(folder)
    with pytest.raises(EngineError):
        engine(folder).count(make_tree(["x"]))


def test_counting_tokens_needs_no_weights(folder: Path) -> None:
    """A dry run works before 16 GB are fetched."""
    (folder / "model.safetensors").unlink()
    assert engine(folder).count(make_tree(["x"])) is not None
    with pytest.raises(EngineError, match=r"no \*\.safetensors"):
        _ = engine(folder).fingerprint


@pytest.mark.parametrize("name", ["./none-such", "/none/such", "~/none"])
def test_a_path_that_is_not_there(name: str) -> None:
    """What looks like a path is never looked up on the hub."""
    with pytest.raises(EngineError, match="no model folder") as caught:
        engine(name).count(make_tree(["x"]))
    assert caught.value.hint == "name a folder with a config.json, or a hub id"


def test_a_file_is_no_folder(folder: Path) -> None:
    """The weights are not the model."""
    with pytest.raises(EngineError, match="no model folder"):
        engine(folder / "model.safetensors").count(make_tree(["x"]))


class TestFingerprint:
    """Equal fingerprints, equal answers."""

    def test_does_not_depend_on_where_the_folder_is(self, saved: Path, folder: Path) -> None:
        """A copy elsewhere is the same model."""
        assert engine(saved).fingerprint == engine(folder).fingerprint

    @pytest.mark.parametrize("name", ["README.md", "training.json"])
    def test_does_not_depend_on_files_that_change_no_answer(
        self, saved: Path, folder: Path, name: str
    ) -> None:
        """A card or a record of training may change."""
        _write(folder / name, '{"temperature": 0.1}')
        os.utime(folder / "config.json", (0, 0))
        assert engine(saved).fingerprint == engine(folder).fingerprint

    def test_changes_with_the_end_of_an_answer(self, saved: Path, folder: Path) -> None:
        """The settings of generation name the tokens that end a reason."""
        _write(folder / "generation_config.json", '{"eos_token_id": 7}')
        assert engine(saved).fingerprint != engine(folder).fingerprint

    def test_changes_with_one_weight(self, saved: Path, folder: Path) -> None:
        """The smallest change of one number among thousands is seen."""
        path = folder / "model.safetensors"
        weights = load_file(path)
        one = weights["model.layers.1.mlp.up_proj.weight"]
        one[3, 5] = torch.nextafter(one[3, 5], torch.tensor(9.0))
        save_file(weights, path, metadata={"format": "pt"})
        assert engine(saved).fingerprint != engine(folder).fingerprint

    def test_changes_with_the_precision(self, saved: Path) -> None:
        """bfloat16 and float32 are two judges."""
        names = ("float32", "bfloat16", "float16")
        assert len({engine(saved, dtype=name).fingerprint for name in names}) == 3

    def test_does_not_change_with_the_batch_size(self, saved: Path) -> None:
        """How many are asked at once is no property of the judge."""
        assert engine(saved, batch_size=3).fingerprint == engine(saved).fingerprint

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("tokenizer.json", '"<|im_start|>"', '"<|im_begin|>"'),
            ("chat_template.jinja", "assistant", "judge"),
            ("config.json", '"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'),
        ],
    )
    def test_changes_with_tokenizer_template_and_config(
        self, saved: Path, folder: Path, name: str, old: str, new: str
    ) -> None:
        """Everything that a prompt passes through is in it."""
        path = folder / name
        before = path.read_text(encoding="utf-8")
        assert old in before
        _write(path, before.replace(old, new))
        assert engine(saved).fingerprint != engine(folder).fingerprint


HUB = """\
import json, sys
from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.errors import EngineError
from tests.unit.engines.small import make_tree
for name in sys.argv[1:]:
    engine = open_engine(resolve_judge(name), EngineOptions())
    for ask in (engine.count, lambda tree: list(engine.score(tree)), lambda _: engine.fingerprint):
        try:
            print(json.dumps(["ok", str(ask(make_tree(["x"])))]))
        except EngineError as error:
            print(json.dumps([error.message, error.hint]))
"""


def test_hub_models_without_network(saved: Path, tmp_path: Path) -> None:
    """Offline: what the cache has works, as if it were a folder; what it lacks is refused.

    The cache is laid out as huggingface_hub lays it out: one model whole, of one only what
    counting tokens has fetched, and of one nothing.
    """
    for name, leave_out in (("whole", ()), ("counted", ("model.safetensors",))):
        root = tmp_path / f"models--acme--{name}"
        (root / "refs").mkdir(parents=True)
        _write(root / "refs" / "main", "0" * 40)
        ignore = shutil.ignore_patterns(*leave_out)
        shutil.copytree(saved, root / "snapshots" / ("0" * 40), ignore=ignore)
    result = subprocess.run(
        [sys.executable, "-c", HUB, "acme/whole", "acme/counted", "acme/none", "not/a/hub/id"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    whole, counted, none, no_id = lines[:3], lines[3:6], lines[6:9], lines[9:]
    assert [said for said, _ in whole] == ["ok"] * 3
    assert whole[2][1] == engine(saved).fingerprint
    assert counted[0] == whole[0]
    assert counted[1][0] == counted[2][0] == "the model folder has no *.safetensors"
    for said, hint in none + no_id:
        assert "not in the local cache and could not be fetched" in said
        assert "`hf download " in hint
        assert "`lexical` and `tiny` need no network" in hint
