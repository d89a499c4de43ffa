"""The same question is answered from memory, until anything that could change the answer has happened."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import tacit
from command_line import CommandLine
from embedding_provider import Provider
from memories import embed_some, remember
from tacit.cache import CacheUse
from tacit.models.hashing import HashingEmbedder
from tacit.stores import schema
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("JR-15")
TESTS = Path(__file__).parent
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.moment = MONDAY

    def now(self) -> int:
        return round(self.moment.timestamp() * 1e6)


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "a.db")


def use(mind: tacit.Mind) -> CacheUse:
    return mind._shared.cache.use["recall"]


def uses_of(mind: tacit.Mind) -> dict[str, int]:
    """How often each memory was found, as the store has it."""
    mind._shared.uses.write(mind.recorder.journal)
    with mind.recorder.journal.store.snapshot() as snapshot:
        return {tacit.ids.format_id(bytes(row[0])): row[1] for row in snapshot.rows(select(_used.id, _used.uses))}


_used = schema.memory_use.c


def test_the_same_question_is_answered_once_and_every_answer_counts_as_a_use(location: str) -> None:
    with open_mind(location, learning__embedder="hashing", consumers__enabled=False) as mind:
        id = mind.remember("paint the red ship", user="mia").id
        mind.settle(60)
        first = mind.recall("red ship", user="mia")
        assert mind.recall("red ship", user="mia") == first
        assert use(mind) == CacheUse(hits=1, misses=1)
        assert uses_of(mind) == {id: 2}
        mind.recall("red ship")
        mind.recall("red ship", user="mia", k=3)
        mind.recall("Red ship", user="mia")
        mind.recall("red ship", user="mia", recipe="lexical")
        assert use(mind) == CacheUse(hits=1, misses=5)


def test_a_write_a_correction_and_forgetting_are_seen_at_once(location: str) -> None:
    with open_mind(location, learning__embedder="none", consumers__enabled=False) as mind:
        ship = mind.remember("paint the red ship").id

        def texts() -> list[str]:
            once, twice = mind.recall("red ship"), mind.recall("red ship")
            assert once == twice
            return sorted(hit.text for hit in once)

        assert texts() == ["paint the red ship"]
        shed = mind.remember("paint the red shed").id
        assert texts() == ["paint the red shed", "paint the red ship"]
        mind.correct(ship, "sell the red ship")
        assert texts() == ["paint the red shed", "sell the red ship"]
        mind.forget(shed)
        assert texts() == ["sell the red ship"]
        mind.erase(memory=ship)
        assert texts() == []
        assert use(mind) == CacheUse(hits=5, misses=5)


def test_another_mind_has_its_own_answers(tmp_path: Path) -> None:
    with tacit.open_store(tmp_path / "a.db", settings=settings(learning__embedder="none")) as store:
        one, other = store.mind("one"), store.mind("other")
        remember(one, "paint the red ship")
        assert len(one.recall("red ship")) == 1
        assert len(other.recall("red ship")) == 0


@pytest.mark.requirement("RE-11")
def test_what_got_a_vector_since_is_found_by_its_meaning(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder="hashing", consumers__enabled=False) as mind:
        remember(mind, *(f"paint ship {number}" for number in range(20)))
        before = mind.recall("ship")
        assert before.lag > 0
        position = embed_some(mind, HashingEmbedder(), 0, 10)
        assert mind.recall("ship").lag == before.lag - position
        mind.settle(60)
        assert mind.recall("ship").lag == 0
        assert use(mind) == CacheUse(hits=0, misses=3)


def test_an_answer_without_the_embedder_is_not_kept(provider: Provider, tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder=provider.embedder, consumers__enabled=False) as mind:
        remember(mind, "paint the red ship")
        mind.settle(60)
        provider.refused = " "
        assert not mind.recall("a vessel").meaning
        provider.refused = ""
        mind._shared.recaller.serving.wanted._again_at = 0.0  # type: ignore[union-attr]  # the pause is over
        assert mind.recall("a vessel").meaning
        assert use(mind).hits == 0


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_time_named_by_now_is_asked_anew_when_it_means_another(tmp_path: Path) -> None:
    clock = Clock()
    with open_mind(tmp_path / "a.db", clock=clock, learning__embedder="none", consumers__enabled=False) as mind:
        for day in range(1, 15):
            remember(mind, f"sailed, day {day}", occurred_at=MONDAY - timedelta(days=day))

        def best(days: int, hours: int = 0) -> str:
            clock.moment = MONDAY + timedelta(days=days, hours=hours)
            return mind.recall("Who sailed yesterday?")[0].text

        assert best(0) == "sailed, day 1"
        clock.moment = MONDAY
        assert best(0, hours=6) == "sailed, day 1"  # the same day is meant
        assert use(mind).hits == 1
        assert best(-3) == "sailed, day 4"
        assert use(mind).hits == 1


def test_an_answer_ends_when_something_in_it_ceases_to_be_true(tmp_path: Path) -> None:
    clock = Clock()
    with open_mind(tmp_path / "a.db", clock=clock, learning__embedder="none", consumers__enabled=False) as mind:
        mind.remember("the ferry leaves at nine", valid_to=MONDAY + timedelta(hours=1))
        mind.remember("the ferry leaves at ten", valid_from=MONDAY + timedelta(hours=3))

        def expired(minutes: int) -> set[str]:
            clock.moment = MONDAY + timedelta(minutes=minutes)
            found = mind.recall("ferry leaves")
            return {hit.text for hit in found if any(share.signal == "expired" and share.value for share in hit.why)}

        assert expired(0) == expired(59) == {"the ferry leaves at ten"}
        assert use(mind).hits == 1
        assert expired(60) == expired(179) == {"the ferry leaves at nine", "the ferry leaves at ten"}
        assert use(mind).hits == 2
        assert expired(180) == {"the ferry leaves at nine"}
        assert expired(30) == {"the ferry leaves at ten"}  # also where the clock is set back
        assert use(mind).hits == 2


# ── other processes ──────────────────────────────────────────────────────────────────────────────────────────────────

OTHER = """
import sys
sys.path.insert(0, sys.argv[2])
from trials import open_mind
with open_mind(sys.argv[1], learning__embedder="none") as mind:
    for line in sys.stdin:
        what, _, rest = line.strip().partition(" ")
        mind.remember(rest) if what == "remember" else mind.erase(memory=rest)
        print("done", flush=True)
