"""A causal language model on disk or on the hub: where its files are and what they hash to.

A hub model's small files are fetched first, its weights only when they are asked for, so that
tokens can be counted without them.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from judge.engines.chat import Chats
from judge.engines.tokens import PromptTokenizer, TokenTree, local_prompt_tokenizer
from judge.errors import EngineError, MissingExtraError

__all__ = ["Checkpoint", "first_line", "import_extra"]

_WEIGHTS = "*.safetensors"
_INDEX = "*.safetensors.index.json"
_TOKENIZER = ("*token*", "*tekken*", "vocab*", "merges*", "*.model")
_SMALL = ("config.json", "generation_config.json", "*.jinja", *_TOKENIZER)
_NOT_OURS = ("*/*", "consolidated*")
"""Copies of the same weights in other formats, which some hub repositories carry as well."""


class Checkpoint:
    """The files of a model; nothing is read before it is asked for.

    Args:
        name: a folder or a hub id.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._transformers: Any = import_extra("transformers")

    @cached_property
    def folder(self) -> Path:
        """The folder with configuration and tokenizer.

        Raises:
            EngineError: it is not there, or cannot be fetched.
        """
        local = Path(self.name)
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
        return self._fetch(*_SMALL)

    @cached_property
    def weights(self) -> list[Path]:
        """The safetensors files, at least one.

        Raises:
            EngineError: there are none, or they cannot be fetched.
        """
        folder = self.folder
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
        hub.utils.enable_progress_bars()  # weights take minutes
        try:
            return Path(
                hub.snapshot_download(
                    self.name,
                    revision=revision,
                    allow_patterns=list(patterns),
                    ignore_patterns=list(_NOT_OURS),
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
        """The configuration of the language model; of its text part where it has several.

        Raises:
            EngineError: config.json is not one that transformers can read.
        """
        try:
            config = self._transformers.AutoConfig.from_pretrained(self.folder)
            return config.get_text_config()
        except Exception as error:  # a wrong value fails anywhere in its class
            raise EngineError(
                f"config.json cannot be read: {first_line(error)}",
                path=self.folder,
                hint="upgrade transformers, or choose another model",
            ) from error

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, as transformers has it.

        Raises:
            EngineError: there is none, or it cannot be read.
        """
        _ = self.text_config  # without it no tokenizer can be read either, for another reason
        hint = "copy tokenizer.json and tokenizer_config.json of the model into it"
        if not any(path for pattern in _TOKENIZER for path in self.folder.glob(pattern)):
            raise EngineError("the model folder has no tokenizer", path=self.folder, hint=hint)
        try:
            return self._transformers.AutoTokenizer.from_pretrained(self.folder)
        except Exception as error:  # tokenizers raises bare Exception on a broken file
            raise EngineError(
                f"the tokenizer cannot be read: {first_line(error)}", path=self.folder, hint=hint
            ) from error

    @cached_property
    def prompt_tokenizer(self) -> PromptTokenizer:
        """What makes token trees for this model.

        Raises:
            EngineError: there is no tokenizer, or it cannot be used.
        """
        return local_prompt_tokenizer(self.tokenizer, self.name)

    @cached_property
    def chats(self) -> Chats:
        """What makes ids of chats for this model.

        Raises:
            EngineError: there is no tokenizer, or it cannot be used.
        """
        return Chats(self.tokenizer, self.prompt_tokenizer, self.name)

    @property
    def window(self) -> int | None:
        """The most tokens a prompt may have, if the model has a limit."""
        window: int | None = getattr(self.text_config, "max_position_embeddings", None)
        return window

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
        """A hash of configuration, tokenizer and weights, wherever they lie; reads all of them.

        Raises:
            EngineError: there are no weights, or they cannot be fetched.
        """
        files = {path for pattern in (*_SMALL, _INDEX) for path in self.folder.glob(pattern)}
        ordered = sorted(files | set(self.weights), key=lambda path: path.name)
        digest = hashlib.sha256()
        with ThreadPoolExecutor() as pool:
            for path, content in zip(ordered, pool.map(_sha256, ordered), strict=True):
                digest.update(f"{path.name}\0{content}\0".encode())
        return digest.hexdigest()


def first_line(error: BaseException) -> str:
    """What an error of a library says, short enough for ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def import_extra(package: str, extra: str = "hf") -> Any:
    """A package of an extra.

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
