"""Runs checks in several real processes at once, for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Barrier
from typing import Any

_START_SECONDS = 120.0  # a machine that is busy may take long to start an interpreter
_barrier: Barrier | None = None  # in a worker process: where all of them meet


class Processes:
    """A fixed number of fresh processes that start each job together."""

    def __init__(self, count: int) -> None:
        context = get_context("spawn")
        self._count = count
        self._pool = ProcessPoolExecutor(count, context, initializer=_remember, initargs=(context.Barrier(count),))

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a function of a module once in each process, all at once; the results in the order of the arguments.

        Raises:
            Exception: what the first call to fail has raised.
        """
        assert len(arguments) == self._count, f"give arguments for {self._count} processes"
        futures = [self._pool.submit(_together, function, given) for given in arguments]
        return [future.result() for future in futures]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def meet() -> None:
    """In a job: wait until all processes of the pool have come here."""
    assert _barrier is not None, "meet() is for jobs that Processes runs"
    _barrier.wait(_START_SECONDS)


def _remember(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _together(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    meet()
    return function(*given)