"""


def test_what_another_process_writes_or_erases_ends_every_answer(location: str) -> None:
    with open_mind(location, learning__embedder="none", consumers__enabled=False) as mind:
        ship = mind.remember("paint the red ship").id
        command = [sys.executable, "-c", OTHER, location, str(TESTS)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdin is not None
        assert other.stdout is not None

        def tell(line: str) -> None:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(f"{line}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"

        then = mind.at(datetime.now(UTC))
        for view in (mind, then, mind, then):
            assert [hit.text for hit in view.recall("red ship")] == ["paint the red ship"]
        assert use(mind) == CacheUse(hits=3, misses=1)  # the past is the present, until something is written
        tell("remember the red shed")
        assert len(mind.recall("red ship")) == 2
        assert len(then.recall("red ship")) == 1
        tell(f"erase {ship}")
        assert [hit.text for hit in mind.recall("red ship")] == ["the red shed"]
        assert len(then.recall("red ship")) == 0  # neither of the past
        kept = mind._shared.cache._entries.values()
        assert not any(b"paint" in entry.value for entry in kept)
        other.stdin.close()
        other.stdout.close()
        assert other.wait(60) == 0


# ── warming up ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_warmed_up_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path, learning__embedder="hashing") as mind:
        remember(mind, *(f"paint ship {number}" for number in range(30)))
        ids = [mind.record({"task": {"description": f"task {number}"}, "steps": []}) for number in range(5)]
        mind.settle(60)
    with open_mind(path, learning__embedder="hashing") as mind:
        assert mind._shared.recaller._index.size_bytes == 0
        found = mind.warm_up(episodes=3)
        assert (found.embedder, found.memories, found.episodes) == (True, 30, 3)
        assert found.seconds > 0
        assert mind._shared.recaller._index.size_bytes > 0
        assert mind._shared.cache.use == {"episode": CacheUse(), "recall": CacheUse()}
        for id in ids[-3:]:
            mind.get(id)
        assert mind._shared.cache.use["episode"] == CacheUse(hits=3)
        mind.get(ids[0])
        assert mind._shared.cache.use["episode"] == CacheUse(hits=3, misses=1)
        assert uses_of(mind) == {}


def test_warming_up_stops_where_the_cache_is_full(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder="none", cache__bytes=2_000) as mind:
        for number in range(20):
            mind.record({"task": {"description": f"task {number}"}, "steps": []})
        found = mind.warm_up()
        assert 0 < found.episodes < 20
        assert not found.embedder
        assert mind._shared.cache.use["episode"].evictions == 0


def test_an_empty_mind_is_warmed_up_too_and_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", learning__embedder="hashing") as mind:
        assert mind.warm_up().memories == 0
        for bad in (-1, 1_001, True, "3"):
            with pytest.raises(tacit.InvalidInput, match="episodes"):
                mind.warm_up(episodes=bad)  # type: ignore[arg-type]


def test_warming_up_can_be_awaited(tmp_path: Path) -> None:
    async def main() -> None:
        async with tacit.aio.open(tmp_path / "a.db", settings=settings(learning__embedder="hashing")) as mind:
            await mind.remember("paint the red ship")
            await mind.settle(60)
            assert (await mind.warm_up(episodes=1)).memories == 1

    asyncio.run(main())


def test_the_command_shows_both_kinds_and_warms_up(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path) as mind:
        id = mind.record({"task": {"description": "task"}, "steps": []})
        remember(mind, "paint the red ship")
        mind.settle(60)
        for _ in range(3):
            mind.recall("red ship")
            mind.get(id)
    cli = CommandLine(path)
    told = cli.json("cache")
    assert told["recall"] == told["episode"] == {"hits": 2, "misses": 1, "evictions": 0}
    assert (told["bytes"], told["ttl_seconds"]) == (20_000_000, 3_600)
    rows = [line.split() for line in cli("cache").out.splitlines()]
    assert ["recall", "2", "1", "0"] in rows
    warmed = cli.json("cache", "warm", "--episodes", "1")
    assert (warmed["embedder"], warmed["memories"], warmed["episodes"]) == (True, 1, 1)
    assert "1 in the index of vectors" in cli("cache", "warm").out
