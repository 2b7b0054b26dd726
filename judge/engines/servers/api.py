"""Requests to one server: repeated where that may help, refused with a plain reason otherwise.

The key is read from the environment when the engine is made and is sent in the header only: it is
cut out of whatever a server says before that is shown. Redirects are not followed, so that the key
goes to the address that was given and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import os
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from judge.engines.checkpoint import first_line, import_extra
from judge.errors import EngineError, UsageError

__all__ = ["KEYS", "Api", "TooLong", "refuse_malformed"]

KEYS = ("JUDGE_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key; the first one that is set counts."""

PATIENCE = 120.0
"""Seconds after which a failing request is given up, counted over all its attempts."""

_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
_CONNECT, _READ = 10.0, 600.0
_PASSING_STATUS = {408, 409, 429}
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_TOO_LONG = re.compile(r"context.{0,12}(length|size|window)|too long|longer than", re.IGNORECASE)
_LASTING = re.compile(r"template|jinja|\brole", re.IGNORECASE)
"""In the message of a server error: it is about the chat itself, so repeating does not help."""
_MOST_SHOWN = 300


class TooLong(Exception):  # noqa: N818  it becomes a Failure of one prompt
    """The server says that a prompt does not fit into the model's window."""


class _PassingError(Exception):
    """A fault that may be gone at the next attempt; `after` seconds, if the server says when."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Api:
    """One server.

    Args:
        address: such as `http://localhost:8000/v1`; without a path, `/v1` is meant.
        connections: how many idle connections are kept open.

    Raises:
        MissingExtraError: httpx2 or tenacity is not installed.
        UsageError: it is not an address of a server, or it holds a password.
        EngineError: the environment holds a key with characters that no key has.
    """

    def __init__(self, address: str, connections: int) -> None:
        self._httpx: Any = import_extra("httpx2", "http")
        self._tenacity: Any = import_extra("tenacity", "http")
        parts = urlsplit(address)
        if parts.username or parts.password:
            raise UsageError(
                "--base-url holds a user name or a password",
                hint=f"leave it out, and put the key into the environment variable {KEYS[0]}",
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise UsageError(
                f"--base-url {address}: this is no address of a server",
                hint="it looks like http://localhost:8000/v1",
            )
        path = parts.path.rstrip("/") or "/v1"
        self.v1 = "/v1" if path.endswith("/v1") else ""
        self.root = f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}"
        self._key = _key()
        self._client = self._httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=self._httpx.Timeout(_READ, connect=_CONNECT),
            limits=self._httpx.Limits(max_connections=None, max_keepalive_connections=connections),
            trust_env=parts.hostname not in _LOCAL,  # a proxy cannot reach this machine's ports
        )
        weakref.finalize(self, self._client.close)

    def get(self, path: str) -> Any:
        """The JSON at `path`, asked once; None if there is none.

        Raises:
            EngineError: nothing answers, or the server refuses.
        """
        try:
            response = self._client.get(self.root + path)
        except self._httpx.RequestError as error:
            raise EngineError(
                f"nothing answers at {self.root}: {_reason(error)}",
                hint="start the server, or correct --base-url",
            ) from None
        if response.status_code in {404, 405, 501}:
            return None
        if not response.is_success:
            raise self._refusal(path, response)
        try:
            return response.json()
        except ValueError:  # a web page
            return None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to `body`; the request is repeated for a while where that may help.

        Raises:
            TooLong: the prompt does not fit into the model's window.
            EngineError: the server fails for longer than `PATIENCE`, or refuses the request.
        """
        tenacity = self._tenacity
        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(_PassingError),
                stop=tenacity.stop_before_delay(PATIENCE),
                wait=self._pause,
                reraise=True,
            )(self._once, path, body)
        except _PassingError as error:
            raise EngineError(
                f"the server at {self.root} fails: {error}",
                hint="check the server; what was done is kept, and the same command goes on",
            ) from None

    def _once(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            response = self._client.post(self.root + path, json=body)
        except self._httpx.TransportError as error:
            raise _PassingError(_reason(error)) from None
        except self._httpx.RequestError as error:
            raise EngineError(
                f"{self.root}{path} cannot be read: {_reason(error)}", hint="check the server"
            ) from None
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                raise EngineError(
                    f"{self.root}{path} answers something that is not JSON",
                    hint="correct --base-url: it is the address of the API, not of a web page",
                ) from None
        message = self._message(response)
        if _TOO_LONG.search(message):
            raise TooLong(message)
        status = response.status_code
        if status in _PASSING_STATUS or (status >= 500 and not _LASTING.search(message)):
            raise _PassingError(
                f"HTTP {status}{message and ': '}{message}", _after(response.headers)
            )
        raise self._refusal(path, response)

    def _pause(self, state: Any) -> float:
        """Seconds to wait: doubled each time, with jitter, and at least what the server says."""
        waits = self._tenacity.wait_exponential_jitter(
            multiplier=_PAUSE, max=_LONGEST_PAUSE, jitter=_PAUSE
        )
        return max(float(waits(state)), state.outcome.exception().after or 0.0)

    def _refusal(self, path: str, response: Any) -> EngineError:
        status, message = response.status_code, self._message(response)
        if status in {401, 403}:  # the server's message may quote part of the key
            return EngineError(
                f"the server at {self.root} refuses access (HTTP {status})",
                hint=f"put its key into the environment variable {KEYS[0]}",
            )
        hint = "correct --base-url, --judge or --server" if status < 500 else "check the server"
        return EngineError(
            f"{self.root}{path}: HTTP {status}{message and ': '}{message}", hint=hint
        )

    def _message(self, response: Any) -> str:
        """The server's own message about its refusal, in one line, without the key."""
        text = response.text
        try:
            content = response.json()
        except ValueError:
            content = None
        for name in ("error", "message", "detail"):
            if isinstance(content, dict) and name in content:
                content = content[name]
        text = " ".join((content if isinstance(content, str) else text).split())
        if self._key:
            text = text.replace(self._key, "(the key)")
        return text[:_MOST_SHOWN]


@contextmanager
def refuse_malformed() -> Iterator[None]:
    """Around code that takes answers apart: turns what an unexpected shape raises into our error.

    Raises:
        EngineError: an answer lacks something that it should have.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(
            f"an answer of the server is not what was expected: {_reason(error)}",
            hint="say which kind of server it is, with --server",
        ) from error


def _key() -> str | None:
    for name in KEYS:
        key = os.environ.get(name, "").strip()
        if key and not re.fullmatch(r"[!-~]+", key):
            raise EngineError(
                f"the environment variable {name} holds a character that no key has",
                hint="set it again, to the key alone",
            )
        if key:
            return key
    return None


def _after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header Retry-After asks for, as a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return (until.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
