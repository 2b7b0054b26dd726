"""The options of playing: whom they concern, and what is refused before anybody is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner

from judge.cli.command import given_options
from judge.cli.eval_command import evaluate, generate
from judge.cli.options import (
    ENGINE,
    PLAYING,
    SERVER,
    engine_options,
    judge_option,
    play_options,
)
from judge.engines import EngineOptions, cuda_available
from judge.engines.http import HttpEngine
from judge.errors import DataError, JudgeError, RunMismatchError, UsageError
from judge.roleplay import Scene
from judge.workflows.generate import _system_name
from judge.workflows.opening import (
    EngineKeywords,
    JudgeChoice,
    Players,
    PlayOptions,
    _writer,
    choose_judge_beside,
    is_model,
    open_players,
)
from judge.workflows.opening import (
    engine_options as options_of,
)
from tests.unit.roleplay.wire import serving

SCENES = [Scene("小明", "1", "难过。", {"x": "然后呢？"})]
URL = ("--base-url", "http://localhost:1/v1")
REPLAY = ("--user", "replay:x")


class Line(NamedTuple):
    """What a command with all these options makes of a line."""

    model: str
    judge: str | None
    playing: PlayOptions
    engine: EngineKeywords


def taken(words: Sequence[str]) -> Line:
    found: list[Line] = []

    @click.command()
    @click.option("--model")
    @judge_option
    @play_options
    @engine_options
    @click.pass_context
    def command(ctx: click.Context, /, model: str, judge: str | None, **_: Any) -> None:
        playing = PlayOptions(**given_options(ctx, PLAYING))
        engine = EngineKeywords(**given_options(ctx, ENGINE, SERVER))  # type: ignore[typeddict-item]
        found.append(Line(model, judge, playing, engine))

    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return found[0]


def beside(*words: str) -> JudgeChoice:
    """The judge of such a line."""
    line = taken(words)
    return choose_judge_beside(line.judge, line.engine, line.model, line.playing)


def cast(*words: str) -> Players:
    line = taken(words)
    return open_players(line.model, line.playing, line.engine, beside(*words), SCENES)


def address(engine: object) -> str:
    assert isinstance(engine, HttpEngine)
    return engine._api.root


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Enough of a model for whoever does not load it."""
    pytest.importorskip("transformers")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    return str(tmp_path / "model")


@pytest.fixture
def questions(tmp_path: Path) -> str:
    record = {"dialog_id": 1, "question_r1": "难过。", "answer_r1": "嗯。",
              "question_r2": "然后呢？", "answer_r2": "好。"}  # fmt: skip
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"小明": [record]}, ensure_ascii=False), encoding="utf-8")
    return str(path)


# What plays


def test_what_is_a_model(tmp_path: Path, folder: str) -> None:
    """A folder with a config.json, a hub id, openai:NAME; no file and no folder of dialogues."""
    for name in (folder, "openai:gpt", "openai:a/b", "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B"):
        assert is_model(name), name
    files = ["answers.json", "my/answers.jsonl", "my/answers.CSV", "gpt2", "a/b/c", str(tmp_path)]
    for name in files:
        assert not is_model(name), name


