"""The options that choose a judge, shared by every command that asks one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from judge.cli.command import given_options
from judge.cli.options import ENGINE, SERVER, engine_options, given_cluster, judge_option
from judge.engines import EMBEDDED, ENGINES, EngineOptions, cuda_available
from judge.engines.servers import SERVERS
from judge.errors import UsageError
from judge.scaleout import Cluster
from judge.workflows.opening import EngineKeywords, JudgeChoice, choose_judge

EVERY = {
    "--base-url": ("http://localhost:1/v1", "http://localhost:1/v1"),
    "--server": ("vllm", "vllm"),
    "--concurrency": ("7", 7),
    "--samples": ("5", 5),
    "--batch-size": ("3", 3),
    "--device": ("cuda:1", "cuda:1"),
    "--dtype": ("bfloat16", "bfloat16"),
    "--quantization": ("fp8", "fp8"),
    "--adapter": ("my-lora", "my-lora"),
    "--tensor-parallel": ("2", 2),
    "--gpu-memory": ("0.5", 0.5),
    "--reproducible": (None, True),
    "--trust-remote-code": (None, True),
    "--retry-for": ("5", 5.0),
    "--accept-model-name": ("alias", "alias"),
    "--seed": ("9", 9),
}
"""Each option of an engine, what a user writes behind it, and what it means."""


def choose(*words: str) -> tuple[JudgeChoice, int]:
    """What a command with the shared options and one of its own makes of a line."""
    found: list[tuple[JudgeChoice, int]] = []

    @click.command()
    @judge_option
    @engine_options
    @click.option("--own", default=4)
    @click.pass_context
    def command(ctx: click.Context, /, judge: str | None, own: int, **_: Any) -> None:
        options = given_options(ctx, ENGINE, SERVER) | given_cluster(ctx)
        given = EngineKeywords(**options)  # type: ignore[typeddict-item]
        found.append((choose_judge(judge, given), own))

    result = CliRunner().invoke(command, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_every_setting_of_an_engine_has_its_option() -> None:
    """The settings and the options are the same list: none can be forgotten."""
    names = {field.name for field in fields(EngineOptions)}
    assert {word[2:].replace("-", "_") for word in EVERY} == names
    assert EngineKeywords.__annotations__.keys() == {*names, "engine", "cluster"}


@pytest.mark.parametrize("option", EVERY)
def test_an_option_becomes_the_setting_of_its_name(option: str) -> None:
    """That one and no other; the command keeps its own options."""
    word, value = EVERY[option]
    chosen, own = choose("--judge", "acme/model", option, *([] if word is None else [word]))
    name = option[2:].replace("-", "_")
    assert chosen.options == replace(EngineOptions(), **{name: value})
    assert (chosen.spec.name, chosen.named, own) == ("acme/model", True, 4)


@pytest.mark.parametrize(
    ("words", "cluster"),
    [
        ([], None),
        (["--workers", "8"], Cluster(8)),
        (["--ray-address", "auto"], Cluster(None, "auto")),
        (["--workers", "2", "--worker-timeout", "60"], Cluster(2, None, 60.0)),
    ],
)
def test_where_the_workers_are(words: list[str], cluster: Cluster | None) -> None:
    """Either option gives a cluster; without them the engine is in this process."""
    assert choose("--judge", "lexical", *words)[0].cluster == cluster


def test_workers_that_would_be_idle() -> None:
    """A timeout of no workers, and workers beside a server, are refused."""
    with pytest.raises(UsageError, match="--worker-timeout goes with --workers"):
        choose("--worker-timeout", "60")
    with pytest.raises(UsageError, match="every model here is on a server") as caught:
        choose("--judge", "openai:x", "--base-url", "http://localhost:1/v1", "--workers", "2")
    assert "--concurrency" in (caught.value.hint or "")


@pytest.mark.skipif(cuda_available(), reason="this machine has CUDA")
def test_nothing_given() -> None:
    """The default judge, every choice left to its engine."""
    chosen, _ = choose()
    assert chosen.options == EngineOptions()
    assert chosen.spec in EMBEDDED.values()
    assert not chosen.named


def test_the_engine_is_one_of_the_table() -> None:
    """Each name is understood; another is told with those that exist."""
    for engine in ENGINES:
        judge = engine if engine in EMBEDDED else "acme/model"
        name = "mine.npz" if engine == "lexical" else judge
        assert choose("--judge", name, "--engine", engine)[0].spec.engine == engine
    with pytest.raises(click.UsageError, match="magic"):
        choose("--engine", "magic")


def test_every_kind_of_server_is_named() -> None:
    """The help tells the words that the engine knows, and no others."""

    @click.command()
    @engine_options
    def command(**engine: Any) -> None:
        del engine

    (option,) = (p for p in command.params if isinstance(p, click.Option) and p.name == "server")
    words = (option.help or "").removeprefix("What answers there: ").split(".  ")[0]
    assert words.replace(" or ", ", ").split(", ") == list(SERVERS)


@pytest.mark.parametrize("words", [["--base-url", "http://localhost:1"], ["--engine", "http"]])
def test_a_server_needs_the_name_of_a_model(words: list[str]) -> None:
    """The embedded default is on no server: which model is meant is asked."""
    with pytest.raises(UsageError, match="--judge names none") as caught:
        choose(*words)
    assert "--judge NAME" in (caught.value.hint or "")
    assert choose("--judge", "acme/model", *words)[0].spec.engine == "http"


@pytest.mark.parametrize(
    "words",
    [
        ["--gpu-memory", "0"],
        ["--gpu-memory", "1.5"],
        ["--samples", "0"],
        ["--concurrency", "-1"],
        ["--tensor-parallel", "two"],
        ["--batch-size", "0"],
    ],
)
def test_numbers_out_of_range(words: list[str]) -> None:
    """The message names the option."""
    with pytest.raises(click.BadParameter) as caught:
        choose(*words)
    assert f"'{words[0]}'" in caught.value.format_message()
