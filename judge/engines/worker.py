"""An engine in a process of its own, which gives the memory of its model back when it ends.

vLLM does not free a GPU before its process ends, and a fault of CUDA, or the system when memory
runs out, ends the process that it happens in. So `WorkerEngine` is an `Engine` whose work is done
by another engine in a worker process. It is spawned, gets calls and sends answers over two pipes as
MessagePack, and ends with `close`; the next call starts another one. It computes the next batch
while we store the last one. If it dies, that is an
`EngineError`, and what was judged before is kept.

No worker outlives us: it ends itself when its pipe ends, and Linux ends it when we die. It has a
process group of its own and ignores SIGINT, because Ctrl-C is for us to hear.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, TypeVar, cast

import msgspec

from judge import errors
from judge.engines import JudgeSpec, make_engine
from judge.engines.interface import Batch, Engine, EngineOptions, TokenCount
from judge.errors import EngineError, JudgeError
from judge.types import Chats, LabelRead, Message, PromptTree, Rationale, Reply, Sampling, Seeds

__all__ = ["WorkerEngine", "serve"]

_START = "from judge.engines.worker import serve; serve()"
_LENGTH = struct.Struct(">Q")
_PATIENCE = 20
"""Seconds in which a worker that was told to end may end by itself."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_GOES_ON = "what was judged is kept, and the same command goes on from there"

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class _Opening(msgspec.Struct):
    """The first message to a worker.

    Attributes:
        spec, options: the engine that it runs.
        log_level: the least level of log records that we want to hear.
        bound: whether Linux shall end the worker with the thread that started it.
    """

    spec: JudgeSpec
    options: EngineOptions
    log_level: int
    bound: bool


class _Call(msgspec.Struct, omit_defaults=True):
    """A method or property of the engine, with its arguments."""

    name: str
    tree: PromptTree | None = None
    chats: list[list[Message]] | None = None
    sampling: Sampling | None = None
    seeds: list[int] | None = None


class _Facts(msgspec.Struct):
    """The attributes of an engine that do not change."""

    can_generate: bool
    batch_size: int


class _Said(msgspec.Struct, tag=True):
    """A log record; any number of them come before an answer."""

    level: int
    text: str


class _Done(msgspec.Struct, tag=True):
    """An answer; its type is that of the method that was called."""

    value: msgspec.Raw
    cached_share: float | None


class _Failed(msgspec.Struct, tag=True):
    """An error: of class `kind` of `judge.errors`, or of another one, with its traceback."""

    kind: str
    message: str
    hint: str | None = None
    path: str | None = None
    line: int | None = None
    trace: str = ""


_ANSWERS: Any = _Said | _Done | _Failed


class _Process(NamedTuple):
    """A worker, where it hears calls, and where it answers."""

    handle: subprocess.Popen[bytes]
    calls: IO[bytes]
    answers: IO[bytes]


# Our side


