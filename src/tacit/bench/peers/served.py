"""The side of a process that is measured: it is told what to do in lines of JSON, and answers in lines of JSON.

Runs in the environment of a peer, where Tacit is not installed: it needs nothing but Python. As a script it takes the
file of a peer, which has a function ``open_peer(folder, given)``::

    {"do": "open", "folder": "…", "given": "…"}   →   {"ok": {"lancedb": "…"}}
    {"do": "write", "count": 2000, "threads": 8, "seconds": 30}   →   {"ok": {"seconds": 3.1, "calls": […], …}}

A call that fails is answered with ``{"failed": "why"}``.
"""

from __future__ import annotations

import json
import mmap
import os
import runpy
import sys
import threading
import time
import traceback
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

ITEMS, QUESTIONS, FURTHER, VECTORS = "items.jsonl", "questions.jsonl", "further.jsonl", "vectors.f32"
BATCH = 1_000
"""So many are written at once where many are to be written."""
_MOST_FAILURES = 100
"""A thread whose writes fail so often gives up."""
_FEWEST = 20
"""Questions that are measured, however long they take."""


class Peer(Protocol):
    """A store of memories that is measured. Items and questions are named by their place among those given."""

    def about(self) -> dict[str, str]:
        """Versions and settings, in words."""

    def write(self, number: int) -> None:
        """Store one item; returns when that is acknowledged, and as durable as it gets. Called from many threads."""

    def write_many(self, numbers: range) -> None:
        """Store many in the fastest way that is documented."""

    def prepare(self) -> None:
        """Build what makes searches fast; returns when all that was stored can be found."""

    def ask(self, number: int, k: int) -> list[int]:
        """The best ``k`` items for a question, best first."""

    def count(self) -> int:
        """How many items are stored."""

    def close(self) -> None:
        """Close the store."""


class Given:
    """Texts and questions with their vectors, as one process wrote them for all that are measured."""

    def __init__(self, folder: Path) -> None:
        self.items = _read(folder / ITEMS)
        self.questions = _read(folder / QUESTIONS)
        further = _read(folder / FURTHER)
        rows = len(self.items) + len(self.questions) + len(further)
        with (folder / VECTORS).open("rb") as file:
            self._vectors = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._size = len(self._vectors) // rows
        self.dimension = self._size // array("f").itemsize
        self._rows: dict[str, int] = {}
        for row, text in enumerate((*self.items, *self.questions, *further)):
            self._rows.setdefault(text, row)

    def body(self, text: str) -> bytes:
        """The vector of a text: float32, of unit length, as bytes. Raises KeyError when none was given."""
        first = self._rows[text] * self._size
        return self._vectors[first : first + self._size]

    def vector(self, text: str) -> list[float]:
        """The vector of a text as numbers."""
        return array("f", self.body(text)).tolist()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """What a peer calls in place of a model."""
        return [self.vector(text) for text in texts]


def _read(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Measured:
    """What can be asked of the process: each method is a ``do``, with the other keys as its arguments."""

    def __init__(self, file: str) -> None:
        self._open = runpy.run_path(file)["open_peer"]
        self._peer: Peer

    def open(self, folder: str, given: str) -> dict[str, str]:
        self._given = Given(Path(given))
        self._peer = self._open(Path(folder), self._given)
        return self._peer.about()

    def write(self, count: int, threads: int, seconds: float) -> dict[str, Any]:
        """Single writes by several threads at once, until all are written or the time is over."""
        calls: list[list[float]] = [[] for _ in range(threads)]
        failures: list[str] = []
        gate = threading.Barrier(threads + 1)

        def work(thread: int) -> None:
            gate.wait()
            deadline = time.perf_counter() + seconds
            for number in range(thread, count, threads):
                start = time.perf_counter()
                if start > deadline or len(failures) > _MOST_FAILURES:
                    return
                try:
                    self._peer.write(number)
                except Exception as error:  # noqa: BLE001 - whatever a peer raises is what is told of it
                    failures.append(_told(error))
                else:
                    calls[thread].append(time.perf_counter() - start)

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        gate.wait()
        begun = time.perf_counter()
        for worker in workers:
            worker.join()
        return {
            "seconds": time.perf_counter() - begun,
            "calls": [one for each in calls for one in each],
            "failed": len(failures),
            "why": failures[0] if failures else "",
        }

    def fill(self, count: int, seconds: float) -> dict[str, float]:
        """Store the first ``count`` items in bulk, or as many as there is time for, and make them quick to find."""
        start, done = time.perf_counter(), 0
        while done < count and time.perf_counter() - start < seconds:
            end = min(done + BATCH, count)
            self._peer.write_many(range(done, end))
            done = end
        filled = time.perf_counter()
        self._peer.prepare()
        return {"done": done, "seconds": filled - start, "prepare": time.perf_counter() - filled}

    def ask(self, k: int, rounds: int, seconds: float) -> dict[str, Any]:
        """What is found for every question, and then, with all caches warm, how long each takes, as often as there are
        rounds and while there is time."""
        questions = range(len(self._given.questions))
        found = [self._peer.ask(number, k) for number in questions]
        spent: list[float] = []
        deadline = time.perf_counter() + seconds
        for number in (number for _ in range(rounds) for number in questions):
            start = time.perf_counter()
            if start > deadline and len(spent) >= _FEWEST:
                break
            self._peer.ask(number, k)
            spent.append(time.perf_counter() - start)
        return {"calls": spent, "found": found}

    def count(self) -> int:
        return self._peer.count()

    def close(self) -> None:
        self._peer.close()


def _told(error: Exception) -> str:
    traceback.print_exc()
    return f"{type(error).__name__}: {error}"[:500]


def serve(target: object) -> None:
    """Answer what comes in by the methods of an object, until nothing more comes.

    What a library prints goes to where errors go: the pipe that is answered on is for answers.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = {"ok": getattr(target, asked.pop("do"))(**asked)}
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                answer = {"failed": _told(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    serve(Measured(sys.argv[1]))
