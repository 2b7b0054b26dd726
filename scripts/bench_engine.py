#!/usr/bin/env python3
"""What sharing saves: the ways to ask one model the same prompts, side by side in one run.

    pip install '.[bench]'
    python scripts/bench_engine.py                 # everything; about half an hour on a CPU
    python scripts/bench_engine.py --quick --json  # a few minutes
    python scripts/bench_engine.py --count         # what a GPU would be told for 64 dialogues

The model is a random Qwen3 with the embedded judge's tokenizer: answers mean nothing, the time they
take does not depend on them. The dialogues are the public ones where --data has them, else those
of the demo, taken round and round; no way keeps a dialogue, so one that comes again costs the same.

- packed, cached: engine `hf`, the two ways it shares.
- one_by_one: engine `hf-naive`, one prompt at a time. padded: nine prompts in a batch.
- lm_eval: lm-evaluation-harness's HFLM, given the same token ids; left out if not installed.

Ratios are of the processor's seconds, one thread: on a machine that does nothing else they are
those of the clock.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch
import transformers
from torch.nn.attention import varlen
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from judge.dialogues import read_dialogues
from judge.engines import EMBEDDED, EngineOptions, attention
from judge.engines.hf import HfEngine
from judge.engines.naive import NaiveHfEngine
from judge.rubric import load_rubric
from judge.types import Dialogue, PromptTree

Outcomes = list[tuple[float, ...]]
DEMO = Path(__file__).parent / "demo_dialogues"


@dataclass(frozen=True)
class Timed:
    """One way, asked once; `tokens` is what the model was given, padding included."""

    way: str
    dialogues: int
    prompts: int
    seconds: float
    cpu_seconds: float
    peak_mib: int | None
    tokens: int
    outcomes: Outcomes

    @property
    def rate(self) -> float:
        """Prompts a second of the processor: what else the machine does matters little to it."""
        return self.prompts / self.cpu_seconds

    def row(self) -> dict[str, Any]:
        """The figures, for a table or JSON."""
        return {
            "way": self.way,
            "dialogues": self.dialogues,
            "prompts": self.prompts,
            "seconds": round(self.seconds, 2),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "prompts_per_cpu_second": round(self.rate, 3),
            "cpu_seconds_per_dialogue": round(self.cpu_seconds / self.dialogues, 4),
            "tokens_per_prompt": round(self.tokens / self.prompts, 1),
            "peak_mib": self.peak_mib,
        }


def save_model(folder: Path, layers: int, hidden: int) -> int:
    """A random Qwen3 and its tokenizer in `folder`; how many parameters it has."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(EMBEDDED["tiny"].model)
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        head_dim=64,
        max_position_embeddings=1 << 13,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(sum(p.numel() for p in model.parameters()))


def dialogues(data: Path) -> Iterator[Dialogue]:
    """Without end, character by character; each time round under other numbers."""
    folder = data / "chatanime"
    found = read_dialogues(folder if folder.is_dir() else DEMO).dialogues
    return (
        replace(d, scenario=f"{d.scenario}-{number // len(found)}")
        for number, d in enumerate(cycle(found))
    )


