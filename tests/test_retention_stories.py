"""Retention, whatever happened before: the dry run is the real run, what is left replays, and a killed run is whole."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies
from sqlalchemy import select

import tacit
from command_line import CommandLine
from tacit.clock import ManualClock
from tacit.ids import parse_id
from tacit.journal.expiring import EPISODE_EXPIRED
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from test_retention import DAY, assert_sound, attempt, recorded, whole
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-09")

TESTS = Path(__file__).parent
_lines = strategies.tuples(
    strategies.sampled_from(
        ["record", "record", "live", "open", "advised", "update", "relate", "reflect", "hand off", "erase", "maintain",
         "settle", "wait", "remember"]
    ),
    strategies.integers(0, 9),
    strategies.integers(0, 9),
)  # fmt: skip
_bounds = strategies.fixed_dictionaries(
    {},
    optional={
        "retention__episodes": strategies.integers(1, 4),
        "retention__episodes_per_kind": strategies.integers(1, 2),
        "retention__episode_bytes": strategies.integers(1, 1_500),
        "retention__episode_days": strategies.integers(1, 5),
        "retention__memories": strategies.integers(1, 2),
    },
)


class Story:
    """Does things as told, skipping what is impossible by then."""

    def __init__(self, mind: tacit.Mind, clock: ManualClock) -> None:
        self.mind = mind
        self.clock = clock
        self.episodes: list[str] = []
        self.number = 0

    def tell(self, verb: str, first: int, second: int) -> None:
        self.number += 1
        self.clock.advance(60)
        if verb == "record":
            self.episodes.append(recorded(self.mind, self.number, seed=first))
        elif verb == "live":
            self.episodes.append(attempt(self.mind, f"Task {first}", well=second % 2 == 0, tags=[f"tag {second}"]))
        elif verb == "open":
            episode = self.mind.episode(f"Task {first}")
            episode.step(tool="look_up", observation="x")
            self.episodes.append(episode.id)
        elif verb == "advised":
            self._advised(first, second)
        elif verb == "maintain":
            self.maintain()
        elif verb == "settle":
            self.mind.settle(only="tally")
        elif verb == "wait":
            self.clock.advance(first * DAY)
        elif verb == "remember":
            self.mind.remember(f"{self.number}", importance=first / 9)
        elif self.episodes:
            self._change(verb, self.episodes[first % len(self.episodes)], self.episodes[second % len(self.episodes)])

    def _advised(self, first: int, second: int) -> None:
        advice = self.mind.advise(f"Task {first}", domain="airline")
        assert advice.exposure_id is not None
        if second % 3 == 0:
            self.mind.feedback(advice.exposure_id, outcome="failure")
        done = attempt(self.mind, f"Task {first}", exposure=advice.exposure_id)
        self.episodes.append(done)

    def _change(self, verb: str, one: str, other: str) -> None:
        try:
            if verb == "update":
                self.mind.update(one, description=f"Task {self.number}", add_tags=[f"tag {self.number % 3}"])
            elif verb == "hand off":
                self.mind.handoff(one, note="so far")
            elif verb == "reflect":
                sources = {"reflection": {}, "model": "m", "sources": [other]}
                self.mind.recorder.reflection(parse_id(one), sources).result()
            elif verb == "erase":
                self.mind.erase(episode=one)
            elif other in {relation.target for relation in self.mind.get(one).relations}:
                self.mind.unrelate(one, "refers", other)
            elif one != other:
                self.mind.relate(one, "refers", other)
        except (tacit.NotFound, tacit.Conflict):
            return

    def maintain(self) -> None:
        told = self.mind.maintain(dry_run=True)
        done = self.mind.maintain()
        assert (done.expired, done.forgotten) == (told.expired, told.forgotten)
        after = self.mind.maintain()
        assert (after.expired, after.forgotten) == ((), ())


def counted(mind: tacit.Mind) -> dict[str, int]:
    mind.settle(only="tally")
    of_mind = schema.statistic.c.mind == parse_id(mind.id)
    with mind.recorder.journal.store.snapshot() as snapshot:
        rows = snapshot.rows(select(schema.statistic.c.key, schema.statistic.c.count).where(of_mind))
    return {str(key): int(count) for key, count in rows}


@settings(max_examples=60, deadline=None)
@given(story=strategies.lists(_lines, min_size=3, max_size=25), bounds=_bounds)
def test_a_dry_run_is_the_real_run_and_what_is_left_replays_to_the_same_views(
    story: list[tuple[str, int, int]], bounds: dict[str, Any]
) -> None:
    clock = ManualClock()
    with open_mind(":memory:", clock=clock, consumers__enabled=False, learning__embedder="none", **bounds) as mind:
        told = Story(mind, clock)
        for line in story:
            told.tell(*line)
        told.maintain()
        assert_sound(mind)  # while the consumers lag behind
        mind.settle(only="tally")
        mind.settle(only="lessons")
        assert_sound(mind)


@settings(max_examples=40, deadline=None)
@given(story=strategies.lists(_lines, min_size=3, max_size=20), bounds=_bounds)
def test_counts_are_those_of_a_mind_in_which_nothing_ever_expired(
    story: list[tuple[str, int, int]], bounds: dict[str, Any]
) -> None:
    found = []
    changes = {"update", "hand off"}  # which an expired episode refuses
    for kept in ({}, bounds):
        clock = ManualClock()
        with open_mind(":memory:", clock=clock, consumers__enabled=False, learning__embedder="none", **kept) as mind:
            told = Story(mind, clock)
            for line in story:
                if line[0] not in changes:
                    told.tell(*line)
            mind.maintain()
            found.append(counted(mind))
    assert found[0] == found[1]


_MAINTAINING = """
import sys
sys.path.insert(0, {tests!r})
from tacit.learning import expiring
from trials import open_mind
expiring.BATCH_EVENTS = 20
with open_mind({location!r}, consumers__enabled=False, retention__episodes=10) as mind:
    print("begun", flush=True)
    mind.maintain()
    print("done", flush=True)
