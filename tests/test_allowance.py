"""Quotas and rates: what is over them is refused by name, nothing of it is stored, and others are not touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tacit
from tacit import aio
from tacit.clock import SystemClock
from tacit.errors import QuotaExceeded, RateLimitExceeded
from tacit.experience.episode import Outcome, Record, Task
from tacit.journal.allowance import BURST_SECONDS, Allowance, Bounds
from tacit.mind import Mind
from tacit.opening import OpenStore, open_store
from trials import events_of, open_mind, settings

pytestmark = pytest.mark.requirement("JR-11")


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "a.db") if request.param == "file" else request.getfixturevalue("postgres_url")


def open_with(location: str, **changed: Any) -> OpenStore:
    return open_store(location, settings=settings(learning__embedder="none", **changed), clock=SystemClock())


def record(number: int) -> Record:
    return Record(task=Task(description=f"task {number}"), outcome=Outcome(kind="success"), key=str(number))


# ── quotas ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mind_keeps_no_more_events_than_its_quota_and_others_are_not_touched(location: str) -> None:
    with open_with(location, quotas__mind_events=5) as store:
        full, other = store.mind("full"), store.mind("other")
        for number in range(4):  # its creation is one, too
            full.record(record(number))
        with pytest.raises(QuotaExceeded, match=r"quotas\.mind_events") as caught:
            full.record(record(4))
        assert caught.value.context["limit"] == 5
        assert caught.value.exit_code == 6
        assert full.record(record(3)), "what is there already may be told again"
        other.record(record(0))
        full.settle(60)
        assert full.book().known == 4, "what the store does for itself goes on"
        assert len(events_of(full)) == 5


def test_the_minds_of_a_tenant_share_a_quota_also_when_many_write_at_once(location: str) -> None:
    with open_with(location, quotas__tenant_events=40) as store:
        minds = [store.mind(f"mind {number}", tenant="ours") for number in range(4)]
        theirs = store.mind("mind", tenant="theirs")

        def write(number: int) -> bool:
            try:
                minds[number % 4].record(record(number))
            except QuotaExceeded:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(write, range(80)))
        assert sum(written) == 36
        assert sum(len(events_of(mind)) for mind in minds) == 40
        theirs.record(record(0))


def test_an_import_that_exceeds_the_quota_stores_no_part_of_its_last_batch(location: str, tmp_path: Path) -> None:
    with open_with(location, quotas__mind_events=10) as store:
        mind = store.mind()
        lines = "".join(
            f'{{"task": {{"description": "task {n}"}}, "outcome": {{"kind": "success"}}}}\n' for n in range(50)
        )
        (tmp_path / "many.jsonl").write_text(lines)
        with pytest.raises(QuotaExceeded):
            mind.ingest(tmp_path / "many.jsonl", format="jsonl")
        assert len(events_of(mind)) == 1


def test_a_tenant_has_no_more_minds_than_its_quota(location: str) -> None:
    with open_with(location, quotas__tenant_minds=2) as store:
        store.mind("one"), store.mind("two")
        with pytest.raises(QuotaExceeded, match=r"quotas\.tenant_minds"):
            store.mind("three")
        assert store.mind("one"), "those that are there go on"
        assert store.mind("one", tenant="another")
        assert len(store.minds()) == 3


# ── rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


@given(st.floats(0.1, 100), st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), max_size=60))
def test_no_stretch_of_time_has_more_than_the_rate_and_one_burst(rate: float, asked: list[tuple[float, int]]) -> None:
    clock = Hand()
    allowance, admitted = Allowance(Bounds(mind_rate=rate), clock), list[tuple[float, int]]()
    for pause, events in asked:
        clock.seconds += pause
        try:
            allowance.admit(b"mind", "tenant", events)
        except RateLimitExceeded as error:
            clock.seconds += error.retry_after
            allowance.admit(b"mind", "tenant", events)
        admitted.append((clock.seconds, events))
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            seconds = admitted[last][0] - admitted[first][0]
            total = sum(events for _, events in admitted[first : last + 1])
            assert total <= rate * (seconds + BURST_SECONDS) + 5.001


def test_what_was_refused_is_not_counted_and_a_mind_that_waits_does_not_hold_up_its_tenant() -> None:
    clock = Hand()
    allowance = Allowance(Bounds(mind_rate=10, tenant_rate=15), clock)
    allowance.admit(b"one", "tenant", 10)
    for _ in range(100):
        with pytest.raises(RateLimitExceeded, match="this mind"):
            allowance.admit(b"one", "tenant")
    allowance.admit(b"two", "tenant", 5)
    with pytest.raises(RateLimitExceeded, match=r"rates\.tenant_events"):
        allowance.admit(b"two", "tenant")
    allowance.admit(b"two", "another", 5)
    clock.seconds += 0.1
    allowance.admit(b"one", "tenant")


def test_minds_that_wrote_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Hand()
    monkeypatch.setattr("tacit.journal.allowance._MOST_REMEMBERED", 100)
    allowance = Allowance(Bounds(mind_rate=10), clock)
    for number in range(1_000):
        allowance.admit(number.to_bytes(16, "big"), "tenant")
        clock.seconds += 0.01
    assert len(allowance._due) <= 101


def test_steps_that_come_too_fast_are_refused_with_the_time_to_wait(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db", rates__mind_events=20, learning__embedder="none") as mind:
        episode, refused = mind.episode("log much"), 0
        for number in range(30):
            try:
                episode.step(tool=f"tool {number}")
            except RateLimitExceeded as error:
                refused += error.retryable
                time.sleep(error.retry_after + 0.001)
                episode.step(tool=f"tool {number}")
        time.sleep(0.1)
        episode.complete("success")
        assert refused
        assert [step.tool for step in mind.get(episode.id).steps] == [f"tool {number}" for number in range(30)]


def test_an_import_waits_instead(tmp_path: Path) -> None:
    lines = "".join(
        f'{{"task": {{"description": "task {n}"}}, "outcome": {{"kind": "success"}}}}\n' for n in range(120)
    )
    (tmp_path / "many.jsonl").write_text(lines)
    with open_mind(tmp_path / "a.db", rates__mind_events=80, learning__embedder="none") as mind:
        started = time.monotonic()
        assert mind.ingest(tmp_path / "many.jsonl", format="jsonl").imported == 120
        assert time.monotonic() - started > 0.4


def test_asyncio_is_refused_alike(tmp_path: Path) -> None:
    async def live() -> int:
        async with aio.open(tmp_path / "a.db", settings=settings(rates__mind_events=10)) as mind:
            episode = await mind.episode("log much")
            found = await asyncio.gather(*(episode.step(tool="t") for _ in range(40)), return_exceptions=True)
            return sum(isinstance(each, RateLimitExceeded) for each in found)

    assert asyncio.run(live()) >= 20


def test_the_command_line_exits_with_six(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"task": {"description": "a"}, "outcome": {"kind": "success"}}\n')
    done = subprocess.run(
        [sys.executable, "-m", "tacit", "--store", str(tmp_path / "a.db"), "import", str(tmp_path / "one.jsonl")],
        env={**os.environ, "TACIT_QUOTAS__MIND_EVENTS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 6
    assert "quotas.mind_events" in done.stderr


def test_without_bounds_nothing_is_counted() -> None:
    allowance, job = Allowance(Bounds()), Mind.record
    allowance.admit(b"mind", "tenant", 10**9)
    assert allowance.bounded(job) is job  # type: ignore[arg-type]
    assert tacit.QuotaExceeded is QuotaExceeded