class Bench:
    """The model and the ways to ask it; every way is warmed up before it is timed."""

    def __init__(self, folder: Path, tree: Callable[[int, int], PromptTree]) -> None:
        self.folder = str(folder)
        self.tree = tree
        self.options = EngineOptions(device="cpu")

    def time(self, way: str, number: int, metrics: int = 9) -> Timed:
        """`number` dialogues, each asked the first `metrics` metrics."""
        tree = self.tree(number, metrics)
        ask, judge = self._way(way)
        ask(self.tree(1, 1))
        given = []
        hook = judge.register_forward_pre_hook(
            lambda _, args, kwargs: given.append((kwargs.get("input_ids", *args[:1])).numel()),
            with_kwargs=True,
        )
        peak(forget=True)
        start, cpu = time.perf_counter(), time.process_time()
        outcomes = ask(tree)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        hook.remove()
        return Timed(way, number, len(tree), seconds, cpu, peak(), sum(given), outcomes)

    def _way(self, way: str) -> tuple[Callable[[PromptTree], Outcomes], Any]:
        if way in {"packed", "cached"}:
            shared = HfEngine(self.folder, self.options, "packed" if way == "packed" else "cached")
            return lambda tree: _outcomes(_fresh(shared).score(tree)), shared._judge.model  # noqa: SLF001
        naive = NaiveHfEngine(self.folder, replace(self.options, batch_size=1))
        judge = naive._judge  # noqa: SLF001
        if way == "lm_eval":
            return self._lm_eval(naive), judge.model

        def ask(tree: PromptTree) -> Outcomes:
            if way == "padded":
                return _outcomes(naive.score(tree))
            alone = (
                replace(tree, items=(replace(item, metrics=(metric,)),))
                for item in tree.items
                for metric in item.metrics
            )
            return [outcome for one in alone for outcome in _outcomes(naive.score(one))]

        return ask, judge.model

    def _lm_eval(self, naive: NaiveHfEngine) -> Callable[[PromptTree], Outcomes]:
        from lm_eval.models.huggingface import HFLM  # noqa: PLC0415 - may not be installed

        judge = naive._judge  # noqa: SLF001
        checkpoint = judge.checkpoint
        harness = HFLM(
            pretrained=judge.model, tokenizer=checkpoint.tokenizer, batch_size=9, device="cpu"
        )

        def ask(tree: PromptTree) -> Outcomes:
            tokens = checkpoint.prompt_tokenizer(tree)
            asked = [
                (("", ""), list(tokens.prompt(i, m)), [label])
                for i, item in enumerate(tree.items)
                for m in item.metrics
                for label in tokens.label_ids[m]
            ]
            found = [value for value, _ in harness._loglikelihood_tokens(asked, disable_tqdm=True)]  # noqa: SLF001
            size = len(tree.labels)
            return [tuple(found[i : i + size]) for i in range(0, len(found), size)]

        return ask


def _fresh(engine: HfEngine) -> HfEngine:
    """Without what it keeps of prefix and profiles, so that their cost is in the figure."""
    for kept in ("_packed", "_cached"):
        engine.__dict__.pop(kept, None)
    return engine


def _outcomes(reads: Any) -> Outcomes:
    return [read.outcome for read in reads]


class Launches(TorchDispatchMode):
    """Counts the operations that compute or copy: a GPU has to be told of each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Views, and memory that is only asked for, are no operations."""
        aliases = [r.alias_info for r in func._schema.returns]  # noqa: SLF001
        view = any(alias is not None and not alias.is_write for alias in aliases)
        self.number += not view and "empty" not in func.name() and "detach" not in func.name()
        return func(*args, **kwargs or {})


