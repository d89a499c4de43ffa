"""A process that works for this one: it reads the same database, answers questions through pipes, and ends with it.

What reads and thinks in Python for long stands in the way of every other thread of the agent's process. So it is asked
of a helper. Whatever is written stays with the process that asks; the helper opens the database for reading only, and
nothing goes to a disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import msgspec

from tacit import heap
from tacit.errors import StoreError
from tacit.stores.forking import GATE
from tacit.stores.port import Store

IDLE_SECONDS, _ENDING_SECONDS = 300.0, 5.0
"""A helper ends when it was asked nothing for so long; and so long before, it is asked nothing any more."""
_GLANCE_SECONDS = 0.1
"""So often it is looked whether an answer is still wanted."""
_NICE = 5
"""Whoever is at work comes before whoever learns from it."""
SILENCE_SECONDS = 60.0
"""A helper that gives no sign of life for so long has been stopped, or hangs. Only time in which this process runs is
counted: it may have been stopped itself."""
HELPLESS_SECONDS = 60.0
"""Who was not helped does without for so long."""
SIGN_SECONDS = 5.0
"""So often one that is at work gives a sign of life."""
_PARENT_SECONDS = 1.0
_BEGIN = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import tacit.journal.helper as it; it.main()"
"""The search path comes after Python's own start, which would import a sitecustomize.py from the agent's folder."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_T = TypeVar("_T")
Answering: TypeAlias = Callable[[Any], Any]
"""The answer to a question."""
Maker: TypeAlias = Callable[[Store], Answering]
"""Makes what answers in the helper, out of the database. It, questions and answers can be pickled."""


class NoHelper(Exception):  # noqa: N818 - says what happened, and is no fault
    """No process can be started."""


class HelperFailed(Exception):  # noqa: N818 - says what happened
    """The process ended without an answer, or answered with an error."""


class HelperCannotRead(HelperFailed):
    """It answered that the database cannot be read, which may be so for a while only."""


class Helper:
    """One process at most, started when it is first asked. For one thread at a time.

    Args:
        opener: opens the database once more; see ``Store.opener``.
        maker: makes what answers.
    """

    def __init__(self, opener: Callable[[], Store], maker: Maker) -> None:
        self._opener = opener
        self._maker = maker
        self._process: subprocess.Popen[bytes] | None = None
        self._questions: Connection | None = None
        self._listener: threading.Thread | None = None
        self._heard: SimpleQueue[Any] = SimpleQueue()
        self._heard_at = 0.0

    @staticmethod
    def of(store: Store, maker: Maker) -> Helper | None:
        """A helper for a store; None when no other process can open it, or none can be started."""
        opener = store.opener()
        return Helper(opener, maker) if opener is not None and _is_python(sys.executable) else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def ask(self, question: object, check: Callable[[], None] = lambda: None) -> Any:
        """The answer to a question.

        Args:
            check: is called again and again, and raises when no answer is wanted any more; that ends the process.

        Raises:
            NoHelper: the process cannot be started.
            HelperFailed: it ended without an answer, or answered with an error.
        """
        if not self.running or time.monotonic() > self._heard_at + IDLE_SECONDS - _ENDING_SECONDS:
            self.end()
            self._start()
            self._hear(check, _Ready, NoHelper)
        assert self._questions is not None
        try:
            self._questions.send(question)
        except OSError as error:
            raise self._failed(HelperFailed) from error
        answer = self._hear(check, _Answer, HelperFailed)
        if answer.failure:
            raise (HelperCannotRead if answer.cannot_read else HelperFailed)(answer.failure)
        return answer.found

    def _hear(self, check: Callable[[], None], wanted: type[_T], failed: type[Exception]) -> _T:
        """The next message of that sort."""
        silent = 0.0
        try:
            while silent < SILENCE_SECONDS:
                try:
                    message = self._heard.get(timeout=_GLANCE_SECONDS)
                except Empty:
                    silent += _GLANCE_SECONDS
                    check()
                    continue
                if message is None:
                    raise self._failed(failed)
                self._heard_at, silent = time.monotonic(), 0.0
                if isinstance(message, wanted):
                    return message
        except BaseException:
            self.end()
            raise
        self.end()
        raise failed(f"the process that helps gave no sign of life for {SILENCE_SECONDS:g} s")

    def _failed(self, failed: type[Exception]) -> Exception:
        process = self._process
        self.end()
        assert process is not None
        return failed(f"the process that helps ended with {process.returncode}")

    def end(self) -> None:
        """End the process, whatever it is doing; the next question starts another one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._questions is not None:
            self._questions.close()
        if self._listener is not None:
            self._listener.join(_PARENT_SECONDS)  # it hears that the process has ended
        self._questions = self._listener = None

    def _start(self) -> None:
        path = json.dumps([part for part in sys.path if part and isinstance(part, str)])
        secretless = {name: value for name, value in os.environ.items() if not name.startswith("TACIT_")}
        try:
            with GATE.entered():  # who forks meanwhile would inherit the pipes, and keep them open
                process = self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _BEGIN, path, str(IDLE_SECONDS), str(SIGN_SECONDS)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**secretless, **_ONE_THREAD},
                    # a Ctrl-C is for the agent, which ends this process itself. It stays in the agent's session: when
                    # the agent ends, the system wakes it, should it have been stopped, so that it ends too
                    process_group=0,
                )
        except (OSError, ValueError, MemoryError) as error:  # no room for another process, or a path with a NUL
            raise NoHelper(str(error)) from error
        try:
            self._questions, answers = _pipes(process)
            self._heard = SimpleQueue()
            listener = threading.Thread(target=_listen, args=(answers, self._heard), name="tacit-helper", daemon=True)
            listener.start()
        except (OSError, RuntimeError, MemoryError) as error:  # no room for another open file, or another thread
            self.end()
            raise NoHelper(str(error)) from error
        self._listener = listener
        with contextlib.suppress(OSError):  # it has ended already, which is heard
            self._questions.send((self._opener, self._maker))


def _pipes(process: subprocess.Popen[bytes]) -> tuple[Connection, Connection]:
    """Where questions go to, and where answers come from."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        questions = Connection(os.dup(process.stdin.fileno()), readable=False)
        return questions, Connection(os.dup(process.stdout.fileno()), writable=False)


