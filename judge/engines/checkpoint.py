"""The files of a causal language model: in a folder, on the hub, or one GGUF file.

The small files of a hub model are fetched first and its weights only when they are needed, so that
tokens can be counted without them.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from judge.engines.chat import Chats
from judge.engines.interface import GGUF, TokenCount
from judge.engines.tokens import PromptTokenizer, TokenTree, local_prompt_tokenizer
from judge.errors import EngineError, MissingExtraError
from judge.types import PromptTree

__all__ = ["Checkpoint", "first_line", "import_extra", "missing_names", "refuse_unknown"]

_WEIGHTS = "*.safetensors"
_INDEX = "*.safetensors.index.json"
_TOKENIZER = ("*token*", "*tekken*", "vocab*", "merges*", "*.model")
_SMALL = ("config.json", "generation_config.json", "*.jinja", *_TOKENIZER)
_CODE = ("*.py",)
_OTHER_FORMATS = ("*/*", "consolidated*")
"""Copies of the same weights in other formats, which some hub repositories contain as well."""
_NUMBER = re.compile(r"\d+")


class Checkpoint:
    """The files of a model; nothing is read before it is needed.

    Args:
        name: a folder, a hub id, or a file that ends in .gguf.
        trust_code: run Python files of the model. They can do whatever the user can.
    """

    def __init__(self, name: str, *, trust_code: bool = False) -> None:
        self.name = name
        self.trust_code = trust_code
        self._transformers: Any = import_extra("transformers")
        self.gguf = name.endswith(GGUF)

    @cached_property
    def folder(self) -> Path:
        """The folder with configuration and tokenizer.

        Raises:
            EngineError: it does not exist, or cannot be fetched.
            MissingExtraError: a library that reads GGUF files is not installed.
        """
        local = Path(self.name)
        if self.gguf:
            for package in ("accelerate", "gguf"):
                import_extra(package, extra="gguf")
            if not local.is_file():
                raise EngineError("there is no such file", path=local, hint="check the path")
            return local.parent
        if local.is_dir():
            if not (local / "config.json").is_file():
                raise EngineError(
                    "the model folder has no config.json",
                    path=local,
                    hint="name a folder that save_pretrained wrote",
                )
            return local
        if local.exists() or self.name.startswith((".", "/", "~")):
            raise EngineError(
                "this is no model folder",
                path=local,
                hint="name a folder with a config.json, or a hub id",
            )
        return self._fetch(*self._small)

    @property
    def loading(self) -> dict[str, Any]:
        """Arguments of every `from_pretrained`, after the folder."""
        return {
            "trust_remote_code": self.trust_code,
            **({"gguf_file": Path(self.name).name} if self.gguf else {}),
        }

    @property
    def _small(self) -> tuple[str, ...]:
        """The files that are read whatever the model is asked."""
        return (*_SMALL, *_CODE) if self.trust_code else _SMALL

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, at least one.

        Raises:
            EngineError: there are none, or they cannot be fetched.
        """
        folder = self.folder
        if self.gguf:
            return [Path(self.name)]
        if not Path(self.name).is_dir():
            folder = self._fetch(_WEIGHTS, _INDEX, revision=folder.name)
        files = sorted(folder.glob(_WEIGHTS))
        if not files:
            raise EngineError(
                "the model folder has no *.safetensors",
                path=folder,
                hint="save the weights with save_pretrained; pickled weights are not read",
            )
        return files

    def _fetch(self, *patterns: str, revision: str | None = None) -> Path:
        hub = import_extra("huggingface_hub")
        hub.utils.enable_progress_bars()  # the download of weights takes minutes
        try:
            return Path(
                hub.snapshot_download(
                    self.name,
                    revision=revision,
                    allow_patterns=list(patterns),
                    ignore_patterns=list(_OTHER_FORMATS),
                    # Without it, huggingface_hub 1.33 looks a commit up on the hub even so.
                    local_files_only=hub.constants.HF_HUB_OFFLINE,
                )
            )
        except Exception as error:  # the hub's errors share no base class
            raise EngineError(
                f"the model {self.name} is not in the local cache and could not be fetched: "
                f"{type(error).__name__}",
                hint=f"check the id, the network and your access to it; `hf download {self.name}` "
                "fetches it where there is a network; or name a local folder; the embedded judges "
                "`lexical` and `tiny` need no network",
            ) from error

    @cached_property
    def text_config(self) -> Any:
        """The configuration of the language model; the text part if there are several parts.

        Raises:
            EngineError: transformers cannot read config.json.
        """
        folder = self.folder
        try:
            config = self._transformers.AutoConfig.from_pretrained(folder, **self.loading)
            return config.get_text_config()
        except Exception as error:  # a wrong value may raise anything
            self.refuse_code(error)
            raise EngineError(
                f"{'its head' if self.gguf else 'config.json'} cannot be read: {first_line(error)}",
                path=Path(self.name) if self.gguf else self.folder,
                hint="fetch it again if it is cut off, upgrade transformers, or choose another "
                "model",
            ) from error

    def refuse_code(self, error: Exception) -> None:
        """Say it in words of ours if transformers would have to run Python files of the model.

        Raises:
            EngineError: `error` says that.
        """
        if not self.trust_code and "trust_remote_code" in str(error):
            raise EngineError(
                "the model brings Python code of its own, which is not run unless you say so",
                path=self.folder,
                hint="read its *.py files and add --trust-remote-code, or choose another model",
            ) from error

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers.

        Raises:
            EngineError: there is none, or it cannot be read.
        """
        _ = self.text_config  # if it is broken that is the reason to give, not the tokenizer
        hint = "copy tokenizer.json and tokenizer_config.json of the model into it"
        if self.gguf:
            hint = "use the folder that the file was made from"
        elif not any(path for pattern in _TOKENIZER for path in self.folder.glob(pattern)):
            raise EngineError("the model folder has no tokenizer", path=self.folder, hint=hint)
        try:
            return self._transformers.AutoTokenizer.from_pretrained(self.folder, **self.loading)
        except Exception as error:  # tokenizers raises bare Exception on a broken file
            self.refuse_code(error)
            raise EngineError(
                f"the tokenizer cannot be read: {first_line(error)}", path=self.folder, hint=hint
            ) from error

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """Turns prompt trees into token trees for this model.

        Raises:
            EngineError: there is no tokenizer, or it cannot be used.
        """
        return local_prompt_tokenizer(self.tokenizer, self.name)

    @cached_property
    def chats(self) -> Chats:
        """Turns chats into ids for this model.

        Raises:
            EngineError: there is no tokenizer, or it cannot be used.
        """
        return Chats(self.tokenizer, self.prompt_tokenizer, self.name)

    @property
    def window(self) -> int | None:
        """The most tokens that a prompt may have, if the model has a limit."""
        window: int | None = getattr(self.text_config, "max_position_embeddings", None)
        return window

    def count(self, tree: PromptTree) -> TokenCount:
        """The tokens of a tree, and the window that its prompts have to fit into."""
        return replace(self.prompt_tokenizer(tree).count(), window=self.window)

    def refuse_missing_weights(self) -> None:
        """Refuse a checkpoint that lacks weights of its model, as far as names can tell.

        vLLM 0.32 itself refuses only some of these. For others it computes from whatever is in the
        memory, or from zeros, and all labels get the same probability.

        Raises:
            EngineError: weights are missing.
        """
        torch = import_extra("torch")
        try:
            with torch.device("meta"):  # names without numbers
                model = self._transformers.AutoModelForCausalLM.from_config(
                    self.text_config, trust_remote_code=self.trust_code
                )
            stored: set[str] = set()
            for path in self.weights:
                with import_extra("safetensors").safe_open(path, framework="pt") as file:
                    stored.update(file.keys())
        except Exception:  # noqa: BLE001  vLLM may know the model, or has a better message
            return
        head = model.get_output_embeddings()
        tied = head is None or head.weight is model.get_input_embeddings().weight
        heads = [] if tied else [name for name, part in model.named_modules() if part is head]
        missing = missing_names({name for name, _ in model.named_parameters()}, stored, heads)
        if missing:
            raise EngineError(
                f"the weights lack {missing[0]} of a {type(model).__name__}",
                path=self.weights[0].parent,
                hint="choose a causal language model, not a classifier or an embedding model",
            )

    def refuse_foreign_ids(self, tokens: TokenTree) -> None:
        """Refuse a tree with tokens that the model does not know.

        Raises:
            EngineError: there are such tokens.
        """
        branches = [ids for item in tokens.branches for ids in item.values()]
        parts = [tokens.prefix, *tokens.profiles.values(), *tokens.dialogues, *branches]
        self.refuse_foreign([*parts, *tokens.label_ids.values()])

    def refuse_foreign(self, parts: Iterable[Sequence[int]]) -> None:
        """Refuse prompts, or parts of them, with tokens that the model does not know.

        Raises:
            EngineError: there are such tokens.
        """
        size = getattr(self.text_config, "vocab_size", None)
        top = max((max(ids) for ids in parts if ids), default=0)
        if size is not None and top >= size:
            raise EngineError(
                f"the tokenizer gives the token {top}, the model knows {size} tokens",
                path=self.folder,
                hint="put the tokenizer that the model was trained with into the folder",
            )

    @cached_property
    def sha256(self) -> str:
        """A hash of the names and contents of configuration, tokenizer and weights.

        Of a GGUF file, which has all three, its SHA-256.

        Raises:
            EngineError: there are no weights, or they cannot be fetched.
        """
        if self.gguf:
            _ = self.folder  # it may not exist
            return _sha256(Path(self.name))
        files = {path for pattern in (*self._small, _INDEX) for path in self.folder.glob(pattern)}
        ordered = sorted(files | set(self.weights), key=lambda path: path.name)
        digest = hashlib.sha256()
        with ThreadPoolExecutor() as pool:
            for path, content in zip(ordered, pool.map(_sha256, ordered), strict=True):
                digest.update(f"{path.name}\0{content}\0".encode())
        return digest.hexdigest()


def missing_names(
    expected: Collection[str], stored: Collection[str], heads: Collection[str]
) -> list[str]:
    """The weights that are missing in a checkpoint, as far as names can tell.

    Weights may be stored under other names, joined or quantized. So a weight counts as missing only
    if others are stored whose names differ from its own in numbers alone, as those of another layer
    do; or if it belongs to one of the modules `heads` and nothing of that module is stored.
    """
    patterns = {_NUMBER.sub("#", name) for name in stored}
    alike = {name for name in expected if _NUMBER.sub("#", name) in patterns} - set(stored)
    bare = {head for head in heads if not any(f".{head}." in f".{name}" for name in stored)}
    return sorted(alike | {name for name in expected if name.rpartition(".")[0] in bare})


def first_line(error: BaseException) -> str:
    """The first line of a library's error message, to be part of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def refuse_unknown(option: str, value: str | None, known: Collection[str]) -> None:
    """Refuse a value of an option that is not one of the `known` ones; None is always accepted.

    Raises:
        EngineError: it is unknown.
    """
    if value is not None and value not in known:
        raise EngineError(f"--{option} {value}: unknown", hint=f"choose from {', '.join(known)}")


def import_extra(package: str, extra: str = "hf") -> Any:
    """An optional package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra=extra, purpose="a judge model") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
