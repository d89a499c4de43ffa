"""What the agent did before is found by recall, beside what it remembers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2 as driver

import make_store_fixture
import tacit
from command_line import run_here
from tacit.errors import InvalidInput, NotFound
from tacit.experience.memory.backfill import DONE
from tacit.experience.memory.fold import MemoryRow, unindex_memory
from tacit.ids import parse_id
from tacit.journal.replay import differing_views, scratch_store
from tacit.opening import projections, view_consumers
from tacit.ops.settings import Settings
from tacit.stores import schema
from tacit.stores.migrate import migrate
from trials import open_mind

pytestmark = pytest.mark.requirement("EP-01", "RE-02")

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("store-*.sql"))
MARKER = "zanzibarquokka"
REFLECTION: dict[str, Any] = {
    "reflection": {"insights": [{"text": f"Ask for the {MARKER} first", "steps": [1]}]}, "model": "m", "sources": [],
}  # fmt: skip


@pytest.fixture(params=["file", "memory", "postgres"])
def mind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    """A mind in each kind of store."""
    location = {"file": str(tmp_path / "mind.db"), "memory": ":memory:"}.get(request.param)
    with open_mind(location or request.getfixturevalue("postgres_url")) as mind:
        yield mind


def attempt(mind: tacit.Mind, description: str, outcome: Any = "success", **fields: Any) -> str:
    """A live episode of one step; its id."""
    with mind.episode(description, **fields) as episode:
        episode.step(tool="search", observation="found")
        episode.complete(outcome)
    return episode.id


def found(mind: Any, query: str, **fields: Any) -> list[tuple[str, str]]:
    return [(hit.kind, hit.id) for hit in mind.recall(query, **fields)]


def wordings(mind: tacit.Mind) -> int:
    with mind.recorder.journal.store.snapshot() as snapshot:
        return len(snapshot.rows(schema.memory.select().where(schema.memory.c.kind == "episode")))


def assert_views_are_what_the_journal_says(mind: tacit.Mind) -> None:
    with scratch_store() as empty:
        assert differing_views(mind.recorder.journal.store, empty, projections(), view_consumers()) == []


def test_a_finished_episode_is_found_beside_memories_and_is_read_by_the_id_of_its_hit(mind: tacit.Mind) -> None:
    id = attempt(mind, "Rebook the cancelled flight to Lisbon", agent="porter")
    memory = mind.remember("Alice flies to Lisbon on Monday")
    assert {("episode", id), ("fact" if memory.kind == "fact" else "note", memory.id)} == set(found(mind, "Lisbon"))
    hit = mind.recall("Lisbon", kinds=["episode"])[0]
    assert hit.text == "Rebook the cancelled flight to Lisbon\nOutcome: success"
    assert (hit.agent, hit.occurred_at_micros) == ("porter", mind.get(hit.id).started_at_micros)
    assert mind.get(hit.id).steps[0].tool == "search"
    assert found(mind, "Lisbon", kinds=["note"]) == [("note", memory.id)]
    assert found(mind, "Lisbon", agent="porter") == [("episode", id)]
    assert found(mind, "Lisbon", agent="somebody") == []
    assert_views_are_what_the_journal_says(mind)


def test_an_open_episode_is_not_found_until_it_ends_and_a_recorded_one_is_at_once(mind: tacit.Mind) -> None:
    with mind.episode("Count the penguins", agent="keeper") as episode:
        assert found(mind, "penguins") == []
        before = datetime.now(UTC)
        episode.complete("failure", reason="they moved")
    assert found(mind, "penguins") == [("episode", episode.id)]
    assert mind.recall("penguins")[0].text == "Count the penguins\nOutcome: failure; they moved"
    assert found(mind.at(before), "penguins") == []
    record = {"task": {"description": "Weigh the walrus", "agent": "keeper"}, "outcome": {"kind": "partial"}}
    id = mind.record(record)
    assert found(mind, "walrus", agent="keeper") == [("episode", id)]
    mind.record({"task": {"description": "Feed the otter"}})
    assert found(mind, "otter") == []
    assert_views_are_what_the_journal_says(mind)


def test_updates_and_reflections_change_what_is_found_and_the_past_keeps_what_was_said(mind: tacit.Mind) -> None:
    id = attempt(mind, "Paint the fence green", agent="painter")
    before = datetime.now(UTC)
    mind.update(id, description="Paint the gate blue")
    assert found(mind, "fence") == []
    assert found(mind, "gate", agent="painter") == [("episode", id)]
    assert found(mind.at(before), "fence") == [("episode", id)]
    mind.update(id, add_tags=["colour"])
    assert wordings(mind) == 3  # the one that keeps the agent, and two that could be found: tags are in none
    mind.recorder.reflection(parse_id(id), REFLECTION).result()
    mind.update(id, description="Paint the door red")
    told = mind.recall(MARKER)[0].text
    assert told == f"Paint the door red\nOutcome: success\nAsk for the {MARKER} first"
    assert_views_are_what_the_journal_says(mind)


def test_the_verbs_of_memories_leave_episodes_alone_and_say_what_to_use(mind: tacit.Mind, tmp_path: Path) -> None:
    id = attempt(mind, "Water the cactus")
    kept = mind.remember("The cactus is thirsty", source_id="s")
    assert [memory.id for memory in mind.memories()] == [kept.id]
    mind.export(tmp_path / "all.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert sum("memory" in line for line in lines) == 1
    for refused in (
        lambda: mind.memory(id),
        lambda: mind.memory_history(id),
        lambda: mind.correct(id, "another text"),
        lambda: mind.forget(kept.id, id),
    ):
        with pytest.raises(InvalidInput, match="is an episode, no memory"):
            refused()
    assert mind.memory(kept.id).ending == ""
    with pytest.raises(InvalidInput, match="no kind of memory"):
        mind.memories(kinds=["episode"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="kind"):
        mind.remember("x", kind="episode")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        mind.erase(memory=id)
    assert found(mind, "cactus", kinds=["episode"]) == [("episode", id)]


def test_a_memory_from_the_source_of_an_episode_is_a_memory_of_its_own(mind: tacit.Mind) -> None:
    id = mind.record({"task": {"description": "Ship the parcel", "source_id": "x:1"}, "outcome": {"kind": "success"}})
    memory = mind.remember("The parcel is heavy", source_id="x:1")
    assert set(found(mind, "parcel")) == {("episode", id), ("note", memory.id)}
    assert_views_are_what_the_journal_says(mind)


def test_erasing_an_episode_takes_it_out_of_recall_and_out_of_every_file(tmp_path: Path) -> None:
    with open_mind(tmp_path / "mind.db") as mind:
        id = attempt(mind, f"Find the {MARKER}")
        mind.update(id, description=f"Find the other {MARKER}")
        mind.recorder.reflection(parse_id(id), REFLECTION).result()
        mind.settle()
        preview, receipt = mind.erase(episode=id, dry_run=True), mind.erase(episode=id)
        assert receipt.counts["memory"] == preview.counts["memory"] == 3
        assert (found(mind, MARKER), wordings(mind)) == ([], 0)
        assert_views_are_what_the_journal_says(mind)
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert [name for name, body in held.items() if MARKER.encode() in body or MARKER[:12].encode() in body] == []


def test_a_reflection_that_goes_with_another_episode_is_told_no_more(mind: tacit.Mind) -> None:
    kept, gone = attempt(mind, "Keep the lamp lit"), attempt(mind, "Carry the lamp")
    cited = mind.get(gone).step_events[0]
    other = REFLECTION | {"reflection": {"insights": [{"text": "Oil helps"}]}}
    mind.recorder.reflection(parse_id(kept), other).result()
    mind.recorder.reflection(parse_id(kept), REFLECTION | {"sources": [cited]}).result()
    mind.update(kept, description="Keep the lantern lit")
    mind.settle()
    preview, receipt = mind.erase(episode=gone, dry_run=True), mind.erase(episode=gone)
    assert receipt.counts == preview.counts
    assert found(mind, MARKER) == []
    assert mind.recall("lantern")[0].text == "Keep the lantern lit\nOutcome: success\nOil helps"
    assert_views_are_what_the_journal_says(mind)


def test_keeping_a_mind_small_forgets_memories_and_never_counts_episodes(tmp_path: Path) -> None:
    with open_mind(tmp_path / "mind.db", retention__memories=1) as mind:
        ids = [attempt(mind, f"Sweep the hall {number}") for number in range(3)]
        for number in range(2):
            mind.remember(f"Hall {number} is dusty")
        mind.recall("hall")
        assert len(mind.maintain().forgotten) == 1
        assert len(mind.memories()) == 1
        assert {id for _, id in found(mind, "sweep", kinds=["episode"])} == set(ids)


def test_an_agent_of_async_code_and_the_command_line_find_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mind.db"
    with open_mind(path) as mind:
        id = attempt(mind, "Translate the menu into Basque")
        mind.remember("The menu is long")
        blocking = found(mind, "menu", kinds=["episode"])

    async def ask() -> list[tuple[str, str]]:
        async with tacit.aio.open(path) as other:
            return [(hit.kind, hit.id) for hit in await other.recall("menu", kinds=["episode"])]

    assert blocking == asyncio.run(ask()) == [("episode", id)]
    told = run_here("--store", str(path), "recall", "menu", "--kind", "episode", "--json").json
    assert [(hit["kind"], hit["id"]) for hit in told["hits"]] == blocking


@pytest.mark.requirement("JR-08")
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_episodes_of_older_stores_are_found_after_the_first_opening(fixture: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(driver.connect(path)) as connection:
        connection.executescript(fixture.read_text(encoding="utf-8"))
    migrate(str(path))
    for _ in range(2):
        with tacit.open_store(path, settings=Settings()) as store:
            mind = store.mind("support", tenant="acme")
            hits = mind.recall("change seat", kinds=["episode"], recipe="lexical")
            assert len(hits) == make_store_fixture.EPISODES
            assert {hit.id for hit in hits} == {episode.id for episode in mind.episodes()}
            assert_views_are_what_the_journal_says(mind)
            mind.settle()
            assert len(mind.recall("another place to sit", kinds=["episode"])) == make_store_fixture.EPISODES


def test_what_is_brought_in_later_gets_its_vectors_too(tmp_path: Path) -> None:
    with open_mind(tmp_path / "mind.db") as mind:
        ids = {attempt(mind, f"Repair the bicycle {number}") for number in range(3)}
        mind.remember("A bicycle has two wheels")
        mind.settle()
        with mind.recorder.journal.store.transaction() as transaction:  # as a store looks in which recall had none
            for row in transaction.rows(schema.memory.select().where(schema.memory.c.kind == "episode")):
                unindex_memory(transaction, MemoryRow(*row))
            transaction.execute(schema.counter.delete().where(schema.counter.c.name == DONE))
            transaction.execute(schema.memory.delete().where(schema.memory.c.kind == "episode"))
            transaction.execute(schema.memory_vector.delete())
    with open_mind(tmp_path / "mind.db") as mind:
        mind.settle()
        assert_views_are_what_the_journal_says(mind)
        with mind.recorder.journal.store.snapshot() as snapshot:
            vectors = len(snapshot.rows(schema.memory_vector.select()))
        assert vectors == (4 if any(name == "memory-vectors" for name in mind.lag()) else 0)
        assert {id for _, id in found(mind, "bicycle", kinds=["episode"])} == ids


@pytest.mark.requirement("JR-09")
@pytest.mark.parametrize("store", ["file", "memory", "postgres"])
def test_of_what_has_expired_the_summary_is_found(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    location = {"file": str(tmp_path / "mind.db"), "memory": ":memory:"}.get(store)
    with open_mind(location or request.getfixturevalue("postgres_url"), retention__episodes=2) as mind:
        known = []
        for number in range(4):
            with mind.episode(f"Rebook the lost luggage of passenger {number}") as episode:
                episode.step(tool="search", observation=MARKER)
                episode.complete("success", verdict=MARKER)
            known.append(episode.id)
        mind.settle(60)
        assert len(found(mind, MARKER, recipe="lexical")) == 4
        gone = {each.id for each in mind.maintain().expired}
        assert gone == {*known[:2]}
        mind.settle(60)
        hits = mind.recall("lost luggage", kinds=["episode"]).hits
        assert {hit.id for hit in hits} == {*known}
        assert not [hit for hit in hits if hit.id in gone and MARKER in hit.text]
        assert {id for _, id in found(mind, MARKER, recipe="lexical")} == {*known} - gone
        assert_views_are_what_the_journal_says(mind)
        mind.erase(episode=known[0])
        assert {id for _, id in found(mind, "lost luggage")} == {*known[1:]}
        assert_views_are_what_the_journal_says(mind)