def test_a_folder_that_looks_like_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is what is meant: dialogues, where it has no config.json."""
    monkeypatch.chdir(tmp_path)
    assert is_model("some/thing")
    (tmp_path / "some" / "thing").mkdir(parents=True)
    assert not is_model("some/thing")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai:small", "small"),
        ("openai:org/small", "small"),
        ("openai:qwen3:8b", "qwen3:8b"),
        ("Qwen/Qwen3-8B", "Qwen3-8B"),
        ("FOLDER", "model"),
        ("FOLDER/", "model"),
        ("FOLDER/../model", "model"),
    ],
)
def test_a_model_has_a_name(folder: str, model: str, name: str) -> None:
    """Its own, without what it belongs to or lies in; or the one that is given."""
    model = model.replace("FOLDER", folder)
    assert _system_name(model, None) == name
    assert _system_name(model, " mine ") == "mine"
    with pytest.raises(UsageError, match="--name"):
        _system_name(model, " ")


# Who is asked where, with which options


def test_a_server_of_players_is_none_of_the_judge() -> None:
    """Unless the judge is named as being on it, or nobody else needs the address."""
    players_ = ("--model", "openai:player", *REPLAY, *URL)
    assert beside(*players_, "--judge", "lexical").spec.engine == "lexical"
    assert beside(*players_, "--judge", "acme/model").spec.engine in {"hf", "vllm"}
    assert beside(*players_, "--judge", "acme/model").options == EngineOptions()
    for words in (
        (*players_, "--judge", "openai:big"),
        (*players_, "--judge", "big", "--engine", "http"),
        (*players_, "--model-url", "http://localhost:2/v1", "--judge", "big"),
        ("--model", "acme/model", *REPLAY, *URL, "--judge", "big"),
        ("--model", "acme/model", "--user", "openai:u", "--judge", "openai:big", *URL),
    ):
        judge = beside(*words)
        assert (judge.spec.engine, judge.spec.model, judge.spec.name) == ("http", "big", "big")
        assert judge.options.base_url == URL[1]


@pytest.mark.skipif(cuda_available(), reason="this machine has CUDA")
def test_the_default_judge_beside_a_served_model() -> None:
    """It is the embedded one; the address is the player's."""
    judge = beside("--model", "openai:player", *REPLAY, *URL)
    assert (judge.spec.name, judge.named) == ("lexical", False)
    assert judge.options == EngineOptions()


def test_options_go_to_those_they_concern(folder: str) -> None:
    """The device to the folder, the concurrency to the server, the seed to all."""
    words = ("--device", "cpu", "--concurrency", "3", "--seed", "7", *URL)
    judge = beside("--model", folder, *REPLAY, "--judge", "openai:big", *words)
    assert judge.options == EngineOptions(base_url=URL[1], concurrency=3, seed=7)
    judge = beside("--model", "openai:player", *REPLAY, "--judge", "acme/model", *words)
    assert judge.options == EngineOptions(device="cpu", seed=7)
    judge = beside("--model", folder, "--user", "openai:u", "--judge", "mock", *words)
    assert judge.options == EngineOptions(seed=7)


def test_the_engine_of_a_local_player() -> None:
    """--engine is for it, where it cannot ask the judge; where it can, it is for both."""
    words = ("--model", "acme/model", *REPLAY, "--engine", "hf")
    assert beside(*words, "--judge", "lexical").spec.engine == "lexical"
    assert beside(*words, "--judge", "openai:big", *URL).spec.engine == "http"
    assert beside(*words, "--judge", "acme/judge").spec.engine == "hf"
    with pytest.raises(UsageError, match="--engine hf cannot ask the judge lexical"):
        beside("--model", "openai:player", *REPLAY, *URL, "--engine", "hf", "--judge", "lexical")


def test_two_servers() -> None:
    """Each side has its own address, or the common one; the same model there is one engine."""
    with serving() as one, serving() as two:
        common = ("--base-url", one.url, "--judge", "lexical")
        same = cast("--model", "openai:player", "--user", "openai:player", *common)
        assert same.user is same.model
        other = cast("--model", "openai:player", "--user", "openai:asker", *common)
        assert other.user is not other.model
        assert address(other.user) == address(other.model) == one.root
        apart = ("--model", "openai:player", "--user", "openai:player", "--user-url", two.url)
        found = cast(*apart, *common)
        assert (address(found.model), address(found.user)) == (one.root, two.root)
        found = cast(*apart[:4], "--model-url", two.url, *common)
        assert (address(found.model), address(found.user)) == (two.root, one.root)