"""


def _wait_for(path: Path, expired: int) -> None:
    """Until so many episodes have expired."""
    deadline = time.monotonic() + 60
    with contextlib.closing(SqliteStore(path, create=False)) as store:
        while time.monotonic() < deadline:
            with store.snapshot() as snapshot:
                if (
                    len(snapshot.rows(select(schema.event.c.id).where(schema.event.c.kind == EPISODE_EXPIRED)))
                    >= expired
                ):
                    return
            time.sleep(0.01)
    raise AssertionError("nothing expires")


@pytest.mark.disk
def test_a_run_that_is_killed_half_way_leaves_whole_batches_and_the_next_finishes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, consumers__enabled=False, retention__episodes=10) as mind:
        ids = [recorded(mind, number) for number in range(1_500)]
        told = mind.maintain(dry_run=True)
        mind.settle(only="tally")
        statistics = mind.statistics()
    assert [each.id for each in told.expired] == ids[:-10]
    program = _MAINTAINING.format(tests=str(TESTS), location=str(path))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        _wait_for(path, 200)
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    with open_mind(path, consumers__enabled=False, retention__episodes=10) as mind:
        left = len(mind.maintain(dry_run=True).expired)
        assert 0 < left < 1_490, "it was killed too early or too late to tell anything"
        assert_sound(mind)
        assert mind.maintain().expired == told.expired[-left:]
        assert whole(mind) == ids[-10:]
        mind.settle(only="tally")
        assert mind.statistics() == statistics
        assert_sound(mind)
        assert mind.recorder.journal.store.integrity() == []


def test_the_command_tells_with_dry_run_what_it_then_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, consumers__enabled=False) as mind:
        for number in range(1, 6):
            recorded(mind, number)
    monkeypatch.setenv("TACIT_RETENTION__EPISODES", "2")
    command = CommandLine(path)
    told = command.json("maintain", "--dry-run")
    done = command.json("maintain")
    assert (told["dry_run"], done["dry_run"]) == (True, False)
    assert told["expired"] == done["expired"]
    assert len(done["expired"]) == 3
    shown = command("episode", "show", done["expired"][0]["id"], "--json")
    assert shown.code == 3
    assert shown.error["code"] == "expired"
    assert "success, expired" in command("episode", "list").out
    assert command("journal", "verify").code == 0
    assert command("journal", "replay").code == 0
