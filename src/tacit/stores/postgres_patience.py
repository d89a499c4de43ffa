"""Connections to PostgreSQL that do not wait for ever for a server that has stopped answering.

The driver waits for an answer without end. A limit on the time of a statement would forbid those that take long. So
whoever has waited for some time asks whether the server answers on another connection, and goes on waiting if it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from tacit.stores.postgres_errors import psycopg


def patient_connection(seconds: float, is_alive: Callable[[], bool]) -> Any:
    """The class of connections that ask ``is_alive`` after each so many seconds without an answer.

    When it says no, the connection is closed and ``OperationalError`` raised.
    """

    class PatientConnection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            return super().wait(_watched(gen, self, seconds, is_alive), *args, **options)

    return PatientConnection


def _watched(
    work: Generator[Any, Any, Any], connection: Any, seconds: float, is_alive: Callable[[], bool]
) -> Generator[Any, Any, Any]:
    """The same work, with a look at the clock whenever nothing came."""
    ready: Any = None
    ask_at = time.monotonic() + seconds
    while True:
        try:
            wanted = work.send(ready)
        except StopIteration as done:
            return done.value
        ready = yield wanted
        if ready:
            ask_at = time.monotonic() + seconds
        elif time.monotonic() >= ask_at:
            if not is_alive():
                connection.close()
                raise psycopg.OperationalError(f"the server has given no answer for {seconds:g} s")
            ask_at = time.monotonic() + seconds
