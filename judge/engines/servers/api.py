"""Requests to one server: patient where patience helps, plain about everything else.

The key is read from the environment when the first request is made and goes nowhere but into the
header: whatever a server says is shown without it. Redirects are not followed, so that the key
goes to the address that was given, and nowhere else.
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

__all__ = ["KEYS", "Api", "TooLong", "understood"]

KEYS = ("JUDGE_API_KEY", "OPENAI_API_KEY")

PATIENCE = 120.0
"""Seconds after which a request that fails is given up, all its attempts together."""

_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
_CONNECT, _READ = 10.0, 600.0
_PASSING = {408, 409, 429}
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_TOO_LONG = re.compile(r"context.{0,12}(length|size|window)|too long|longer than", re.IGNORECASE)
_LASTING = re.compile(r"template|jinja|\brole", re.IGNORECASE)
"""What a server says that fails over a chat which it will never take."""
_SHOWN = 300


class TooLong(Exception):  # noqa: N818  it concerns one prompt, and becomes a Failure
    """The server says that one prompt does not fit into the model's window."""


class _PassingError(Exception):
    """What may be gone at the next attempt; `after` seconds, if the server says when."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


class Api:
    """One server.

    Args:
        address: as `http://localhost:8000/v1`; without a path, `/v1` is meant.
        connections: requests under way at once.

    Raises:
        MissingExtraError: httpx2 or tenacity is not installed.
        UsageError: the address is none, or holds a password.
        EngineError: the key in the environment is none.
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
            trust_env=parts.hostname not in _LOCAL,  # a proxy does not know this machine's ports
        )
        weakref.finalize(self, self._client.close)

    def get(self, path: str) -> Any:
        """What stands there, asked once; None where the server has no such place.

        Raises:
            EngineError: nothing answers, or it refuses.
        """
        try:
            response = self._client.get(self.root + path)
        except self._httpx.RequestError as error:
            raise EngineError(
                f"nothing answers at {self.root}: {_reason(error)}",
                hint="start the server, or mend --base-url",
            ) from None
        if response.status_code in {404, 405, 501}:
            return None
        if not response.is_success:
            raise self._refusal(path, response)
        try:
            return response.json()
        except ValueError:  # a page for people
            return None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to `body`, asked again for a while where that may help.

        Raises:
            TooLong: the prompt does not fit.
            EngineError: the server cannot be asked, or not so.
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
                hint="see to the server; what was done is kept, and the same command goes on",
            ) from None

    def _once(self, path: str, body: Mapping[str, Any]) -> Any:
        try:
            response = self._client.post(self.root + path, json=body)
        except self._httpx.TransportError as error:
            raise _PassingError(_reason(error)) from None
        except self._httpx.RequestError as error:
            raise EngineError(
                f"{self.root}{path} cannot be read: {_reason(error)}", hint="see to the server"
            ) from None
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                raise EngineError(
                    f"{self.root}{path} answers something that is not JSON",
                    hint="mend --base-url: it is the address of the API, not of a page",
                ) from None
        said = self._said(response)
        if _TOO_LONG.search(said):
            raise TooLong(said)
        status = response.status_code
        if status in _PASSING or (status >= 500 and not _LASTING.search(said)):
            raise _PassingError(f"HTTP {status}{said and ': '}{said}", _after(response.headers))
        raise self._refusal(path, response)

    def _pause(self, state: Any) -> float:
        """Twice as long each time and never quite the same; as long as the server says."""
        waits = self._tenacity.wait_exponential_jitter(
            multiplier=_PAUSE, max=_LONGEST_PAUSE, jitter=_PAUSE
        )
        return max(float(waits(state)), state.outcome.exception().after or 0.0)

    def _refusal(self, path: str, response: Any) -> EngineError:
        status, said = response.status_code, self._said(response)
        if status in {401, 403}:  # what is said here may show the key
            return EngineError(
                f"the server at {self.root} does not let us in (HTTP {status})",
                hint=f"put its key into the environment variable {KEYS[0]}",
            )
        hint = "mend --base-url, --judge or --server" if status < 500 else "see to the server"
        return EngineError(f"{self.root}{path}: HTTP {status}{said and ': '}{said}", hint=hint)

    def _said(self, response: Any) -> str:
        """The server's own words for its refusal, in one line, without the key."""
        text = response.text
        try:
            found = response.json()
        except ValueError:
            found = None
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and name in found:
                found = found[name]
        text = " ".join((found if isinstance(found, str) else text).split())
        if self._key:
            text = text.replace(self._key, "(the key)")
        return text[:_SHOWN]


@contextmanager
def understood() -> Iterator[None]:
    """Around what takes answers apart: one that lacks what it should have is an EngineError."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(
            f"an answer of the server is not what was expected: {_reason(error)}",
            hint="say which server it is, with --server",
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
    """Seconds that Retry-After asks for, which gives them or a date (RFC 9110, 10.2.3)."""
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