class _Ready(msgspec.Struct, frozen=True):
    """The helper has started."""


class _Answer(msgspec.Struct, frozen=True):
    """What was found, or why there is no answer."""

    found: Any = None
    failure: str = ""
    cannot_read: bool = False
    """Whether that is because the database cannot be read."""


class _Sign(msgspec.Struct, frozen=True):
    """The helper is alive, and still at work."""


def _listen(answers: Connection, heard: SimpleQueue[Any]) -> None:
    """Pass on what comes through the pipe, and None at its end: an answer that stops half-way holds up nobody else."""
    with answers, contextlib.suppress(OSError, EOFError, pickle.UnpicklingError, MemoryError):
        while True:
            heard.put(answers.recv())
    heard.put(None)


def _is_python(executable: str | None) -> bool:
    """Whether that is an interpreter, and not a program that has one inside, such as a web server."""
    name = Path(executable or "").name.lower()
    return not getattr(sys, "frozen", False) and ("python" in name or "pypy" in name)


def main() -> None:
    """In the helper: answer questions from the standard input until there are no more."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    questions = Connection(os.dup(sys.stdin.fileno()), writable=False)
    try:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        answers = _Out(Connection(os.dup(sys.stdout.fileno()), readable=False), sign_seconds=float(sys.argv[3]))
    except RuntimeError:  # no room for another thread: whoever asks hears that this has ended
        sys.exit(1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get into an answer
    with contextlib.suppress(EOFError, OSError):
        opener, maker = questions.recv()
        answers.send(_Ready())
        answering = None
        while questions.poll(float(sys.argv[2])):
            question = questions.recv()
            with answers.alive():
                try:
                    answering = answering or maker(opener())
                    answer = _Answer(answering(question))
                except Exception as error:  # noqa: BLE001 - whoever asked is told
                    failure = f"{type(error).__name__}: {error}"
                    answer = _Answer(failure=failure, cannot_read=isinstance(error, StoreError))
            answers.send(answer)
            del question, answer  # until the next question, which may come in minutes, nothing is held
            heap.release()


class _Out:
    """Where answers go to, and signs of life while one is worked out."""

    def __init__(self, pipe: Connection, sign_seconds: float) -> None:
        self._pipe = pipe
        self._sign_seconds = sign_seconds
        self._busy = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._give_signs, daemon=True).start()

    def send(self, message: object) -> None:
        with self._sending:
            self._pipe.send(message)

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """While the block lasts, signs of life are given."""
        self._busy.set()
        try:
            yield
        finally:
            self._busy.clear()

    def _give_signs(self) -> None:
        with contextlib.suppress(OSError):
            while self._busy.wait():
                self.send(_Sign())
                time.sleep(self._sign_seconds)


def _end_with(parent: int) -> None:
    """End when the parent ends, whatever this process is doing."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)
