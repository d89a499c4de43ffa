"""The asyncio surface: the same methods as the blocking one, and tasks that neither block nor lose anything."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit import aio
from tacit.stores.sqlite import MEMORY
from trials import assert_sound, open_mind, settings

pytestmark = pytest.mark.requirement("AP-01")


@contextlib.asynccontextmanager
async def opened(path: Path | str = MEMORY, **changed: Any) -> AsyncIterator[aio.Mind]:
    async with aio.open(path, settings=settings(**changed)) as mind:
        yield mind


def public(kind: type) -> dict[str, Any]:
    """The public members of a class, by name."""
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


def parameters(member: Any) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in inspect.signature(member).parameters.values()]


TWINS = [(tacit.Mind, aio.Mind), (tacit.PastMind, aio.PastMind), (tacit.LiveEpisode, aio.AsyncEpisode)]


@pytest.mark.parametrize(("blocking", "asynchronous"), TWINS)
def test_every_public_method_has_an_asynchronous_twin_with_the_same_parameters(
    blocking: type, asynchronous: type
) -> None:
    twins = public(asynchronous)
    missing = [name for name in public(blocking) if name not in twins and name != "recorder"]
    assert missing == []
    for name, member in public(blocking).items():
        if callable(member):
            assert parameters(member) == parameters(twins[name]), name
        else:
            assert isinstance(twins[name], type(member)), f"{name} is a {type(member).__name__} in one only"


@pytest.mark.parametrize(("blocking", "asynchronous"), TWINS)
def test_what_waits_can_be_awaited_and_what_only_tells_cannot(blocking: type, asynchronous: type) -> None:
    for name, member in public(asynchronous).items():
        if not callable(member) or name in ("episode", "resume"):  # these two give an episode to be entered
            continue
        waits = inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
        assert waits, f"{asynchronous.__name__}.{name} would block the loop"


def test_open_takes_what_the_blocking_one_takes() -> None:
    assert parameters(aio.open) == parameters(tacit.open)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    async def main() -> None:
        async with tacit.aio.open(tmp_path / "agent.db", mind="support") as mind:
            async with mind.episode("Change the seat on HAT136", domain="airline", tags=["seat"]) as episode:
                await episode.step(tool="get_user_details", parameters={"user": "mia"}, observation="…", success=True)
                await episode.complete("success", score=1.0, verdict="seat changed")
            await mind.settle(timeout=60)
            found = await mind.get(episode.id)
            assert (found.status, found.steps[0].tool) == ("success", "get_user_details")
            assert (await mind.statistics()).totals.episodes == 1

    asyncio.run(main())
    assert_sound(tmp_path / "agent.db")


def test_a_mind_can_also_be_awaited_and_an_episode_too(tmp_path: Path) -> None:
    async def main() -> None:
        mind = await aio.open(tmp_path / "agent.db", settings=settings())
        episode = await mind.episode("by hand")
        await episode.step(tool="t")
        await episode.complete("success")
        assert (mind.name, mind.tenant, len(mind.id)) == ("default", "default", 36)
        await mind.close()
        with pytest.raises(tacit.Closed):
            await episode.step(tool="too late")

    asyncio.run(main())


@pytest.mark.requirement("JR-02", "JR-04")
def test_a_thousand_tasks_at_once_lose_nothing_and_need_no_thread_each(tmp_path: Path) -> None:
    async def main() -> tuple[set[str], int]:
        async with opened(tmp_path / "agent.db") as mind:
            async with mind.episode("a thousand steps") as episode:

                async def log(number: int) -> str:
                    event = await episode.step(tool="t", parameters={"number": number})
                    assert event is not None
                    return event

                running = [asyncio.create_task(log(number)) for number in range(1_000)]
                await asyncio.sleep(0)
                threads = threading.active_count()
                events = set(await asyncio.gather(*running))
                await episode.complete("success")
            found = await mind.get(episode.id)
            assert {step.parameters["number"] for step in found.steps} == set(range(1_000))
            assert set(found.step_events) == events
        return events, threads

    before = threading.active_count()
    events, threads = asyncio.run(main())
    assert len(events) == 1_000
    assert threads - before < 30
    assert_sound(tmp_path / "agent.db")


def test_a_thousand_whole_episodes_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path / "agent.db") as mind:

            async def one(number: int) -> None:
                async with mind.episode(f"task {number}") as episode:
                    await episode.step(tool="t")
                    await episode.complete("success" if number % 2 else "failure")

            await asyncio.gather(*(one(number) for number in range(1_000)))
            await mind.settle(300)
            assert (await mind.statistics()).totals.outcomes == {"success": 500, "failure": 500}

    asyncio.run(main())


@pytest.mark.requirement("EP-08")
def test_cancellation_leaves_the_episode_open_and_resumable() -> None:
    async def main() -> None:
        async with opened() as mind:
            entered, ids = asyncio.Event(), list[str]()

            async def work() -> None:
                async with mind.episode("cancelled") as episode:
                    ids.append(episode.id)
                    await episode.step(tool="before")
                    entered.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await mind.get(ids[0])).status == "open"
            async with mind.resume(ids[0], agent="second") as episode:
                await episode.step(tool="after")
                await episode.complete("success")
            assert [step.tool for step in (await mind.get(ids[0])).steps] == ["before", "after"]

    asyncio.run(main())


@pytest.mark.requirement("EP-08")
def test_cancelling_a_waiting_step_stores_it_whole_or_not_at_all_and_the_mind_goes_on() -> None:
    async def main() -> None:
        async with opened() as mind:
            episode = await mind.episode("cancelled steps")
            tasks = [asyncio.create_task(episode.step(tool=str(number))) for number in range(200)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            kept = {event for event in ended if isinstance(event, str)}
            assert len(kept) >= 100
            assert await episode.step(tool="last") is not None
            found = await mind.get(episode.id)
            assert kept <= set(found.step_events)
            assert found.steps[-1].tool == "last"

    asyncio.run(main())


@pytest.mark.requirement("EP-08")
def test_an_exception_records_a_failure_and_a_missing_end_warns() -> None:
    async def main() -> None:
        async with opened() as mind:
            with pytest.raises(ZeroDivisionError):
                async with mind.episode("divides") as episode:
                    1 / 0  # noqa: B018 - it is the exception that is wanted
            outcome = (await mind.get(episode.id)).outcome
            assert outcome is not None
            assert (outcome.kind, outcome.reason) == ("failure", "ZeroDivisionError")
            with pytest.warns(tacit.OpenEpisodeWarning):
                async with mind.episode("left"):
                    pass

    asyncio.run(main())


@pytest.mark.requirement("EP-08")
def test_buffered_steps_are_written_at_the_end_of_the_block() -> None:
    async def main() -> None:
        async with opened(buffer__seconds=3600) as mind:
            async with mind.episode("buffered", buffered=True) as episode:
                assert episode.buffered
                assert await episode.step(tool="one") is None
                assert (await mind.get(episode.id)).steps == ()
                await episode.flush()
                assert len((await mind.get(episode.id)).steps) == 1
                await episode.log(tacit.Step(tool="two"))
                await episode.complete("success")
            assert [step.tool for step in (await mind.get(episode.id)).steps] == ["one", "two"]
            with pytest.raises(tacit.Closed):
                await episode.step(tool="too late")

    asyncio.run(main())


def test_every_other_method_does_what_its_blocking_twin_does(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"task": {"description": "imported"}, "outcome": {"kind": "success"}}) + "\n")

    async def main() -> None:
        async with opened(tmp_path / "agent.db") as mind:
            whole = await mind.record({"task": {"description": "recorded"}, "outcome": {"kind": "failure"}})
            assert (await mind.ingest(source)).imported == 1
            episode = await mind.episode("live")
            await episode.tag("one")
            await episode.relate("follows", whole)
            await mind.relate(episode.id, "refers", whole)
            await mind.unrelate(episode.id, "refers", whole)
            updated = await mind.update(episode.id, domain="d")
            assert (updated.task.tags, updated.task.domain, len(updated.relations)) == (("one",), "d", 1)
            pack = await mind.handoff(episode.id, note="over to you")
            assert (await mind.read_handoff(await episode.checkpoint("again"))).record == pack.record
            assert [summary.description for summary in await mind.episodes(text="live")] == ["live"]
            await mind.settle()
            assert set((await mind.lag()).values()) == {0}
            assert await mind.reward(whole) is not None
            assert (await mind.reflection(whole)) is not None
            past = await mind.at(datetime(1990, 1, 1, tzinfo=UTC))
            assert await past.episodes() == []
            with pytest.raises(tacit.ReadOnly):
                _ = past.record
            assert await mind.export(target) == 3
            assert [found.task.description async for found in mind.all_episodes()] == ["live", "imported", "recorded"]
            await mind.backup(tmp_path / "copy.db")

    asyncio.run(main())
    assert len(target.read_text().splitlines()) == 3
    with open_mind(tmp_path / "copy.db") as mind:
        assert len(mind.episodes()) == 3


def test_the_loop_is_free_while_the_store_is_busy() -> None:
    async def main() -> None:
        async with opened() as mind:
            held, go = threading.Event(), threading.Event()
            blocker = mind.recorder.journal.submit(lambda appender: (held.set(), go.wait(60)))
            await asyncio.to_thread(held.wait)
            starting = asyncio.ensure_future(mind.record({"task": {"description": "waits"}}))
            ticks = 0
            while ticks < 100:
                await asyncio.sleep(0)
                ticks += 1
            assert not starting.done()
            go.set()
            assert await starting
            assert blocker.result()

    asyncio.run(main())
