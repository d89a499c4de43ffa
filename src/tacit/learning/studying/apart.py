"""Does the work of a study in a process of its own, so that it takes neither the interpreter nor the memory of the
agent's.

Fitting takes seconds of pure Python: in a thread it would stand in the way of every other thread of the process all
that time. So the work goes through a pipe to a process started for it, which answers and ends. Nothing is written to a
disk. Where no process can be started, the caller's thread does the work.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from tacit.learning.fitting.giving_up import Check, go_on
from tacit.learning.studying.work import Done, Work, do
from tacit.stores.forking import GATE

_log = logging.getLogger("tacit.learning.studying.apart")
WORTH_A_PROCESS = 1_500
"""Steps of episodes. Fewer are worked through in about the time that a process takes to start."""
_CHECK_SECONDS = 0.1
_PARENT_SECONDS = 1.0
_NICE = 10
"""Whoever is at work comes before whoever learns from it, unless somebody waits for that."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkFailed(Exception):  # noqa: N818 - says what happened
    """The process that did the work ended without an answer."""


def do_apart(work: Work, check: Check = go_on, *, hurried: bool = False) -> Done:
    """Do the work in a process of its own if there is enough of it, and if one can be started.

    Args:
        hurried: somebody waits for it, so the process takes as much of a processor as it can get.

    Raises:
        WorkFailed: the process ended without an answer; what it last said is in the message.
        Exception: whatever ``check`` raises; the process is ended.
    """
    if _size(work) < WORTH_A_PROCESS or not _is_python(sys.executable):
        return do(work, check)
    try:
        process = _start(0 if hurried else _NICE)
        with process:
            try:
                asker = _asker(process, work)
                answer, said = _converse(process, check)
            finally:
                process.kill()
        asker.join()
    except (OSError, RuntimeError, ValueError) as error:  # no more processes or threads, or a path with a NUL
        _log.warning("models are fitted in the agent's process, since no other can be started: %s", error)
        return do(work, check)
    if process.returncode or not answer:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise WorkFailed(f"the process that fits models ended with {process.returncode}: {last or 'it said nothing'}")
    try:
        done: Done = pickle.loads(answer)  # noqa: S301 - from our own pipe
    except (EOFError, pickle.UnpicklingError) as error:
        raise WorkFailed(f"the process that fits models ended within its answer: {error}") from error
    return done


def _size(work: Work) -> int:
    fitted = work.fitting.episodes if work.fitting else ()
    return sum(len(episode.steps) for episode in (*fitted, *(episode for episode, _ in work.fresh)))


def _is_python(executable: str | None) -> bool:
    """Whether that is an interpreter, and not a program that has one inside."""
    name = Path(executable or "").name.lower()
    return not getattr(sys, "frozen", False) and ("python" in name or "pypy" in name)


def _start(nice: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(part for part in sys.path if part and isinstance(part, str))
    secretless = {name: value for name, value in os.environ.items() if not name.startswith("TACIT_")}
    with GATE.entered():  # who forks meanwhile would inherit the pipes, and keep them open
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(nice)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**secretless, **_ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # a Ctrl-C is for the agent, which ends this process itself
        )


def _asker(process: subprocess.Popen[bytes], work: Work) -> threading.Thread:
    """The thread that asks: ``communicate`` would send nothing more of what it had not sent when its time was up."""
    assert process.stdin is not None
    asker = threading.Thread(target=_ask, args=(process.stdin, work), name="tacit-ask", daemon=True)
    asker.start()
    process.stdin = None
    return asker


def _converse(process: subprocess.Popen[bytes], check: Check) -> tuple[bytes, bytes]:
    """What the process writes to its output and its error output."""
    while True:
        try:
            return process.communicate(timeout=_CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            check()


def _ask(pipe: IO[bytes], work: Work) -> None:
    """Send the work a piece at a time: a pickler keeps the interpreter until it is done."""
    with contextlib.suppress(BrokenPipeError), pipe:  # the process has ended, which is seen where its answer is read
        for piece in _pieces(work):
            pickle.dump(piece, pipe)


def _pieces(work: Work) -> Iterator[Any]:
    """What :func:`_whole` puts together again: the work without its many parts, these, and None behind each sort."""
    fitting = work.fitting
    yield work._replace(fresh=(), fitting=fitting and fitting._replace(examples=(), episodes=()))
    for many in (work.fresh, *((fitting.examples, fitting.episodes) if fitting else ((), ()))):
        yield from many
        yield None


def _whole(pieces: Iterator[Any]) -> Work:
    work: Work = next(pieces)
    fresh, examples, episodes = (list(iter(partial(next, pieces), None)) for _ in range(3))
    fitting = work.fitting
    return work._replace(fresh=fresh, fitting=fitting and fitting._replace(examples=examples, episodes=episodes))


def main(parent: int, nice: int) -> None:
    """Answer one question: work from the standard input, what has come of it to the standard output."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(nice)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get into the answer
        pickle.dump(do(_whole(_unpickled(sys.stdin.buffer))), answer)


def _unpickled(pipe: IO[bytes]) -> Iterator[Any]:
    while True:
        yield pickle.load(pipe)  # noqa: S301 - from our own pipe


def _end_with(parent: int) -> None:
    """End when the parent ends, whatever this process is doing."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
