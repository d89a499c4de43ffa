"""The side of the bench: a process that is measured, started, told what to do, and ended."""

from __future__ import annotations

import json
import re
import selectors
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tacit.bench.peers.failure import PeerFailed

_SERVED = Path(__file__).resolve().parent / "served.py"
_MEGABYTE = 1_000_000
_END_SECONDS = 20.0
_TRACED = "fsync,fdatasync,sync_file_range,msync"
_FEW, _MORE = 10, 60
"""Single writes of the two traced runs, whose difference leaves out what opening costs."""


def served(python: Path, file: Path) -> list[str]:
    """The command of a process that drives a peer by a file. Its folder is not where that process imports from."""
    return [str(python), "-P", str(_SERVED), str(file)]


class Child:
    """A process that is measured. A context manager; at the end of the block it is gone.

    Args:
        command: what starts it; see ``served`` for one that drives a peer.
        errors: where goes what it says besides.
        environment: its environment variables; None: those of this process.
    """

    def __init__(self, command: Sequence[str], errors: Path, environment: Mapping[str, str] | None = None) -> None:
        self._errors = errors
        self._said = b""
        with errors.open("ab") as stream:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=None if environment is None else dict(environment),
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def call(self, do: str, *, within: float, **arguments: Any) -> Any:
        """Ask for something; the answer. ``within`` seconds, after which the process is killed.

        Raises:
            PeerFailed: it failed, ended, or did not answer in time.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(f"{do}: the process has ended: {self._last_words()}") from None
        answer = json.loads(self._line(do, within))
        if "failed" in answer:
            raise PeerFailed(f"{do}: {answer['failed']}")
        return answer["ok"]

    def _line(self, do: str, within: float) -> bytes:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._said:
                if not selector.select(within):
                    self.kill()
                    raise PeerFailed(f"{do}: no answer within {within:.0f} s")
                more = self._process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not more:
                    raise PeerFailed(f"{do}: the process ended: {self._last_words()}")
                self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _last_words(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def memory(self) -> float:
        """What the process and those that work for it have in memory now, in MB."""
        process = psutil.Process(self._process.pid)
        total = process.memory_info().rss
        for worker in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                total += worker.memory_info().rss
        return total / _MEGABYTE

    def kill(self) -> None:
        """End it at once, as a crash would, with the processes that work for it."""
        with suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self._process.pid).children(recursive=True):
                worker.kill()
        self._process.kill()
        self._process.wait()


def fsyncs_per_write(
    command: Sequence[str], folder: Path, given: Path, environment: Mapping[str, str] | None, within: float
) -> float:
    """How often a peer asks the system to make something durable, for each single write of one thread.

    Counted by ``strace`` over two runs of different length.

    Raises:
        PeerFailed: there is no tracer here, or the peer fails under it.
    """
    tracer = shutil.which("strace")
    if tracer is None or sys.platform != "linux":
        raise PeerFailed("fsyncs were not counted: strace is not installed")
    counted = []
    for writes in (_FEW, _MORE):
        place, log = folder / f"traced-{writes}", folder / f"trace-{writes}"
        place.mkdir()
        traced = [tracer, "-f", "-qq", "-c", "-o", str(log), "-e", f"trace={_TRACED}", *command]
        with Child(traced, folder / "errors", environment) as child:
            child.call("open", folder=str(place), given=str(given), within=within)
            child.call("write", count=writes, threads=1, seconds=within, within=2 * within)
        counted.append(_calls(log.read_text(encoding="utf-8")))
    return (counted[1] - counted[0]) / (_MORE - _FEW)


def _calls(table: str) -> int:
    """The calls that a summary of the tracer tells, of which each line ends with a name."""
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", table, re.MULTILINE)
    return sum(int(calls) for calls, name in rows if name in _TRACED.split(","))


def disk_size(folder: Path) -> float:
    """What the files under a folder take, in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / _MEGABYTE
