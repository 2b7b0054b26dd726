"""Requests to one server: repeated where that may help, refused with a plain reason otherwise.

What an answer means is decided by its status first, then by its structure, and by words only within
a refusal. 408, 409, 425, 429, 5xx, a broken connection and a body that cannot be read are passing:
the request is repeated, for as long as `retry_for` allows. Any other status is a refusal.

The key is read from the environment when the engine is made and is sent in the header only: it is
cut out of whatever a server says before that is shown or kept. Redirects are not followed, so that
the key goes to the address that was given and nowhere else.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from judge.engines.checkpoint import import_extra
from judge.engines.servers.faults import (
    KEYS,
    GaveUpError,
    PassingError,
    Said,
    is_passing,
    pause_of_headers,
    reason_of,
    refuse,
    retry_after,
)
from judge.engines.servers.pace import Pace
from judge.errors import EngineError, UsageError

__all__ = ["PATIENCE", "Api"]

_log = logging.getLogger(__name__)

PATIENCE = 600.0
"""Seconds for which a failing request is repeated, where --retry-for does not say."""

_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
_CONNECT, _REPLY = 10.0, 600.0
_STUCK = 60.0
"""A reply of one token that takes so long, and 20 times as long as the slowest, is not coming."""
_MOST_BYTES = 64 * 2**20
_UNREADABLE_TIMES = 5
"""So often a body that cannot be read is asked for again: more seldom helps."""
_FAILING_TIMES = 3
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_MOST_SHOWN = 300
_SHORTEST_SECRET = 8
"""A shorter key is no secret but a word such as EMPTY, which a reply may hold."""
_REDACTED = "(the key)"
_ABOUT_TEXT = {"/tokenize", "/detokenize", "/apply-template"}
"""Answers here do not say that the model answers."""
_WORTH_SAYING = 5.0
_SAID_EVERY = 60.0

_Read = TypeVar("_Read")


class _Own(threading.local):
    lasting: Callable[[str], bool] | None = None


class Api:
    """One server.

    Args:
        address: such as `http://localhost:8000/v1`; without a path, `/v1` is meant.
        connections: how many idle connections are kept open.
        retry_for: seconds for which a failing request is repeated; None for `PATIENCE`.

    Attributes:
        pace: how many requests are under way.

    Raises:
        MissingExtraError: httpx2 is not installed.
        UsageError: it is not an address of a server, or it holds a password.
        EngineError: the environment holds a key with characters that no key has.
    """

    def __init__(self, address: str, connections: int, retry_for: float | None = None) -> None:
        self._httpx: Any = import_extra("httpx2", "http")
        try:
            parts = urlsplit(address)
            local = parts.hostname in _LOCAL
        except ValueError:
            parts, local = urlsplit(""), False
        if parts.username or parts.password:
            raise UsageError(
                "--base-url holds a user name or a password",
                hint=f"leave it out, and put the key into the environment variable {KEYS[0]}",
            )
        if parts.query:
            raise UsageError(
                f"--base-url {address.partition('?')[0]}?...: this is no address of a server, "
                "because a question mark stands in it",
                hint="leave out what follows it; a key goes into the environment variable "
                f"{KEYS[0]}",
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                f"--base-url {address}: this is no address of a server",
                hint="it looks like http://localhost:8000/v1",
            )
        path = parts.path.rstrip("/") or "/v1"
        self.v1 = "/v1" if path.endswith("/v1") else ""
        self.root = f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}"
        self.pace = Pace()
        self._retry_for = PATIENCE if retry_for is None else retry_for
        self._own = _Own()
        self._said = -_SAID_EVERY
        self._slowest = 0.0
        self._key = _key()
        self._client = self._httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            limits=self._httpx.Limits(max_connections=None, max_keepalive_connections=connections),
            trust_env=not local,  # a proxy cannot reach this machine's ports
        )
        weakref.finalize(self, self._client.close)

    @contextmanager
    def giving_up(self, when: Callable[[str], bool]) -> Iterator[None]:
        """What this thread asks inside is not repeated after a fault with words for `when`."""
        before, self._own.lasting = self._own.lasting, when
        try:
            yield
        finally:
            self._own.lasting = before

    def get(self, path: str) -> Any:
        """The JSON at `path`; None if there is none, or if the server does not show it.

        Raises:
            EngineError: nothing answers, or the server has trouble for longer than it may.
        """
        began, times = time.monotonic(), 0
        while True:
            try:
                status, headers, data = self._exchange("GET", path, None)
            except self._httpx.RequestError as error:
                raise EngineError(
                    f"nothing answers at {self.root}: {reason_of(error)}",
                    hint="start the server, or correct --base-url",
                ) from None
            if not is_passing(status):
                return self._json(data) if 200 <= status < 300 else None
            times += 1
            if times >= _FAILING_TIMES and status not in {429, 503}:
                return None  # it is not needed
            pause = max(_pause(times), retry_after(headers) or 0.0)
            if time.monotonic() + pause - began > self._retry_for:
                said = self._words(data).text
                raise EngineError(
                    f"the server at {self.root} fails: HTTP {status}{said and ': '}{said}",
                    hint="check the server, or wait longer for it with --retry-for",
                )
            self.pace.rest(pause)

    def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], _Read]) -> _Read:
        """What `read` makes of the JSON answer to `body`.

        The request is repeated for a while where that may help: also where `read` raises a
        LookupError, TypeError, ValueError, ArithmeticError or AttributeError, which say that the
        answer lacks something.

        Args:
            read: takes the answer apart.

        Raises:
            RefusedError: the server refuses the request.
            GaveUpError: it has failed for as long as it may.
        """
        began, times = None, 0
        while True:
            with self.pace.slot():
                sent = time.monotonic()
                try:
                    return self._attempt(path, body, read, sent)
                except PassingError as error:
                    fault = error
            now = time.monotonic()
            began = sent if began is None else began
            times += 1
            if fault.busy:
                too_far = fault.after is not None and fault.after > self._retry_for
                self.pace.refused(sent, None if too_far else fault.after)
            # A server that is only busy is waited for as long as it answers others.
            since = max(began, self.pace.last_answer) if fault.busy else began
            pause = max(_pause(times), fault.after or 0.0)
            spent = now + pause - since > self._retry_for
            spent |= fault.code == "unreadable" and times >= _UNREADABLE_TIMES
            if spent or (self._own.lasting is not None and self._own.lasting(fault.said)):
                raise self._gave_up(fault, times, now - began, sent)
            self._tell(fault, pause, now - max(began, self.pace.last_answer))
            self.pace.rest(pause)

    def _attempt(
        self, path: str, body: Mapping[str, Any], read: Callable[[Any], _Read], sent: float
    ) -> _Read:
        try:
            status, headers, data = self._exchange("POST", path, body)
        except self._httpx.RequestError as error:
            raise PassingError(reason_of(error)) from None
        if not 200 <= status < 300:
            refuse(self.root, path, self._words(data), status, headers, sent)
        answer = self._json(data)
        if isinstance(answer, dict) and answer.get("error") and "choices" not in answer:
            said = self._words(data)
            if said.status is not None:
                refuse(self.root, path, said, said.status, headers, sent)
            raise PassingError(f"the answer is an error: {said.text}", "unreadable")
        try:
            if answer is None:
                raise ValueError("it is not JSON" if data.strip() else "it is empty")
            found = read(answer)
        except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            shown = self._shown(data[:1000].decode(errors="replace"))[:120]
            why = "it has another form than expected"
            if isinstance(error, KeyError | ValueError):
                why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise PassingError(
                f"the answer cannot be read ({why}){shown and ': '}{shown}", "unreadable"
            ) from None
        if _is_quick(body):
            self._slowest = max(self._slowest, time.monotonic() - sent)
        if path not in _ABOUT_TEXT:
            self.pace.answered(pause_of_headers(headers))
        return found

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one request; a limit on the time and size of the whole."""
        patience = _REPLY
        if self._slowest and body is not None and _is_quick(body):
            patience = min(_REPLY, max(_STUCK, 20 * self._slowest))
        until = time.monotonic() + patience
        timeout = self._httpx.Timeout(patience, connect=_CONNECT)
        data = bytearray()
        with self._client.stream(method, self.root + path, json=body, timeout=timeout) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise self._httpx.ReadError(f"the reply has more than {_MOST_BYTES} bytes")
                if time.monotonic() > until:
                    raise self._httpx.ReadTimeout(
                        f"the reply was not complete after {patience:.0f} s"
                    )
            return response.status_code, response.headers, bytes(data)

    def _json(self, data: bytes) -> Any:
        """The JSON in `data`, without secrets and lone surrogates; None if it is none."""
        key = self._secret
        if key is not None:
            data = data.replace(key.encode(), _REDACTED.encode())
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return self._plain(found) if b"\\" in data else found

    def _plain(self, value: Any) -> Any:
        """`value` with its texts made plain: JSON can spell a key or half a character out."""
        if isinstance(value, str):
            text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return text if self._secret is None else text.replace(self._secret, _REDACTED)
        if isinstance(value, list):
            return [self._plain(one) for one in value]
        if isinstance(value, dict):
            return {self._plain(name): self._plain(one) for name, one in value.items()}
        return value

    @property
    def _secret(self) -> str | None:
        return self._key if self._key and len(self._key) >= _SHORTEST_SECRET else None

    def _gave_up(self, fault: PassingError, times: int, seconds: float, sent: float) -> GaveUpError:
        asked = f"asked {times} times in {seconds:.0f} s"
        if fault.after is not None and fault.after > self._retry_for:
            asked += (
                f"; it wants to be asked again after {fault.after:.0f} s, "
                f"--retry-for is {self._retry_for:.0f} s"
            )
        hint = "check the server; what was done is kept, and the same command goes on"
        if fault.code == "unreadable":
            hint = (
                "correct --base-url: it is the address of the API, not of a web page; or say which "
                "kind of server it is, with --server"
            )
        return GaveUpError(
            f"the server at {self.root} fails: {fault.said} ({asked})",
            hint,
            code=fault.code,
            said=fault.said,
            sent=sent,
        )

    def _tell(self, fault: PassingError, pause: float, silent: float) -> None:
        """Say now and then that there is trouble, where it lasts."""
        now = time.monotonic()
        long = pause >= _WORTH_SAYING and fault.after is not None
        if (long or silent >= _WORTH_SAYING) and now - self._said >= _SAID_EVERY:
            self._said = now
            _log.info(
                "the server has trouble (%s); asked again after %.0f s, for up to %.0f s",
                *(fault.said, pause, self._retry_for),
            )

    def _words(self, data: bytes) -> Said:
        """What a server says of an error: in one line, without the key."""
        found = self._json(data[: 2**20])
        code, names, status = "", "", None
        if isinstance(found, dict):
            inner = found.get("error")
            entry = inner if isinstance(inner, dict) else found
            kinds = [entry.get("code"), entry.get("type"), entry.get("innererror")]
            codes = [one.get("code") if isinstance(one, dict) else one for one in kinds]
            code = " ".join(str(one) for one in codes if one is not None).lower()
            names = str(entry.get("param") or "")
            number = str(entry.get("code"))
            status = int(number) if number.isdecimal() and 400 <= int(number) < 600 else None
            for name in ("error", "message", "detail"):
                if isinstance(found, dict) and name in found:
                    found = found[name]
        text = found if isinstance(found, str) else data[: 2**20].decode(errors="replace")
        return Said(self._shown(text), code, names, status)

    def _shown(self, text: str) -> str:
        line = " ".join(text.split())
        return (line.replace(self._key, _REDACTED) if self._key else line)[:_MOST_SHOWN]


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


def _is_quick(body: Mapping[str, Any]) -> bool:
    """Whether this asks for probabilities, so that the answer is one token."""
    return any(body.get(name) for name in ("logprobs", "n_probs", "return_logprob"))


def _pause(times: int) -> float:
    """Seconds before the next attempt: doubled each time, with jitter that changes no number."""
    return min(_LONGEST_PAUSE, _PAUSE * 2.0 ** min(times - 1, 10)) + random.uniform(0, _PAUSE)  # noqa: S311
