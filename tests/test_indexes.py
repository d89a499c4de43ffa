"""The queries on the hot path find their rows by index, on both databases, in tables large enough to matter."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tacit.experience import fold, views
from tacit.journal import append, consumers, minds, notary, read
from tacit.stores import schema
from tacit.stores.opening import open_store
from tacit.stores.port import Row, Store

pytestmark = pytest.mark.requirement("JR-17")

LARGE = ("event", "payload", "episode", "step")
MINDS = 20
EPISODES = 250
STEPS = 4
ORIGIN = b"o" * 32
DIGEST = b"d" * 32


def id_of(mind: int, number: int) -> bytes:
    return mind.to_bytes(8, "big") + number.to_bytes(8, "big")


MIND = id_of(7, 0)
EPISODE = id_of(7, 1 + 100 * (STEPS + 1))
AS_OF = {"mind": MIND, "position": 600}

HOT = {
    "event by id": (read._by_id, {"mind": MIND, "id": EPISODE}),
    "event by key, in a retry": (append._event_by_id, {"mind": MIND, "id": EPISODE}),
    "event at a position": (read._at, {"mind": MIND, "position": 600}),
    "time of a position": (read._recorded_at, {"mind": MIND, "position": 600}),
    "events after a position": (read._after, {"mind": MIND, "after": 900, "most": 100}),
    "events with payloads after a position": (read._after_with_payload, {"mind": MIND, "after": 900, "most": 100}),
    "payload at a position": (append._body_at, {"mind": MIND, "position": 600}),
    "end of a chain": (append._last_of_origin, {"mind": MIND, "origin": ORIGIN}),
    "hash in a chain": (append._hash_of, {"mind": MIND, "origin": ORIGIN, "sequence": 600}),
    "events to sign": (notary._chain, {"mind": MIND, "origin": ORIGIN, "after": 1_200, "most": 100}),
    "head": (append._head, {"mind": MIND}),
    "head's position": (read._head_position, {"mind": MIND}),
    "mind by name": (minds._by_name, {"tenant": "t", "name": "mind 7"}),
    "current episode": (fold._current, {"mind": MIND, "id": EPISODE}),
    "episode as of a position": (views._versions, {**AS_OF, "id": EPISODE}),
    "steps of an episode": (views._live_steps, {**AS_OF, "episode": EPISODE, "after": 1}),
    "last step": (fold._last_step, {"mind": MIND, "episode": EPISODE}),
    "tags of an episode": (fold._current_tags, {"mind": MIND, "episode": EPISODE}),
    "relations of an episode": (views._relations, {**AS_OF, "episode": EPISODE}),
    "newest episodes": (
        views._listing(views.EpisodeFilter(), present=True).limit(20),
        {"mind": MIND, "position": views.NOW},
    ),
    "minds that a consumer has to catch up with": (consumers._behind, {"named": "tally"}),
    "lag of a consumer": (consumers._lag_of_mind, {"named": "tally", "mind": MIND}),
    "chains that are not signed": (notary._unsigned, {"origin": ORIGIN}),
}


def fill(store: Store) -> None:
    """20 minds with 250 episodes of 4 steps each: 25,000 events."""
    for mind in range(MINDS):
        with store.transaction() as transaction:
            for table, rows in rows_of(mind).items():
                transaction.insert(schema.metadata.tables[table], rows)
    with store.transaction() as transaction:
        transaction.execute(text("ANALYZE"))


def rows_of(mind: int) -> dict[str, list[Row]]:
    """The rows of one mind, by table."""
    of, found = id_of(mind, 0), defaultdict(list)
    for position in range(1, EPISODES * (STEPS + 1) + 1):
        step = (position - 1) % (STEPS + 1)
        id, episode = id_of(mind, position), id_of(mind, position - step)
        kind, cause = ("step.logged", episode) if step else ("episode.started", None)
        signs = (DIGEST, DIGEST, DIGEST)
        found["event"].append(
            (of, position, ORIGIN, position, id, position, kind, "", position, position, 1, cause, *signs)
        )
        found["payload"].append((of, position, b"salt", b"{}" * 50))
        if step:
            found["step"].append((of, episode, step, position, "tool", "", None, 100))
        else:
            times = (position, None, position, position, None)
            found["episode"].append((of, id, position, None, "open", "Change a seat", "", "", "", *times, None))
    found["head"].append((of, position, position, position, ORIGIN, position, DIGEST))
    found["mind"].append((of, "t", f"mind {mind}", b"secret", 0))
    return found


@pytest.fixture(scope="module", params=["file", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "file":
        location = str(tmp_path_factory.mktemp("indexes") / "store.db")
    else:
        server = request.getfixturevalue("postgres_server")
        location = server.url_of(server.new_database())
    with contextlib.closing(open_store(location, pool_min=0)) as store:
        fill(store)
        yield store


def scanned(plan: list[str]) -> list[str]:
    """The large tables that a plan reads from end to end."""
    found = []
    for line in plan:
        match = re.search(r"Seq Scan on (\w+)", line) or re.match(r"SCAN (\w+)", line.strip())
        if match and match[1] in LARGE:
            found.append(match[1])
    return found


@pytest.mark.parametrize("name", HOT)
def test_a_hot_query_reads_no_large_table_from_end_to_end(filled: Store, name: str) -> None:
    statement, values = HOT[name]
    with filled.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, **values)  # type: ignore[attr-defined]
    assert plan
    assert not scanned(plan), "\n".join(plan)


def test_the_same_check_finds_a_query_that_has_no_index(filled: Store) -> None:
    statement = schema.event.select().where(schema.event.c.actor == "nobody")
    with filled.snapshot() as snapshot:
        assert scanned(snapshot.query_plan(statement)) == ["event"]  # type: ignore[attr-defined]