class Waits(TorchFunctionMode):
    """Counts the calls for which a program waits until a GPU has finished all that it was told."""

    number = 0
    _reads = frozenset(
        {"item", "tolist", "cpu", "numpy", *(f"__{n}__" for n in ("bool", "int", "float"))}
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Numbers that are read, and copies to the GPU that do not say `non_blocking`."""
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        copies = name == "to" and any(isinstance(a, (str, torch.device)) for a in args[1:])
        copies |= name == "__getitem__" and isinstance(args[1], list)
        self.number += name in self._reads or (copies and not kwargs.get("non_blocking"))
        return func(*args, **kwargs)


def count(engine: HfEngine, tree: PromptTree) -> dict[str, int]:
    """What a GPU would be told, and how often it would be waited for, for `tree`.

    Counted on the CPU, where a stand-in that computes nothing takes the place of the GPU's kernel
    for attention: the answers are not looked at.
    """
    list(engine.score(replace(tree, items=tree.items[:1])))  # the prefix

    def kernel(query: Any, *_: Any, **__: Any) -> Any:
        out = query.new_zeros(query.shape)
        return out, out[..., 0].T.float()

    given: list[int] = []
    hook = engine._judge.model.register_forward_hook(lambda *_: given.append(1))  # noqa: SLF001
    with (
        patch.object(attention, "_has_varlen", return_value=True),
        patch.object(varlen, "varlen_attn", kernel),
        Launches() as launches,
        Waits() as waits,
    ):
        list(engine.score(tree))
    hook.remove()
    return {
        "dialogues": len(tree.items),
        "passes": len(given),
        "launches": launches.number,
        "waits": waits.number,
    }


def difference(one: Timed, other: Timed) -> float:
    """The greatest difference in log-probability over the prompts that both were asked."""
    size = min(one.prompts, other.prompts)
    return float(np.abs(np.array(one.outcomes[:size]) - np.array(other.outcomes[:size])).max())


def peak(*, forget: bool = False) -> int | None:
    """The most memory that this process has had since it was told to `forget`, in MiB.

    None where the system does not count it so; Linux does.
    """
    try:
        if forget:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) // 1024


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(r.get(n, "")) for n in names] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def has_lm_eval() -> bool:
    """Whether lm-evaluation-harness is installed."""
    try:
        importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--layers", type=int, default=8, show_default=True)
@click.option("--hidden", type=int, default=512, show_default=True, help="A multiple of 128.")
@click.option("--threads", type=int, default=1, show_default=True)
@click.option("--count", "only_count", is_flag=True, help="Count operations, time nothing.")
@click.option("--quick", is_flag=True, help="Fewer dialogues, and no growth.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(
    data: Path,
    layers: int,
    hidden: int,
    threads: int,
    *,
    only_count: bool,
    quick: bool,
    as_json: bool,
) -> None:
    """Time the ways and print tables; the last line is JSON with --json."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    rubrics = {name: load_rubric(name) for name in ("esrp", "tiny")}
    names = [m.name for m in rubrics["esrp"].dialogue_metrics]

    def trees(rubric: str) -> Callable[[int, int], PromptTree]:
        return lambda number, metrics: rubrics[rubric].tree(
            tuple(islice(dialogues(data), number)), names[:metrics]
        )

    with tempfile.TemporaryDirectory() as folder:
        parameters = save_model(Path(folder), layers, hidden)
        if only_count:
            engine = HfEngine(folder, EngineOptions(device="cpu"))
            engine.budget = 1 << 16
            click.echo(json.dumps(count(engine, trees("esrp")(64, 9))))
            return
        bench = Bench(Path(folder), trees("esrp"))
        shared, whole = (20, 2) if quick else (100, 6)
        ways = {"packed": shared, "cached": shared, "one_by_one": whole, "padded": whole}
        ways |= {"lm_eval": whole} if has_lm_eval() else {}
        timed = {}
        for way, number in ways.items():
            timed[way] = bench.time(way, number)
            click.echo(json.dumps(timed[way].row()), err=True)
        packed, naive = timed["packed"], max((timed["one_by_one"], timed["padded"]), key=_rate)
        found: dict[str, Any] = {
            "machine": platform.machine(),
            "threads": threads,
            "parameters": parameters,
            **{n: importlib.metadata.version(n) for n in ("torch", "transformers")},
            "lm_eval": importlib.metadata.version("lm_eval") if "lm_eval" in timed else None,
            "ratio_vs_naive": round(packed.rate / naive.rate, 1),
            "ratio_vs_lm_eval": round(packed.rate / timed["lm_eval"].rate, 1)
            if "lm_eval" in timed
            else None,
            "ratio_cached_vs_naive": round(timed["cached"].rate / naive.rate, 1),
            "tokens_ratio": round(
                naive.tokens / naive.prompts / (packed.tokens / packed.prompts), 1
            ),
            "max_abs_logprob_difference": max(
                difference(timed["one_by_one"], other) for other in timed.values()
            ),
            "ways": [t.row() for t in timed.values()],
        }
        click.echo(table(found["ways"]))
        if not quick:
            small = Path(folder) / "small"
            found["growth_parameters"] = save_model(small, 4, 256)
            found["growth"] = growth(*(Bench(small, trees(rubric)) for rubric in ("esrp", "tiny")))
            for name, rows in found["growth"].items():
                click.echo(f"\n{name}\n{table(rows)}")
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n" + "\n".join(f"{k}: {v}" for k, v in found.items() if k[0] in "rtmp"))


def growth(long: Bench, short: Bench) -> dict[str, list[dict[str, Any]]]:
    """How the cost grows, of a smaller model."""

    def row(timed: Timed, **more: Any) -> dict[str, Any]:
        click.echo(json.dumps(timed.row()), err=True)
        return {**timed.row(), **more}

    return {
        "dialogues": [row(long.time("packed", number)) for number in (20, 200, 2000)],
        "metrics": [
            row(bench.time(way, number, metrics), metrics=metrics)
            for metrics in (1, 3, 9)
            for bench, way, number in ((long, "packed", 60), (long, "one_by_one", 2))
        ],
        "rubric": [
            row(bench.time(way, number), rubric=name)
            for name, bench in (("tiny", short), ("esrp", long))
            for way, number in (("packed", 60), ("one_by_one", 2))
        ],
    }


def _rate(timed: Timed) -> float:
    return timed.rate


if __name__ == "__main__":
    main()
