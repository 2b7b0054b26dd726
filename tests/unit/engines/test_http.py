"""The key and the options of the http engine."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from judge.engines import EngineOptions, open_engine, resolve_judge
from judge.engines.http import HttpEngine
from judge.engines.servers import SERVERS
from judge.engines.servers.faults import KEYS
from judge.errors import EngineError, JudgeError, MissingExtraError, UsageError
from tests.unit.engines.http_help import DOCUMENTED, engine, values
from tests.unit.engines.recorded import documented
from tests.unit.engines.recorded.wire import Answer, Recording, Reply, Request, Wire
from tests.unit.engines.small import make_tree

pytestmark = pytest.mark.usefixtures("no_key_and_little_patience")
KEY = "sk-very-secret-1234"


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
@pytest.mark.parametrize("name", KEYS)
def test_the_key_is_sent_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    """Not even where the server says it back."""
    monkeypatch.setenv(name, KEY)

    def echo(request: Request) -> Reply:
        header = request.headers.get("Authorization", "")
        assert header == f"Bearer {KEY}"
        if request.path == "/api/chat":
            return Reply({"error": {"message": f"{header} is wrong"}}, status)
        return documented.ollama(request)

    with Wire(echo) as wire:
        judge = engine(wire)
        shown = [judge.fingerprint, str(judge.describe()), repr(judge)]
        with pytest.raises(JudgeError) as caught:
            list(judge.score(make_tree(["好"])))
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error), str(getattr(error, "hint", ""))]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if KEY in text or "very-secret" in text]


def test_the_nearer_key_is_taken_and_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """JUDGE_API_KEY before OPENAI_API_KEY; without either there is no such header."""
    with Wire(documented.openai) as wire:
        _ = engine(wire).fingerprint
        assert "Authorization" not in wire.requests[-1].headers
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        monkeypatch.setenv("JUDGE_API_KEY", KEY)
        _ = engine(wire).fingerprint
        assert wire.requests[-1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-\u00e9t\u00e9", "two words", "line\nbreak"])
def test_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """Refused without being shown."""
    monkeypatch.setenv("JUDGE_API_KEY", key)
    with pytest.raises(EngineError, match="JUDGE_API_KEY") as caught:
        HttpEngine("toy", EngineOptions(base_url="http://localhost"))
    assert key not in str(caught.value)


def test_the_key_does_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends us elsewhere is refused: the key is for the address that was given."""
    monkeypatch.setenv("JUDGE_API_KEY", KEY)
    with Wire(documented.openai) as other:

        def redirect(request: Request) -> Reply:
            if request.method == "POST":
                return Reply({}, 307, {"location": other.root + request.path})
            return documented.openai(request)

        with Wire(redirect) as wire, pytest.raises(EngineError, match="HTTP 307"):
            list(engine(wire).score(make_tree(["好"])))
        assert not other.requests


# --- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no address was given"),
        ({"base_url": "localhost:8000"}, "no address"),
        ({"base_url": "ftp://localhost"}, "no address"),
        ({"base_url": "http://localhost/v1?key=x"}, "no address"),
        ({"base_url": f"http://me:{KEY}@localhost"}, "password"),
        ({"base_url": "http://localhost", "server": "tgi"}, "--server tgi"),
        ({"base_url": "http://localhost", "concurrency": 0}, "--concurrency 0"),
        ({"base_url": "http://localhost", "samples": 0}, "--samples 0"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    """Refused before anything is asked, with a hint, and without a password."""
    with pytest.raises(UsageError, match=said) as caught:
        HttpEngine("toy", EngineOptions(**options))
    assert caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_an_address_may_leave_out_the_path() -> None:
    """http://host means http://host/v1; another path is taken as it stands."""
    seen = []

    def answer(request: Request) -> Reply:
        seen.append(request.path)
        path = request.path.replace("/beta/openai", "/v1")
        return documented.openai(replace(request, path=path))

    with Wire(answer) as wire:
        for url in (wire.root, f"{wire.root}/v1/", f"{wire.root}/beta/openai"):
            judge = HttpEngine("toy", EngineOptions(base_url=url, server="openai"))
            assert list(judge.score(make_tree(["好"], metrics=["fluency"])))
    assert seen.count("/v1/chat/completions") == 4
    assert seen.count("/beta/openai/chat/completions") == 2


@pytest.mark.parametrize("kind", SERVERS)
def test_the_kind_is_found_or_told(kind: str) -> None:
    """By one question; and `--server` needs no finding."""
    answers: dict[str, Answer] = {
        "vllm": Recording("vllm"),
        "llama.cpp": Recording("llama_cpp"),
        **DOCUMENTED,
    }
    name = "small" if kind in {"vllm", "llama.cpp"} else "toy"
    with Wire(answers[kind]) as wire:
        found = engine(wire, name)
        told = engine(wire, name, server=kind)
        assert found.describe()["server"] == kind
        assert found.fingerprint == told.fingerprint
        assert "note" in found.describe()


def test_a_server_that_lists_no_models_is_asked_all_the_same() -> None:
    """Some gateways have no /v1/models: the answers still say which model they are of."""

    def answer(request: Request) -> Reply:
        return Reply({}, 404) if request.method == "GET" else documented.openai(request)

    with Wire(answer) as wire:
        assert values(list(engine(wire).score(make_tree(["好"]))))


def test_it_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--base-url` means this engine; without its packages the error says how to get them."""
    options = EngineOptions(base_url="http://localhost:1")
    spec = resolve_judge("toy", base_url=options.base_url)
    assert isinstance(open_engine(spec, options), HttpEngine)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtraError) as caught:
        open_engine(spec, options)
    assert caught.value.hint == "pip install 'esrp-judge[http]'"