def test_the_judge_is_the_user_where_none_is_named() -> None:
    """At the judge's address; an embedded judge cannot be."""
    with serving() as wire:
        words = ("--model", "openai:player", "--base-url", wire.url, "--judge")
        found = cast(*words, "openai:asker")
        assert found.user_name == "openai:asker"
        assert address(found.user) == wire.root
        for judge in ("lexical", "tiny", "mock"):
            with pytest.raises(UsageError, match="this judge cannot write"):
                cast(*words, judge)


def test_samples_are_for_the_judge() -> None:
    """A player's replies are what they are: it is not asked for samples, and has no such mark."""
    with serving() as wire:
        words = ("--model", "openai:player", *REPLAY, "--base-url", wire.url, "--samples", "3")
        found = cast(*words, "--judge", "openai:asker")
        assert "samples" not in found.model.fingerprint
        with pytest.raises(UsageError, match="--samples means nothing to the engine lexical"):
            cast(*words, "--judge", "lexical")


def test_an_adapter_is_for_the_judge() -> None:
    """A model that plays is itself, also where it is the judge too; nothing is dropped unsaid."""
    words = ("--model", "acme/model", *REPLAY, "--engine", "vllm", "--adapter", "lora")
    assert beside(*words, "--judge", "acme/model").options.adapter == "lora"
    line = taken(words)
    options = options_of(line.engine)
    assert _writer("acme/model", "--model", None, "vllm", options).options.adapter is None
    with pytest.raises(UsageError, match="--adapter means nothing to the engine lexical"):
        beside(*words, "--judge", "lexical")
    with pytest.raises(UsageError, match="--adapter is of a judge, and nothing is judged here"):
        open_players(line.model, line.playing, line.engine, None, SCENES)


