"""The process that ``tacit bench scale`` measures: it builds a store of many memories, or asks one. See ``served``."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from tacit.bench.live import Work, together
from tacit.bench.peers.served import serve
from tacit.bench.scale_texts import Made, ScaleTexts
from tacit.bench.store import count_memories, open_with_vectors
from tacit.errors import IntegrityError
from tacit.stores.opening import open_store

_K = 10
_WRITERS = 8


class Worker:
    """Each method is a ``do``, with the other keys as its arguments. Durations are in seconds."""

    def __init__(self) -> None:
        self._texts = ScaleTexts()

    def open(self, folder: str, server: str = "") -> float:
        """How long opening takes; a store is made when there is none.

        Args:
            server: the URL of a PostgreSQL database, to use that.
        """
        self._texts.embed(["warm"])  # the bench's own words and directions are no part of what is measured
        start = time.perf_counter()
        self._opening = open_with_vectors(open_store(server or str(Path(folder) / "scale.db")), self._texts)
        self._opened = self._opening.__enter__()
        self._mind = self._opened.mind()
        return time.perf_counter() - start

    def single(self, first: int, count: int) -> dict[str, Any]:
        """Single writes by eight threads at once."""
        memories = [one for chunk in self._texts.memories(first, count) for one in chunk]

        def writer(thread: int) -> Work:
            return memories[thread::_WRITERS], self._remember

        seconds, calls = together([lambda thread=thread: writer(thread) for thread in range(_WRITERS)])  # type: ignore[misc]
        return {"seconds": seconds, "calls": calls}

    def _remember(self, made: Made) -> None:
        self._mind.remember(made.text, user=made.user)

    def bulk(self, first: int, count: int) -> float:
        """How long writing takes in batches; making the texts is not counted."""
        spent = 0.0
        for chunk in self._texts.memories(first, count):
            given = [{"text": made.text, "user": made.user} for made in chunk]
            start = time.perf_counter()
            self._mind.remember_many(given)
            spent += time.perf_counter() - start
        return spent

    def settle(self, seconds: float) -> float:
        """How long it takes until vectors are of everything."""
        start = time.perf_counter()
        self._mind.settle(seconds)
        return time.perf_counter() - start

    def count(self) -> int:
        return count_memories(self._opened.store)

    def ask(self, first: int, count: int, user: str = "") -> list[float]:
        """How long each question takes; each is asked once."""
        return [self._ask(question, user) for question in self._texts.questions(first, count)]

    def _ask(self, question: str, user: str = "") -> float:
        start = time.perf_counter()
        found = self._mind.recall(question, k=_K, user=user)
        spent = time.perf_counter() - start
        if not found.meaning or any(user and hit.user != user for hit in found):
            raise IntegrityError(f"an answer that is not what was asked for: {'; '.join(found.notes) or user}")
        return spent

    def ask_while_writing(self, questions: int, first: int, pace: float, seconds: float) -> dict[str, Any]:
        """How long questions take, numbered from ``questions`` on, while eight threads of this process write so many
        memories a second, numbered from ``first`` on."""
        made = [one for chunk in self._texts.memories(first, int(pace * seconds)) for one in chunk]
        asked = self._texts.questions(questions, 10_000)
        begin = time.perf_counter()
        deadline = begin + seconds
        written = [0] * _WRITERS

        def work(thread: int) -> None:
            for number, memory in enumerate(made[thread::_WRITERS]):
                ahead = begin + (number * _WRITERS + thread) / pace - time.perf_counter()
                if ahead > 0:
                    time.sleep(ahead)
                if time.perf_counter() > deadline:
                    return
                self._remember(memory)
                written[thread] += 1

        writers = [threading.Thread(target=work, args=(thread,)) for thread in range(_WRITERS)]
        for writer in writers:
            writer.start()
        calls = []
        for question in asked:
            calls.append(self._ask(question))
            if time.perf_counter() > deadline:
                break
        for writer in writers:
            writer.join()
        return {"calls": calls, "written": sum(written), "seconds": time.perf_counter() - begin}

    def close(self) -> None:
        self._opening.__exit__(None, None, None)


if __name__ == "__main__":
    serve(Worker())
