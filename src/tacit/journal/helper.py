"""A process that works for this one: it reads the same database, answers questions through pipes, and ends with it.

What reads and thinks in Python for long stands in the way of every other thread of the agent's process. So it is asked
of a helper. Whatever is written stays with the process that asks; the helper opens the database for reading only, and
nothing goes to a disk.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from tacit.stores.forking import GATE
from tacit.stores.port import Store

IDLE_SECONDS = 300.0
"""A helper ends when it was asked nothing for so long."""
_GLANCE_SECONDS = 0.1
"""So often it is looked whether an answer is still wanted."""
_NICE = 5
"""Whoever is at work comes before whoever learns from it."""
_PARENT_SECONDS = 1.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Answering: TypeAlias = Callable[[Any], Any]
"""The answer to a question."""
Maker: TypeAlias = Callable[[Store], Answering]
"""Makes what answers in the helper, out of the database. It, questions and answers can be pickled."""


class NoHelper(Exception):  # noqa: N818 - says what happened, and is no fault
    """No process can be started."""


class HelperFailed(Exception):  # noqa: N818 - says what happened
    """The process ended without an answer, or answered with an error."""


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
        self._answers: Connection | None = None

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
        if not self.running:
            self.end()
            self._start()
        assert self._process is not None
        assert self._questions is not None
        assert self._answers is not None
        try:
            self._questions.send(question)
            while not self._answers.poll(_GLANCE_SECONDS):
                check()
            answer = self._answers.recv()
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            process = self._process
            self.end()
            raise HelperFailed(f"the process that helps ended with {process.returncode}") from error
        except BaseException:
            self.end()
            raise
        if isinstance(answer, _Failure):
            raise HelperFailed(answer.text)
        return answer

    def end(self) -> None:
        """End the process, whatever it is doing; the next question starts another one."""
        process, self._process = self._process, None
        for pipe in (self._questions, self._answers):
            if pipe is not None:
                pipe.close()
        self._questions = self._answers = None
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        path = os.pathsep.join(part for part in sys.path if part and isinstance(part, str))
        secretless = {name: value for name, value in os.environ.items() if not name.startswith("TACIT_")}
        try:
            with GATE.entered():  # who forks meanwhile would inherit the pipes, and keep them open
                process = self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(IDLE_SECONDS)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**secretless, **_ONE_THREAD, "PYTHONPATH": path},
                    start_new_session=True,  # a Ctrl-C is for the agent, which ends this process itself
                )
        except (OSError, ValueError) as error:  # no room for another process, or a path with a NUL
            raise NoHelper(str(error)) from error
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            self._questions = Connection(os.dup(process.stdin.fileno()), readable=False)
            self._answers = Connection(os.dup(process.stdout.fileno()), writable=False)
        with contextlib.suppress(OSError):  # it has ended already, which is found out by whoever asks
            self._questions.send((self._opener, self._maker))


class _Failure:
    """Says why a question has no answer."""

    def __init__(self, text: str) -> None:
        self.text = text


def _is_python(executable: str | None) -> bool:
    """Whether that is an interpreter, and not a program that has one inside, such as a web server."""
    name = Path(executable or "").name.lower()
    return not getattr(sys, "frozen", False) and ("python" in name or "pypy" in name)


def main(parent: int, idle: float) -> None:
    """Answer questions from the standard input until there are no more."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    questions = Connection(os.dup(sys.stdin.fileno()), writable=False)
    answers = Connection(os.dup(sys.stdout.fileno()), readable=False)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get into an answer
    with contextlib.suppress(EOFError, OSError):
        opener, maker = questions.recv()
        answering = None
        while questions.poll(idle):
            question = questions.recv()
            try:
                answering = answering or maker(opener())
                answer = answering(question)
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                answer = _failure(error)
            answers.send(answer)


def _failure(error: Exception) -> object:
    """An answer that says what went wrong."""
    from tacit.journal import helper  # whose class the other process knows; here it is that of __main__

    return helper._Failure(f"{type(error).__name__}: {error}")


def _end_with(parent: int) -> None:
    """End when the parent ends, whatever this process is doing."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
