"""Whether this machine can do the work: libraries, GPU, memory, disk and data, without judging."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from judge import __version__, chatanime
from judge.engines import SERVED, resolve_judge
from judge.engines.checkpoint import Checkpoint
from judge.errors import JudgeError

__all__ = ["Check", "examine"]

_NAME = "esrp-judge"
_TESTED = (
    Path(__file__).parents[1] / "tested_versions.txt",  # of an installed program
    Path(__file__).parents[2] / "scripts" / "constraints" / "locked.txt",  # of a checkout
)
_EXTRAS = {
    "hf": "a judge LLM on transformers",
    "vllm": "a judge LLM on vLLM",
    "http": "a judge LLM on a server",
    "ray": "several workers or machines",
    "parquet": "Parquet files",
    "xlsx": "Excel files",
}
_ROOM = 500 * 2**20
"""Bytes that a run of all public dialogues and its reports may take, amply."""
_BESIDE_WEIGHTS = 1.2
"""What a model needs beside its weights, for keys and values, as a factor: a rule of thumb."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: `ok`; `note`, for what only some work needs; `problem`, what must be mended.
        hint: what to do about it, or "".
    """

    about: str
    state: Literal["ok", "note", "problem"]
    result: str
    hint: str = ""


def examine(judge: str | None = None, *, folder: str | Path = ".") -> list[Check]:
    """Look at what runs depend on; nothing is loaded onto a GPU and nothing is fetched.

    Args:
        judge: the judge that is to be used, as in `evaluate`. If it is a model folder, the size of
            its weights is compared with the free memory.
        folder: where run folders are to be made.

    Returns:
        One check or more about each of: Python, the libraries of each extra, the GPU, the judge,
        the disk and the public dialogues.
    """
    checks = [_python(), *_libraries(), *_devices()]
    if judge is not None:
        checks.append(_judge(judge))
    return [*checks, _disk(Path(folder)), _data()]


def _python() -> Check:
    text = f"{platform.python_version()} on {platform.platform()}, {_NAME} {__version__}"
    return Check("Python", "ok", text)


def _libraries() -> Iterator[Check]:
    """The libraries of the base install, and of each extra."""
    try:
        lines = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError:
        hint = "pip install . in the checkout tells which versions fit"
        yield Check("libraries", "note", "the program runs from a checkout, not installed", hint)
        return
    requirements = [Requirement(line) for line in lines]
    tested = _tested_versions()
    base = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    yield _libraries_of("libraries", base, tested, install=_NAME, missing="problem")
    for extra, purpose in _EXTRAS.items():
        own = [r for r in requirements if r not in base and _in_extra(r, extra)]
        if own:
            about = f"extra {extra}, for {purpose}"
            install = f"'{_NAME}[{extra}]'"
            yield _libraries_of(about, own, tested, install=install, missing="note")


def _in_extra(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is not None and requirement.marker.evaluate({"extra": extra})


def _libraries_of(
    about: str,
    requirements: list[Requirement],
    tested: dict[str, str],
    *,
    install: str,
    missing: Literal["note", "problem"],
) -> Check:
    found, lacking, unfit, newer = [], [], [], []
    for requirement in requirements:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            lacking.append(requirement.name)
            continue
        found.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            unfit.append(f"{requirement.name} {version} is not {requirement.specifier}")
        known = tested.get(canonicalize_name(requirement.name))
        if known and Version(version) > Version(known):
            newer.append(f"{requirement.name} {version}, tested with {known}")
    hint = f"pip install --upgrade {install}"
    if unfit:
        return Check(about, "problem", "; ".join(unfit), hint)
    if lacking:
        return Check(about, missing, f"not installed: {', '.join(lacking)}", hint)
    if newer:
        return Check(about, "ok", f"newer than tested: {'; '.join(newer)}")
    return Check(about, "ok", ", ".join(found))


def _tested_versions() -> dict[str, str]:
    """Package -> the version that the test suite ran with; empty if the list is not there."""
    tested: dict[str, str] = {}
    for path in [path for path in _TESTED if path.is_file()][:1]:
        for line in path.read_text("utf-8").splitlines():
            if "==" not in line or line.startswith("#"):
                continue
            pinned = Requirement(line)
            if pinned.marker is None or pinned.marker.evaluate():
                (specifier,) = pinned.specifier
                tested[canonicalize_name(pinned.name)] = specifier.version
    return tested


def _torch() -> Any:
    """The module torch, or None where it is missing or broken."""
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError):
        return None


def _devices() -> Iterator[Check]:
    driver = shutil.which("nvidia-smi") is not None
    torch = _torch()
    if torch is None:
        hint = f"pip install '{_NAME}[hf]'" if driver else ""
        text = "no torch, so no model runs here: the embedded lexical judge and servers work"
        yield Check("GPU", "note", text, hint)
    elif torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            text = (
                f"{torch.cuda.get_device_name(number)}, {free / 2**30:.1f} of "
                f"{total / 2**30:.1f} GiB free, CUDA {torch.version.cuda}"
            )
            busy = free < total / 2
            hint = "nvidia-smi shows which programs hold its memory" if busy else ""
            yield Check(f"GPU {number}", "note" if busy else "ok", text, hint)
    elif driver:
        text = f"there is a driver, and torch {torch.__version__} sees no GPU"
        hint = "install the torch that fits the driver: https://pytorch.org/get-started/locally"
        yield Check("GPU", "problem", text, hint)
    else:
        text = "none: a judge LLM would run on the CPU, far more slowly"
        yield Check("GPU", "note", text, "use the embedded lexical judge, or a server (--base-url)")


def _judge(name: str) -> Check:
    """Whether the judge can be opened, and whether its weights fit into the memory."""
    about = f"judge {name}"
    try:
        spec = resolve_judge(name)
        if spec.engine in {"lexical", "mock"} or name.startswith(SERVED):
            return Check(about, "ok", f"runs with the engine {spec.engine}")
        if not Path(spec.model).exists():
            text = "not on this disk: taken for a hub id, which the first run fetches"
            return Check(about, "note", text, f"hf download {name}")
        checkpoint = Checkpoint(spec.model)
        size = sum(path.stat().st_size for path in checkpoint.weights)
        window = checkpoint.window
    except JudgeError as error:
        return Check(about, "problem", str(error), error.hint or "")
    free, place = _free_memory()
    text = f"{size / 2**30:.1f} GiB of weights, a window of {window or 'unknown'} tokens"
    if free is None:
        return Check(about, "ok", text)
    text = f"{text}; {free / 2**30:.1f} GiB free {place}"
    if size * _BESIDE_WEIGHTS > free:
        hint = "choose a smaller model, --quantization 4bit, or --tensor-parallel over more GPUs"
        return Check(about, "problem", text, hint)
    return Check(about, "ok", text)


def _free_memory() -> tuple[int | None, str]:
    """Free bytes of the largest GPU, else of the machine; None where that cannot be told."""
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        return max(torch.cuda.mem_get_info(number)[0] for number in devices), "on the GPU"
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(available.split()[1]) * 1024, "in main memory"
    except (OSError, StopIteration):
        return None, ""


def _disk(folder: Path) -> Check:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / 2**30:.1f} GiB free at {there}"
    if not os.access(there, os.W_OK):
        return Check("disk", "problem", f"{there} cannot be written", "choose another --out")
    if free < _ROOM:
        return Check("disk", "problem", text, "a run of all public dialogues may take 0.5 GiB")
    return Check("disk", "ok", text)


def _data() -> Check:
    folder = chatanime.data_root() / "chatanime"
    hint = f"judge data fetch --to {folder}"
    if not folder.is_dir():
        return Check("public dialogues", "note", f"not at {folder}", hint)
    states = chatanime.verify(folder)
    wrong = [f"{status.name} is {status.status}" for status in states if status.status != "ok"]
    if wrong:
        return Check("public dialogues", "problem", f"{folder}: {', '.join(wrong)}", hint)
    return Check("public dialogues", "ok", f"all {len(states)} files at {folder}")
