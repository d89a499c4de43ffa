"""Groups of writes that are about the same minds in opposite orders: nobody waits for somebody who waits for them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

import psycopg
import pytest

import tacit
from tacit.journal.append import Appender
from trials import settings


@pytest.mark.requirement("JR-07")
def test_two_that_write_minds_crosswise_do_not_wait_for_each_other(postgres_url: str) -> None:
    own = settings(learning__embedder="none", consumers__enabled=False)
    both_hold_one = threading.Barrier(2)
    with tacit.open_store(postgres_url, settings=own) as one, tacit.open_store(postgres_url, settings=own) as other:
        minds = [one.mind(name).recorder.mind.id for name in ("first", "second")]
        held: list[list[bytes]] = [[], []]

        def write(store: tacit.OpenStore, turn: int, order: Sequence[bytes]) -> None:
            def job(appender: Appender) -> None:
                appender.hold(order[0])
                held[turn].append(order[0])
                if len(held[turn]) == 1:  # not when it begins anew
                    with contextlib.suppress(threading.BrokenBarrierError):
                        both_hold_one.wait(20)
                appender.hold(order[1])
                held[turn].append(order[1])

            store.journal.run(job)

        threads = [
            threading.Thread(target=write, args=(one, 0, minds)),
            threading.Thread(target=write, args=(other, 1, minds[::-1])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert [found[-1] for found in held] == [minds[1], minds[0]]
        assert sorted(map(len, held)) == [2, 3]  # one of them held its first mind twice
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row == (0,)
