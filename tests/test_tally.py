"""The tally on a real store: exact whatever the batches, moved by changes, taken away by erasing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from tacit.clock import ManualClock
from tacit.experience import kinds
from tacit.experience.fold import EpisodeProjection
from tacit.experience.limits import DEFAULT_LIMITS
from tacit.experience.views import load_episode
from tacit.ids import SeededEntropy
from tacit.journal import canonical
from tacit.journal.consumers import Pace
from tacit.journal.journal import Journal, JournalOptions
from tacit.journal.masking import NoMasking
from tacit.journal.minds import MindProjection, open_mind
from tacit.journal.read import events_after
from tacit.learning.assessment.baseline import DomainBaseline, read_baseline
from tacit.learning.assessment.contribution import contribution, decode_key, encode_key
from tacit.learning.assessment.statistics import read_statistics
from tacit.learning.assessment.tally import Tally, subtract
from tacit.stores import schema
from tacit.stores.sqlite import MEMORY, SqliteStore

START = 1_767_225_600 * 1_000_000
Rows = dict[str, list[tuple[Any, ...]]]


class Ground:
    """A journal with a tally and one mind, and short words for what happens in it."""

    def __init__(self, path: Path | str, batch: int = 500) -> None:
        self.clock, self.entropy = ManualClock(), SeededEntropy(7)
        self.journal = Journal(
            SqliteStore(path),
            projections=[MindProjection(), EpisodeProjection(DEFAULT_LIMITS)],
            consumers=[Tally()],
            masker=NoMasking(),
            clock=self.clock,
            entropy=self.entropy,
            options=JournalOptions(background=False, pace=Pace(batch_events=batch)),
        )
        self.mind = open_mind(self.journal, self.entropy, "acme", "support").id

    def append(self, kind: str, payload: dict[str, Any], causation: bytes | None = None) -> bytes:
        prepared = self.journal.preparer.prepare(kind, payload, causation=causation, occurred_at=self.clock.now())
        return self.journal.run(lambda appender: appender.append(self.mind, prepared)).event.id

    def record(self, steps: list[dict[str, Any]], outcome: str | None = "success", **task: Any) -> bytes:
        ended = {"outcome": {"kind": outcome}, "ended_at": self.clock.now() + 5_000_000} if outcome else {}
        return self.append(kinds.EPISODE_RECORDED, {"task": {"description": "try", **task}, "steps": steps, **ended})

    def start(self, **task: Any) -> bytes:
        return self.append(kinds.EPISODE_STARTED, {"task": {"description": "try", **task}})

    def step(self, episode: bytes, **step: Any) -> None:
        self.append(kinds.STEP_LOGGED, {"step": step}, episode)

    def complete(self, episode: bytes, outcome: str = "success") -> None:
        self.append(kinds.EPISODE_COMPLETED, {"outcome": {"kind": outcome}}, episode)

    def update(self, episode: bytes, **task: Any) -> None:
        self.append(kinds.EPISODE_UPDATED, {"task": {"description": "try", **task}}, episode)

    def subtract(self, episode: bytes) -> bool:
        return self.journal.run(lambda appender: subtract(appender.transaction, self.mind, episode))

    def settle(self) -> None:
        self.journal.consumers.settle(self.mind, 10)
        assert self.journal.consumers.failures == {}

    def rows(self) -> Rows:
        """All rows of the tally's tables."""
        with self.journal.store.snapshot() as snapshot:
            return {
                table.name: sorted(tuple(row) for row in snapshot.rows(select(*table.c)))
                for table in (schema.contribution, schema.statistic)
            }

    def counts(self) -> dict[str, int]:
        return {row[1]: row[2] for row in self.rows()["statistic"]}

    def episode(self, id: bytes) -> Any:
        with self.journal.store.snapshot() as snapshot:
            return load_episode(snapshot, self.mind, id)

    def close(self) -> None:
        self.journal.close()
        self.journal.store.close()


@contextmanager
def ground_at(path: Path | str, batch: int = 500) -> Iterator[Ground]:
    ground = Ground(path, batch)
    try:
        yield ground
    finally:
        ground.close()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with ground_at(tmp_path / "a.db") as ground:
        yield ground


