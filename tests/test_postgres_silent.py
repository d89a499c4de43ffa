"""A PostgreSQL server that takes connections and says nothing is an error in bounded time; a slow one is waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Float, cast, func, select

import tacit
from postgres_fixture import Server
from tacit.errors import StoreUnavailable
from tacit.stores import postgres_errors, schema
from tacit.stores.postgres import PostgresStore

pytestmark = pytest.mark.requirement("JR-14")
PATIENCE = 1.0
BOUND = PATIENCE + 6.0
"""The wait, a look at whether the server answers (2 s), and a slow machine."""


class Relay:
    """Between TCP on loopback and the server's socket; while it is mute it takes everything and passes nothing on."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._speaks = threading.Event()
        self._speaks.set()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @contextlib.contextmanager
    def mute(self) -> Iterator[None]:
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()

    def close(self) -> None:
        self._speaks.set()
        self._listener.close()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                here, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._target)
                self._ends += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end was closed
            while data := source.recv(65_536):
                self._speaks.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(postgres_server: Server) -> Iterator[Relay]:
    with contextlib.closing(Relay(str(postgres_server.folder / "data" / ".s.PGSQL.5432"))) as relay:
        yield relay


@pytest.fixture
def store(relay: Relay, postgres_url: str) -> Iterator[PostgresStore]:
    name = postgres_errors.parse(postgres_url)["dbname"]
    url = f"postgresql://postgres@127.0.0.1:{relay.port}/{name}"
    with contextlib.closing(PostgresStore(url, pool_min=2, pool_max=5, pool_timeout=PATIENCE)) as opened:
        yield opened


def count(store: PostgresStore) -> int:
    with store.snapshot() as snapshot:
        return len(snapshot.rows(select(schema.mind.c.id)))


def test_opening_a_store_on_a_server_that_says_nothing_fails_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://user@127.0.0.1:{server.getsockname()[1]}/agents?connect_timeout=2"
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="cannot be reached: connection timeout expired"):
            tacit.open(url)
        assert time.monotonic() - started < BOUND


def test_a_server_that_falls_silent_is_an_error_for_whoever_waits_and_at_once_for_others(
    store: PostgresStore, relay: Relay
) -> None:
    assert count(store) == 0
    with relay.mute():
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                count(store)
            assert time.monotonic() - started < BOUND
    for _ in range(50):
        with contextlib.suppress(StoreUnavailable):  # a connection that was cut off is found out by its first use
            assert count(store) == 0
            break
        time.sleep(0.1)
    assert count(store) == 0


def test_a_write_to_a_server_that_falls_silent_is_an_error_too(store: PostgresStore, relay: Relay) -> None:
    assert count(store) == 0  # now there is a connection
    started = time.monotonic()
    with relay.mute(), pytest.raises(StoreUnavailable), store.transaction() as transaction:
        transaction.rows(select(schema.mind.c.id))
    assert time.monotonic() - started < BOUND


def test_a_statement_that_takes_long_on_a_server_that_is_alive_is_waited_for(store: PostgresStore) -> None:
    started = time.monotonic()
    with store.snapshot() as snapshot:
        snapshot.rows(select(func.pg_sleep(cast(3 * PATIENCE, Float))))
    assert time.monotonic() - started >= 3 * PATIENCE