class WorkerEngine:
    """See the module.

    Args:
        spec: the judge, and which engine asks it.
        options: of that engine.

    Attributes:
        can_generate, batch_size: as those of the engine.
        cached_share: the share of all prompt tokens so far that a prefix cache had, if the engine
            tells.

    Raises:
        JudgeError: as the engine itself.
    """

    def __init__(self, spec: JudgeSpec, options: EngineOptions) -> None:
        self._spec, self._options = spec, options
        self._process: _Process | None = None
        self._given_up = False
        self.cached_share: float | None = None
        try:
            facts = self._start()
        except JudgeError:
            self._kill()
            raise
        self.can_generate, self.batch_size = facts.can_generate, facts.batch_size

    @cached_property
    def fingerprint(self) -> str:
        """See `Engine.fingerprint`."""
        return self._ask(_Call("fingerprint"), str)

    def describe(self) -> Mapping[str, str]:
        """See `Engine.describe`."""
        return self._description

    @cached_property
    def _description(self) -> dict[str, str]:
        return self._ask(_Call("describe"), dict[str, str])

    def count(self, tree: PromptTree) -> TokenCount | None:
        """See `Engine.count`."""
        return self._ask(_Call("count", tree), TokenCount | None)  # type: ignore[arg-type]

    def score(self, tree: PromptTree) -> Iterator[LabelRead]:
        """See `Engine.score`; all reads come at once."""
        yield from self._ask(_Call("score", tree), list[LabelRead])

    def write(self, tree: PromptTree) -> Iterator[Rationale]:
        """See `Engine.write`; all reasons come at once."""
        yield from self._ask(_Call("write", tree), list[Rationale])

    def generate(self, chats: Chats, sampling: Sampling, seeds: Seeds = None) -> Iterator[Reply]:
        """See `Engine.generate`; all replies come at once."""
        call = _Call(
            "generate",
            chats=list(map(list, chats)),
            sampling=sampling,
            seeds=None if seeds is None else list(seeds),
        )
        yield from self._ask(call, list[Reply])

    def ask_all(self, batches: Sequence[Batch[_Value]]) -> Iterator[_Value]:
        """See `Team.ask_all`; while the answers to a batch are stored, the next one is computed."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(list, batches[0].ask(self))
            try:
                for following in [*batches[1:], None]:
                    answers = ahead.result()
                    if following is not None:
                        ahead = pool.submit(list, following.ask(self))
                    yield from answers
            except BaseException:
                self._given_up = not ahead.done()  # what the thread still does, nobody wants
                if self._given_up:
                    self._kill()
                raise
            finally:
                pool.shutdown()
                self._given_up = False

    def load(self) -> None:
        """See `Engine.load`."""
        self._ask(_Call("load"), type(None))

    def close(self) -> None:
        """See `Engine.close`; when it returns, the process is gone."""
        if self._process is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _send(self._process.calls, _Call("close"))
                self._process.handle.wait(_PATIENCE)  # vLLM ends the processes of its other GPUs
        self._kill()

    def _start(self) -> _Facts:
        handle = subprocess.Popen(  # noqa: S603  this Python, this package
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
            process_group=0 if os.name == "posix" else None,
        )
        streams = cast("IO[bytes]", handle.stdin), cast("IO[bytes]", handle.stdout)
        self._process = process = _Process(handle, *streams)
        self._end = weakref.finalize(self, _end, process)
        level = _log.getEffectiveLevel()
        bound = threading.current_thread() is threading.main_thread()
        return self._answer(_Opening(self._spec, self._options, level, bound), _Facts)

    def _ask(self, call: _Call, kind: type[_Value]) -> _Value:
        if self._process is None and self._given_up:
            raise EngineError("given up", hint=_GOES_ON)
        if self._process is None:
            self._start()
        return self._answer(call, kind)

    def _answer(self, message: msgspec.Struct, kind: type[_Value]) -> _Value:
        """What the worker answers, as a value of type `kind`."""
        process = cast("_Process", self._process)
        try:
            with contextlib.suppress(BrokenPipeError):  # reading tells how it ended
                _send(process.calls, message)
            while isinstance(answer := _next(process.answers, _ANSWERS), _Said):
                _log.log(answer.level, "%s", answer.text)
        except BaseException:  # its answer would be taken for that to the next call
            self._kill()
            raise
        if isinstance(answer, _Done):
            self.cached_share = answer.cached_share
            return msgspec.msgpack.decode(answer.value, type=kind)
        if answer is None or not answer.kind:
            self._kill()
        if answer is None:
            raise _death(self._spec, process.handle.wait())
        raise _as_error(self._spec, answer)

    def _kill(self) -> None:
        if self._process is not None:
            self._process = None
            self._end()


def _end(process: _Process) -> None:
    """End a worker and what it started, if it has not ended, and wait until it is gone."""
    if process.handle.returncode is None:  # until we have heard of its end its id is its own
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(process.handle.pid, signal.SIGKILL)
            else:
                process.handle.kill()
    for stream in (process.calls, process.answers):
        with contextlib.suppress(OSError):
            stream.close()
    process.handle.wait()


def _death(spec: JudgeSpec, status: int) -> EngineError:
    """The error for a worker that ended without an answer."""
    hint = f"{_GOES_ON}; --engine {'hf' if spec.engine == 'vllm' else 'hf-naive'} may do without"
    how = f"ended with status {status}"
    if status < 0:
        name = signal.Signals(-status).name
        how = f"was ended by {name}"
        if name == "SIGKILL":
            how += ", as the system does when memory runs out"
            hint = f"{_GOES_ON}; a lower --batch-size or a smaller model takes less memory"
    return EngineError(f"the process in which {spec.engine} asked {spec.name} {how}", hint=hint)


def _as_error(spec: JudgeSpec, failed: _Failed) -> JudgeError:
    """The error that the engine raised in its process."""
    if not failed.kind:
        error: JudgeError = EngineError(
            f"the engine {spec.engine} failed on {spec.name}: {failed.message}",
            hint=f"{_GOES_ON}; if it fails again, please report it",
        )
        error.add_note(failed.trace)
        _log.debug(failed.trace)
        return error
    kind: type[JudgeError] = getattr(errors, failed.kind)
    error = kind.__new__(kind)  # the arguments of a subclass may be others
    JudgeError.__init__(error, failed.message, hint=failed.hint, path=failed.path, line=failed.line)
    return error


# The worker's side


def serve() -> NoReturn:
    """Be a worker: answer the calls that come through standard input, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get between the answers, nor a forked child keep the pipes.
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if os.name == "posix":
        pipes = calls.fileno(), answers.fileno()
        os.register_at_fork(after_in_child=lambda: list(map(os.close, pipes)))
    opening = _next(calls, _Opening) or _vanish()
    if opening.bound and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    inbox: queue.SimpleQueue[_Call] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls, inbox), daemon=True).start()
    _log_to(answers, opening.log_level)
    try:
        engine = make_engine(opening.spec, opening.options)
        facts = _Facts(engine.can_generate, engine.batch_size)
    except Exception as error:  # noqa: BLE001  all are reported
        _answer(answers, _failed(error))
        _vanish()
    _answer(answers, _done(engine, facts))
    while (call := inbox.get()).name != "close":
        _answer(answers, _outcome(engine, call))
    engine.close()
    os._exit(0)