SEARCH = {"tool": "search", "status": "success", "latency_ms": 40, "tokens": 12}
REFUSED = {"tool": "pay", "status": "error", "error": "card 12 refused"}


def test_a_finished_episode_is_counted_by_kind_tool_and_error(ground: Ground) -> None:
    ground.record([SEARCH, REFUSED, {"tool": "pay", "status": "timeout"}, {"action": "think"}], "failure", domain="air")
    ground.settle()
    counts = ground.counts()
    expected = {
        ("episode", "", "air", "outcome", "failure"): 1,
        ("episode", "", "air", "steps"): 4,
        ("episode", "", "air", "steps_squared"): 16,
        ("episode", "", "air", "duration_ms"): 5_000,
        ("tool", "search", "successes"): 1,
        ("tool", "search", "tokens"): 12,
        ("tool", "search", "latency_us"): 40_000,
        ("tool", "pay", "errors"): 1,
        ("tool", "pay", "timeouts"): 1,
        ("error", "card <number> refused", "pay"): 1,
        ("error", "(timeout)", "pay"): 1,
        ("baseline", "air", "", "episodes"): 1,
        ("baseline", "air", "", "tool", "pay"): 1,
    }
    assert {parts: counts.get(encode_key(*parts)) for parts in expected} == expected
    assert not [key for key in counts if decode_key(key)[0] == "tool" and decode_key(key)[1] == ""]


def test_a_live_episode_counts_like_a_recorded_one_and_not_before_it_ends(ground: Ground) -> None:
    episode = ground.start(domain="air")
    ground.step(episode, **SEARCH)
    ground.settle()
    assert ground.counts() == {}
    ground.clock.advance(5)
    ground.complete(episode)
    ground.settle()
    live = ground.counts()
    ground.record([SEARCH], domain="air")
    ground.settle()
    assert ground.counts() == {key: 2 * count for key, count in live.items()}


def test_an_open_episode_and_one_that_is_only_updated_contribute_nothing(ground: Ground) -> None:
    ground.record([SEARCH], None, domain="air")
    ground.update(ground.start(domain="air"), domain="rail")
    ground.settle()
    assert ground.rows() == {"contribution": [], "statistic": []}


@pytest.mark.parametrize("between", [True, False])
def test_a_changed_task_type_moves_the_episode_to_its_new_keys(ground: Ground, between: bool) -> None:
    ground.record([SEARCH], domain="air")
    episode = ground.record([SEARCH, SEARCH], task_type="book", domain="air")
    if between:
        ground.settle()
    ground.update(episode, task_type="change", domain="rail")
    ground.settle()
    counts = ground.counts()
    assert not [key for key in counts if '"book"' in key]
    assert counts[encode_key("episode", "change", "rail", "steps")] == 2
    assert counts[encode_key("episode", "", "air", "steps")] == 1
    assert counts[encode_key("tool", "search", "successes")] == 3


def test_what_came_after_a_batch_does_not_change_what_the_batch_gives(ground: Ground) -> None:
    episode = ground.record([SEARCH], domain="air")
    with ground.journal.store.snapshot() as snapshot:
        events = events_after(snapshot, ground.mind, 0, 100)
        prompt = Tally().prepare(snapshot, ground.mind, events)
    ground.update(episode, domain="rail")
    with ground.journal.store.snapshot() as snapshot:
        assert Tally().prepare(snapshot, ground.mind, events) == prompt != []


def test_a_late_tally_counts_an_episode_as_it_was_at_its_end(ground: Ground) -> None:
    episode = ground.start(domain="air")
    ground.complete(episode)
    ground.record([SEARCH], domain="rail")
    ground.settle()
    (row,) = [row for row in ground.rows()["contribution"] if row[1] == episode]
    assert row[2] == 3  # after the mind's own event and the episode's start
    with ground.journal.store.snapshot() as snapshot:
        then = load_episode(snapshot, ground.mind, episode, row[2])
    assert canonical.decode(row[3]) == contribution(then)