# What is refused


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--model", "openai:", *URL], "openai: names no model", "openai:NAME"),
        (["--model", "openai:x"], "--model openai:x is on a server", "--base-url"),
        (["--model", "FOLDER", "--model-url", "http://x/v1"], "so --model-url means", "openai:"),
        (["--model", "openai:x", *URL, "--user-url", "http://x/v1"], "--user-url goes", "leave"),
        (["--model", "openai:x", *URL, "--device", "cpu"], "--device means nothing", "hf"),
        (["--model", "FOLDER", "--server", "vllm"], "--server means nothing to the engine", "http"),
        (["--model", "FOLDER", "--user", "tiny"], "--user tiny: the embedded judges", "language"),
        (["--model", "FOLDER", "--user", "openai:u"], "--user openai:u is on a server", "--base"),
        (["--model", "FOLDER", "--user", "replay"], "replay: whose questions", "replay:human"),
        (["--model", "FOLDER", "--user", "replay:"], "replay:: whose questions", "replay:human"),
        (
            ["--model", "FOLDER", "--user", "replay:y"],
            "replay:y: no recorded question",
            "choose from x",
        ),
        (["--model", "FOLDER", "--name", " "], "--name: it is empty", "leave it out"),
        (["--model", "FOLDER", "--play-lang", "fr"], "--play-lang fr", "zh"),
        (["--model", "FOLDER", "--characters", "nobody"], "--characters nobody", "小明"),
        (["--model", "FOLDER", "--scenarios", "9"], "--scenarios 9: no such scenario", "1"),
        (["--model", "FOLDER", "--questions", "none.json"], "none.json", "path"),
        (["--model", "./none"], "this is no model folder", "hub id"),
        (
            ["--model", "FOLDER", "--keep-loaded", "--workers", "2"],
            "--keep-loaded: the workers have one model",
            "leave it out",
        ),
        (["--model", "acme/none"], "acme/none is not in the local cache", "hf download acme/none"),
    ],
)
@pytest.mark.parametrize("command", [generate, evaluate])
def test_a_mistake_is_told_at_once(
    words: list[str],
    message: str,
    hint: str,
    command: click.Command,
    folder: str,
    questions: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the option at fault, with what to do; nobody is asked and no folder is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = sorted(tmp_path.rglob("*"))
    line = [word.replace("FOLDER", folder) for word in words]
    line += [] if "--user" in words else REPLAY
    line += [] if "--questions" in words else ["--questions", questions]
    line += ["--judge", "lexical"] if command is evaluate else []
    result = CliRunner().invoke(command, line, standalone_mode=False)
    assert isinstance(result.exception, JudgeError), result.exception
    assert re.search(message, str(result.exception)), str(result.exception)
    assert hint in str(result.exception.hint)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--user", "replay:x"],
        ["--model-url", "http://x/v1"],
        ["--questions", "x.json"],
        ["--play-lang", "zh"],
        ["--name", "x"],
        ["--temperature", "0.7"],
        ["--top-p", "1"],
        ["--thinking"],
        ["--keep-loaded"],
    ],
)
def test_options_of_playing_mean_nothing_to_recorded_dialogues(
    words: list[str], questions: str
) -> None:
    """They are refused by name, even with the value that they have anyway."""
    line = ["--model", questions, "--judge", "lexical", *words]
    result = CliRunner().invoke(evaluate, line, standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(f"{words[0]} goes with a model that plays")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--model", "answers.json"],
            "neither a model folder, nor a hub id, a GGUF file or openai:NAME",
        ),
        (["--model", "FOLDER", "--engine", "lexical"], "--engine lexical asks none of"),
    ],
)
def test_what_can_only_be_judged(
    words: list[str], message: str, folder: str, questions: str
) -> None:
    """To `judge generate`: recorded dialogues, and the engine of a judge."""
    line = [word.replace("FOLDER", folder) for word in words]
    result = CliRunner().invoke(
        generate, [*line, *REPLAY, "--questions", questions], standalone_mode=False
    )
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_several_models() -> None:
    """One plays at a time; the error names the one that plays."""
    line = ["--model", "answers.json", "--model", "openai:x", "--judge", "lexical"]
    result = CliRunner().invoke(evaluate, line, standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert "openai:x is a model that plays, and it plays alone" in str(result.exception)


def test_the_public_questions_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How to get them, or to do without."""
    monkeypatch.setenv("JUDGE_DATA", str(tmp_path))
    line = ["--model", "openai:x", *URL, *REPLAY]
    result = CliRunner().invoke(generate, line, standalone_mode=False)
    assert isinstance(result.exception, DataError)
    assert "judge data fetch" in str(result.exception.hint)
    assert "--questions" in str(result.exception.hint)


def test_a_run_of_recorded_dialogues(tmp_path: Path, questions: str) -> None:
    """A model that has their name does not play into it: refused before anybody is asked."""
    out = ["--judge", "lexical", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(evaluate, ["--model", questions, *out], standalone_mode=False)
    assert done.exception is None
    with serving() as wire:
        line = ["--model", "openai:player", "--base-url", wire.url, "--questions", questions]
        line += [*REPLAY, "--name", "x", *out]
        result = CliRunner().invoke(evaluate, line, standalone_mode=False)
        assert isinstance(result.exception, RunMismatchError)
        assert "the x of this run was recorded, not played" in str(result.exception)
        assert wire.asked("/v1/chat/completions") == []


def test_a_dry_run_of_a_model(questions: str, tmp_path: Path) -> None:
    """Scenes, replies and prompts are counted; nobody plays."""
    with serving() as wire:
        line = ["--model", "openai:player", "--base-url", wire.url, "--questions", questions]
        line += [*REPLAY, "--judge", "lexical", "--out", str(tmp_path / "run"), "--dry-run"]
        result = CliRunner().invoke(evaluate, [*line, "--json"], standalone_mode=False)
        facts = {"model": "player", "scenes": 1, "replies": 2, "prompts": 9}
        assert json.loads(result.output) == facts
        assert wire.asked("/v1/chat/completions") == []
    assert not (tmp_path / "run").exists()
