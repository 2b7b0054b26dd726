"""A LoRA adapter: small weights beside a model, such as those of a judge trained on ratings."""

from __future__ import annotations

import hashlib
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from judge.engines.checkpoint import import_extra
from judge.errors import EngineError
from judge.limits import RECORD_BYTES, LimitError, read_regular

__all__ = ["Adapter", "merged", "read_adapter"]

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class _Config(msgspec.Struct):
    """What of adapter_config.json matters here."""

    peft_type: str
    r: int
    rank_pattern: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that PEFT saved.

    Attributes:
        folder: where it is, without links.
        rank: the largest of its matrices.
        sha256: a hash of its configuration and its weights.
    """

    folder: Path
    rank: int
    sha256: str


def read_adapter(folder: str) -> Adapter:
    """The LoRA adapter in a folder; its weights are read for their hash only.

    Raises:
        EngineError: there is none, or it is of another kind.
    """
    path = Path(folder)
    try:
        encoded = read_regular(path / _CONFIG, RECORD_BYTES)
        config = msgspec.json.decode(encoded, type=_Config)
        with (path / _WEIGHTS).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, LimitError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        name = Path(getattr(error, "filename", None) or _CONFIG).name
        raise EngineError(
            f"--adapter: {name} cannot be read: {reason}",
            path=path,
            hint=f"name a folder with {_CONFIG} and {_WEIGHTS}, as save_pretrained of PEFT writes; "
            "pickled weights are not read",
        ) from error
    ranks = [config.r, *(config.rank_pattern or {}).values()]
    if config.peft_type != "LORA" or min(ranks) < 1:
        raise EngineError(
            f"--adapter: {_CONFIG} has peft_type {config.peft_type} and rank {min(ranks)}",
            path=path,
            hint="only LoRA adapters of rank 1 and more can be used: merge others into the model",
        )
    digest = hashlib.sha256(encoded + weights.encode()).hexdigest()
    return Adapter(path.resolve(), max(ranks), digest)


def merged(adapter: Adapter, model: Any) -> Any:
    """A model of transformers with the adapter added to its weights, in place, by PEFT.

    Raises:
        MissingExtraError: PEFT is not installed.
        EngineError: the adapter was made for another model.
    """
    peft = import_extra("peft", extra="lora")
    name, folder = "judge", str(adapter.folder)

    def misfit(why: str) -> EngineError:
        return EngineError(
            f"--adapter: it does not fit the {type(model).__name__}: {why}",
            path=adapter.folder,
            hint=f"use it with the model that it was trained on: {_CONFIG} names it",
        )

    try:
        with warnings.catch_warnings(action="ignore"):  # of what is missing, an error below
            adapted = peft.PeftModel(model, peft.PeftConfig.from_pretrained(folder), name)
            found = adapted.load_adapter(folder, name, torch_device=str(model.device))
            foreign = [*found.missing_keys, *found.unexpected_keys]
            if not foreign:
                return adapted.merge_and_unload(safe_merge=True)
    except Exception as error:  # torch, PEFT and safetensors each have their own
        raise misfit(textwrap.shorten(str(error), 200, placeholder=" ...")) from error
    raise misfit(f"{min(foreign)} is in one of them only")