def test_taking_an_episode_away_leaves_what_would_be_there_without_it(ground: Ground, tmp_path: Path) -> None:
    ground.record([SEARCH], domain="air")
    gone = ground.record([SEARCH, REFUSED], "failure", task_type="pay", domain="air")
    ground.settle()
    assert ground.subtract(gone)
    with ground_at(tmp_path / "b.db") as without:
        without.record([SEARCH], domain="air")
        without.settle()
        assert ground.counts() == without.counts()
    assert [row[1] for row in ground.rows()["contribution"]] != [gone]
    assert not ground.subtract(gone)


def erase(ground: Ground) -> Callable[[Any], None]:
    """Removes all payloads of the mind, as erasing does."""
    return lambda appender: appender.transaction.execute(
        delete(schema.payload).where(schema.payload.c.mind == ground.mind, schema.payload.c.position > 1)
    )


def test_an_episode_that_was_erased_before_the_tally_came_contributes_nothing(ground: Ground) -> None:
    ground.record([SEARCH], domain="air")
    ground.journal.run(erase(ground))
    ground.settle()
    assert ground.rows() == {"contribution": [], "statistic": []}


def test_an_episode_that_is_erased_while_the_tally_counts_it_does_not_come_back(ground: Ground) -> None:
    class Overtaken(Tally):
        def prepare(self, snapshot: Any, mind: bytes, events: Any) -> Any:
            effects = super().prepare(snapshot, mind, events)
            assert effects
            ground.journal.run(erase(ground))
            return effects

    ground.journal.consumers._consumers = (Overtaken(),)
    ground.record([SEARCH], domain="air")
    ground.settle()
    assert ground.rows() == {"contribution": [], "statistic": []}


def test_applying_the_same_effects_twice_counts_once(ground: Ground) -> None:
    ground.record([SEARCH, REFUSED], domain="air")
    ground.settle()
    once = ground.rows()
    tally = Tally()
    with ground.journal.store.snapshot() as snapshot:
        effects = tally.prepare(snapshot, ground.mind, events_after(snapshot, ground.mind, 0, 100))
    ground.journal.run(lambda appender: tally.apply(appender, ground.mind, effects))
    assert ground.rows() == once


def test_values_beyond_all_bounds_do_not_stop_the_tally(ground: Ground) -> None:
    ground.record([{"tool": "a", "latency_ms": 1e15, "tokens": 2**53 - 1}] * 3)
    ground.settle()
    counts = ground.counts()
    assert counts[encode_key("tool", "a", "tokens")] == 3 * 10**9
    assert counts[encode_key("tool", "a", "latency_us")] == 3 * 10**12


@pytest.mark.requirement("EP-03")
def test_the_baseline_of_an_episode_is_the_others_of_its_domain(ground: Ground) -> None:
    own = ground.record([SEARCH, REFUSED], "success", domain="air")
    ground.record([SEARCH] * 4, "success", domain="air", task_type="book")
    ground.record([SEARCH], "failure", domain="air")
    ground.record([SEARCH], "success", domain="rail")
    ground.settle()
    with ground.journal.store.snapshot() as snapshot:
        found = read_baseline(snapshot, ground.mind, ground.episode(own))
    assert (found.episodes, found.value, found.value_squared, found.solved, found.solved_steps) == (
        2,
        1_000,
        1_000_000,
        1,
        4,
    )
    assert found.known_tools == {"search"}
    assert found.typical_duration_us == pytest.approx(5_000_000, rel=0.04)
    ground.subtract(own)
    with ground.journal.store.snapshot() as snapshot:
        assert read_baseline(snapshot, ground.mind, ground.episode(own)) == found


@pytest.mark.requirement("EP-03")
def test_the_only_episode_of_a_domain_has_nothing_to_be_compared_with(ground: Ground) -> None:
    own = ground.record([SEARCH], "success", domain="air")
    ground.settle()
    with ground.journal.store.snapshot() as snapshot:
        assert read_baseline(snapshot, ground.mind, ground.episode(own)) == DomainBaseline()


# ── any batching, any interleaving ───────────────────────────────────────────────────────────────────────────────────