def _listen(calls: IO[bytes], inbox: queue.SimpleQueue[_Call]) -> None:
    """Pass calls on; where they end without a `close`, nobody waits for an answer any more."""
    name = ""
    while name != "close":
        call = _next(calls, _Call) or _vanish()
        inbox.put(call)
        name = call.name


def _outcome(engine: Engine, call: _Call) -> _Done | _Failed:
    try:
        match call:
            case _Call("fingerprint"):
                return _done(engine, engine.fingerprint)
            case _Call("describe"):
                return _done(engine, dict(engine.describe()))
            case _Call("load"):
                engine.load()
                return _done(engine, None)
            case _Call("count", PromptTree() as tree):
                return _done(engine, engine.count(tree))
            case _Call("score", PromptTree() as tree):
                return _done(engine, list(engine.score(tree)))
            case _Call("write", PromptTree() as tree):
                return _done(engine, list(engine.write(tree)))
            case _Call("generate", None, list() as chats, Sampling() as sampling, seeds):
                return _done(engine, list(engine.generate(chats, sampling, seeds)))
        raise ValueError(call.name)
    except Exception as error:  # noqa: BLE001  all are reported
        return _failed(error)


def _done(engine: Engine, value: object) -> _Done:
    return _Done(msgspec.Raw(msgspec.msgpack.encode(value)), getattr(engine, "cached_share", None))


def _failed(error: Exception) -> _Failed:
    if isinstance(error, JudgeError):
        path = None if error.path is None else str(error.path)
        return _Failed(type(error).__name__, error.message, error.hint, path, error.line)
    lines = str(error).strip().splitlines()
    message = ": ".join([type(error).__name__, *lines[:1]])
    return _Failed("", message, trace="".join(traceback.format_exception(error)))


def _log_to(answers: IO[bytes], level: int) -> None:
    """Send log records of ours, from `level` on, in place of writing them."""
    log = logging.getLogger("judge")
    log.setLevel(level)
    log.propagate = False
    handler = logging.Handler()
    handler.emit = lambda record: _answer(  # type: ignore[method-assign]
        answers, _Said(record.levelno, record.getMessage())
    )
    log.addHandler(handler)


def _answer(answers: IO[bytes], message: msgspec.Struct) -> None:
    """Send to the program; where it is gone, end without a word."""
    try:
        _send(answers, message)
    except BrokenPipeError:
        _vanish()


def _vanish() -> NoReturn:
    """End at once, and with it what this worker started."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


# Both


def _send(stream: IO[bytes], message: msgspec.Struct) -> None:
    encoded = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(encoded)) + encoded)
    stream.flush()


def _next(stream: IO[bytes], kind: type[_Value]) -> _Value | None:
    """The next message, of type `kind`; None where the stream ends."""
    start = stream.read(_LENGTH.size)
    length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
    message = stream.read(length)
    return msgspec.msgpack.decode(message, type=kind) if 0 < length == len(message) else None
