"""Child processes for heavy native work: decoding, converting, encoding.

A crash or a time-out there never takes the receiver down, and only a process can be timed out. Children are spawned,
not forked, because the parent has threads; they stay warm, so that a library is imported once.
"""

from __future__ import annotations

import multiprocessing
import pickle
import queue
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from bridge.errors import BridgeError, TryLater

TRIES = 5
"""A study that kills its child so often is set aside; it would do so for ever."""

P = ParamSpec("P")
T = TypeVar("T")


class Children:
    """As many children as may work at once; `run` waits for a free one."""

    def __init__(self, count: int, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(max(count, 1)):
            self._free.put(None)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a module-level function in a child and return its value or raise its error.

        Raises TryLater (CHI-001, CHI-002) when the child died or ran out of time, and whatever of our own errors the
        function raised. Any other exception arrives as `RuntimeError` with its class and place: texts stay behind.
        """
        child = self._free.get()
        try:
            if child is None or not child.alive:
                child = _Child()
            answer = child.ask((function, args, kwargs), self._timeout_s)
        except TimeoutError:  # before OSError, which it is one of
            if child:
                child.end()
            child = None
            raise TryLater(
                "CHI-002",
                f"a working process that took longer than {self._timeout_s:g} s",
                "a result within that time",
                "Raise `child_timeout_s` in [engine] if the machine is slow",
                tries=TRIES,
            ) from None
        except (EOFError, OSError):
            code = child.end() if child else None
            child = None
            raise TryLater(
                "CHI-001",
                f"a working process died (exit code {code})",
                "a result",
                "The input may be what kills it",
                tries=TRIES,
            ) from None
        finally:
            self._free.put(child)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def stop(self) -> None:
        while not self._free.empty():
            child = self._free.get_nowait()
            if child:
                child.end()


class _Child:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="bridge-child", daemon=True)
        self._process.start()
        # Ours alone from now on: when this process dies, by SIGKILL too, the child reads the end of the pipe.
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, call: tuple[Any, Any, Any], timeout_s: float) -> Any:
        self._pipe.send_bytes(pickle.dumps(call, pickle.HIGHEST_PROTOCOL))
        if not self._pipe.poll(timeout_s):
            raise TimeoutError
        return pickle.loads(self._pipe.recv_bytes())

    def end(self) -> int | None:
        self._process.kill()
        self._process.join(5)
        self._pipe.close()
        return self._process.exitcode


def _serve(pipe: Connection) -> None:
    """The life of a child: one call after another until the parent is gone."""
    import signal

    from bridge.log import silence_libraries

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    silence_libraries()
    while True:
        try:
            call = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        answer: Any
        try:
            function, args, kwargs = pickle.loads(call)
            answer = function(*args, **kwargs)
        except BridgeError as error:
            answer = error
        except OSError as error:
            # A full disk, for example: nothing is wrong with the input, so it is not counted against it.
            answer = TryLater("SYS-001", f"trouble with this machine (errno {error.errno}, {_place(error)})")
        except Exception as error:  # noqa: BLE001 - crosses a process: class and place, never a foreign text
            answer = RuntimeError(f"{type(error).__name__} at {_place(error)}")
        try:
            pipe.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
        except OSError:
            return  # the parent died while this worked


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