_step = st.fixed_dictionaries(
    {"tool": st.sampled_from(["", "search", "pay"]), "action": st.just("x")},
    optional={
        "status": st.sampled_from(["success", "error", "timeout"]),
        "error": st.sampled_from(["card 1 refused", "card 2 refused", "нет мест"]),
        "latency_ms": st.floats(0, 1e6),
        "tokens": st.integers(0, 1_000),
    },
)
_task = st.fixed_dictionaries(
    {"task_type": st.sampled_from(["", "book"]), "domain": st.sampled_from(["", "air", 'a","b'])}
)
_outcome = st.sampled_from(["success", "partial", "failure", "abstained"])
_action = st.one_of(
    st.tuples(st.just("record"), st.lists(_step, max_size=3), st.none() | _outcome, _task),
    st.tuples(st.just("start"), _task),
    st.tuples(st.just("step"), st.integers(0, 9), _step),
    st.tuples(st.just("complete"), st.integers(0, 9), _outcome),
    st.tuples(st.just("update"), st.integers(0, 9), _task),
    st.tuples(st.just("subtract"), st.integers(0, 9)),
    st.tuples(st.just("settle")),
)


def play(ground: Ground, actions: list[tuple[Any, ...]], *, settle: bool) -> set[bytes]:
    """Do what can be done of the actions; settle on the way only if told to. The episodes taken away at the end."""
    episodes: list[bytes] = []
    open_: set[bytes] = set()
    gone: set[bytes] = set()
    for action, *arguments in actions:
        if action == "record":
            steps, outcome, task = arguments
            episodes.append(ground.record(steps, outcome, **task))
            open_ |= set() if outcome else {episodes[-1]}
        elif action == "start":
            episodes.append(ground.start(**arguments[0]))
            open_.add(episodes[-1])
        elif action == "settle":
            if settle:
                ground.settle()
        elif episodes:
            episode = episodes[arguments[0] % len(episodes)]
            if action == "step" and episode in open_:
                ground.step(episode, **arguments[1])
            elif action == "complete" and episode in open_:
                open_.remove(episode)
                ground.complete(episode, arguments[1])
            elif action == "update":
                ground.update(episode, **arguments[1])
            elif action == "subtract":
                gone.add(episode)
        ground.clock.advance(0.25)
    ground.settle()
    for episode in sorted(gone):
        ground.subtract(episode)
    return gone


@pytest.mark.requirement("JR-03")
@given(st.lists(_action, max_size=25), st.integers(1, 7))
@hypothesis_settings(max_examples=60)
def test_any_batches_give_the_same_rows_and_contributions_sum_to_the_statistics(
    actions: list[tuple[Any, ...]], batch: int
) -> None:
    with ground_at(MEMORY, batch) as stepwise, ground_at(MEMORY) as at_once:
        gone = play(stepwise, actions, settle=True)
        play(at_once, actions, settle=False)
        assert stepwise.rows() == at_once.rows()
        summed: Counter[str] = Counter()
        for _, episode, position, counts in stepwise.rows()["contribution"]:
            assert episode not in gone
            summed.update(canonical.decode(counts))
            with stepwise.journal.store.snapshot() as snapshot:
                assert canonical.decode(counts) == contribution(
                    load_episode(snapshot, stepwise.mind, episode, position)
                )
                assert load_episode(snapshot, stepwise.mind, episode) == load_episode(
                    snapshot, stepwise.mind, episode, position
                )
        assert stepwise.counts() == dict(summed)
        assert all(count > 0 for count in summed.values())
        with stepwise.journal.store.snapshot() as snapshot:
            found = read_statistics(snapshot, stepwise.mind)
        assert found.totals.episodes == len(stepwise.rows()["contribution"])


@given(st.lists(st.text(max_size=20) | st.integers(0, 700), min_size=1, max_size=5))
def test_a_key_reads_back_as_its_parts(parts: list[str | int]) -> None:
    assert decode_key(encode_key(*parts)) == parts


def test_a_contribution_names_the_event_as_of_which_it_holds(ground: Ground) -> None:
    episode = ground.record([SEARCH])
    ground.settle()
    (ended,) = ground.rows()["contribution"]
    ground.update(episode, domain="air")
    ground.settle()
    (updated,) = ground.rows()["contribution"]
    assert (ended[1:3], updated[1:3]) == ((episode, 2), (episode, 3))
