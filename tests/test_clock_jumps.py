"""Clocks that jump: order in the journal holds, and leases keep two processes from doing the same work."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

import tacit
from tacit.clock import LAST_YEAR, ManualClock, from_micros, to_micros
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from trials import assert_sound, events_of, kinds_of, open_mind

pytestmark = pytest.mark.requirement("QU-02")

HOUR, YEAR = 3_600.0, 31_536_000.0
JUMPS = [1.0, -HOUR, 0.0, YEAR, -YEAR, -YEAR, 0.000001, 5.0, -0.000001, HOUR]


def aside(path: Path | str, clock: ManualClock) -> tacit.Mind:
    """A mind whose consumers run only when it is told to settle."""
    return open_mind(path, clock=clock, consumers__enabled=False, consumers__lease_seconds=30)


@pytest.mark.requirement("JR-01")
def test_recorded_times_and_the_hybrid_clock_never_go_back_while_the_wall_clock_jumps(tmp_path: Path) -> None:
    clock = ManualClock()
    with aside(tmp_path / "a.db", clock) as mind:
        seen = []
        for number, jump in enumerate(JUMPS):
            clock.advance(jump)
            seen.append(clock.now())
            mind.record({"task": {"description": f"task {number}"}})
        events = [recorded.event for recorded in events_of(mind)]
        recorded_at = [event.recorded_at for event in events]
        assert recorded_at == sorted(recorded_at)
        assert recorded_at[1:] == [max(seen[: number + 1]) for number in range(len(seen))]
        clocks = [event.clock for event in events]
        assert clocks == sorted(set(clocks)), "strictly growing"
    assert_sound(tmp_path / "a.db")


@pytest.mark.requirement("JR-05")
def test_the_past_stays_readable_after_the_clock_went_back(tmp_path: Path) -> None:
    clock = ManualClock()
    with aside(tmp_path / "a.db", clock) as mind:
        mind.record({"task": {"description": "first"}})
        moment = clock.now()
        clock.advance(-HOUR)
        mind.record({"task": {"description": "second"}})  # recorded no earlier than the first
        assert [summary.description for summary in mind.at(from_micros(moment - 1)).episodes()] == []
        descriptions = {summary.description for summary in mind.at(from_micros(moment)).episodes()}
        assert descriptions == {"first", "second"}


@pytest.mark.requirement("JR-04")
def test_a_lease_holds_off_others_until_it_ends_and_whoever_lost_it_cannot_write(tmp_path: Path) -> None:
    path, slow, fast = tmp_path / "a.db", ManualClock(), ManualClock()
    with aside(path, slow) as sleeper, aside(path, fast) as other:
        count(sleeper, 3)
        sleeper.settle(10)
        count(other, 2)
        with pytest.raises(tacit.NotSettled) as caught:
            other.settle(0.2)
        assert caught.value.context["lag"] == {"tally": 2, "lessons": 2, "study": 2, "vectors": 2, "memory-vectors": 2}
        fast.advance(31)
        other.settle(10)  # takes the lease over
        count(other, 2)
        with pytest.raises(tacit.NotSettled):
            sleeper.settle(0.2)  # its own clock says that the lease still holds; the database knows better
        assert sleeper.statistics().totals.episodes == 5
        other.settle(10)
        slow.advance(HOUR)
        count(sleeper, 1)
        sleeper.settle(10)
        assert other.statistics().totals.episodes == 8
    assert_sound(path)


@pytest.mark.requirement("JR-04")
def test_a_lease_from_a_clock_that_was_far_ahead_keeps_nobody_from_the_work(tmp_path: Path) -> None:
    path, wrong, right = tmp_path / "a.db", ManualClock(), ManualClock()
    wrong.advance(YEAR)
    with aside(path, wrong) as early, aside(path, right) as other:
        count(early, 3)
        early.settle(10)
        count(other, 2)
        other.settle(10)
        assert other.statistics().totals.episodes == 5
        count(early, 1)
        early.settle(10)  # whose lease was taken: it has to notice
        assert early.statistics().totals.episodes == 6
    assert_sound(path)


def test_a_clock_that_jumps_back_leaves_the_lease_with_its_holder_and_the_work_goes_on(tmp_path: Path) -> None:
    clock = ManualClock()
    with aside(tmp_path / "a.db", clock) as mind:
        for jump in JUMPS:
            clock.advance(jump)
            count(mind, 1)
            mind.settle(10)
        assert mind.statistics().totals.episodes == len(JUMPS)
    assert_sound(tmp_path / "a.db")


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize("store", ["file", "memory", "postgres"])
@pytest.mark.parametrize(
    ("micros", "told"),
    [
        (to_micros(datetime(2300, 1, 1, tzinfo=UTC)), r"2300-01-01T00:00:00\+00:00"),
        (to_micros(datetime(2255, 1, 1, tzinfo=UTC)), r"2255-01-01T00:00:00\+00:00"),
        (-1, r"1969-12-31T23:59:59\.999999\+00:00"),
        (10**18, r"1,000,000,000,000,000,000 µs since 1970"),
    ],
)
def test_a_clock_that_no_event_can_have_is_refused_by_name_and_nothing_is_stored(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, micros: int, told: str
) -> None:
    places = {"file": lambda: tmp_path / "a.db", "memory": lambda: ":memory:"}
    where = places.get(store, lambda: request.getfixturevalue("postgres_url"))()
    clock = ManualClock()
    with aside(where, clock) as mind:
        episode = mind.episode("before")
        right, clock.micros = clock.micros, micros
        writes = (lambda: episode.step(tool="t"), lambda: episode.step(tool="t", key="k"), lambda: mind.episode("new"))
        for write in writes:
            with pytest.raises(tacit.StoreError, match=f"the machine's clock says {told}.*set the clock") as caught:
                write()
            assert not caught.value.retryable
        assert kinds_of(mind) == ["mind.created", "episode.started"]
        clock.micros = right
        episode.step(tool="t")
        assert kinds_of(mind)[2:] == ["step.logged"]


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize("micros", [to_micros(datetime(2300, 1, 1, tzinfo=UTC)), -1])
def test_a_wrong_clock_makes_no_mind_and_no_key_but_keeps_nobody_from_reading(tmp_path: Path, micros: int) -> None:
    path, wrong = tmp_path / "a.db", ManualClock(micros)
    with pytest.raises(tacit.StoreError, match="the machine's clock"):
        aside(path, wrong)
    with contextlib.closing(SqliteStore(path)) as store, store.snapshot() as snapshot:
        for table in schema.metadata.sorted_tables:
            assert table in (schema.revision, schema.counter) or snapshot.rows(select(table)) == []
    with aside(path, ManualClock()) as mind:
        mind.episode("before")
    with aside(path, wrong) as mind:
        assert [summary.description for summary in mind.episodes()] == ["before"]
    assert_sound(path)


def test_the_last_moment_that_can_be_stored_fits_into_the_hybrid_clock(tmp_path: Path) -> None:
    clock = ManualClock(to_micros(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)) - 1)
    with aside(tmp_path / "a.db", clock) as mind:
        mind.record({"task": {"description": "late"}})
        assert [recorded.event.recorded_at for recorded in events_of(mind)] == [clock.micros] * 2
    assert_sound(tmp_path / "a.db")


def count(mind: tacit.Mind, episodes: int) -> None:
    for _ in range(episodes):
        mind.record({"task": {"description": "count me"}, "outcome": {"kind": "success"}})
