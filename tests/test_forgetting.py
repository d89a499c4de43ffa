"""Forgetting by usefulness: what goes when there is too much, what stays, and that it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.clock import ManualClock
from tacit.errors import InvalidInput
from tacit.recall.usefulness import MICROS_PER_DAY, Known, least_useful, usefulness
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-08")

DAY = 86_400.0
NOW = 1_000 * MICROS_PER_DAY


def known(
    number: int = 1, *, age: float = 0, uses: int = 0, kind: str = "note", importance: float | None = None
) -> Known:
    return Known(bytes([number]), kind, NOW - round(age * MICROS_PER_DAY), uses, importance, 10)


def test_each_part_of_usefulness_moves_it_alone() -> None:
    plain = usefulness(known(), NOW, 90)
    assert usefulness(known(age=90), NOW, 90) == pytest.approx(plain - 0.5 / 3)
    assert usefulness(known(age=180), NOW, 90) == pytest.approx(plain - 0.75 / 3)
    assert usefulness(known(uses=1), NOW, 90) == pytest.approx(plain + 0.5 / 3)
    assert usefulness(known(uses=9), NOW, 90) == pytest.approx(plain + 0.9 / 3)
    assert usefulness(known(importance=1.0), NOW, 90) == pytest.approx(plain + 0.5 / 3)
    assert usefulness(known(kind="instruction", importance=0.0), NOW, 90) == pytest.approx(plain + 0.5 / 3)
    assert usefulness(known(age=-5), NOW, 90) == plain  # a clock that went back


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 50), st.integers(1, 500)), max_size=30),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(1, 3_000),
)
def test_no_more_is_left_than_may_be_and_no_more_goes_than_must(
    rows: list[tuple[float, int, int]], most: int | None, most_bytes: int | None
) -> None:
    memories = [
        Known(number.to_bytes(2, "big"), "note", NOW - round(age * MICROS_PER_DAY), uses, None, size)
        for number, (age, uses, size) in enumerate(rows)
    ]
    gone = least_useful(memories, most=most, most_bytes=most_bytes, now=NOW, half_life_days=30)
    names = {each.id for each, _ in gone}
    left = [each for each in memories if each.id not in names]

    def fits(some: list[Known]) -> bool:
        size = sum(each.bytes for each in some)
        return (most is None or len(some) <= most) and (most_bytes is None or size <= most_bytes)

    assert fits(left)
    if gone:
        assert not fits([*left, gone[-1][0]])
        assert gone[-1][1] <= min((usefulness(each, NOW, 30) for each in left), default=1.0)
    values = [value for _, value in gone]
    assert values == sorted(values)


@pytest.mark.requirement("JR-09")
def test_the_least_useful_is_forgotten_and_a_dry_run_tells_the_same(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__memories=3) as mind:
        old = mind.remember("an old note")
        rule = mind.remember("always answer in French", kind="instruction")
        clock.advance(400 * DAY)
        dull = mind.remember("trivial", importance=0.0)
        kept = [mind.remember("fresh"), mind.remember("vital", importance=1.0)]
        told = mind.maintain(dry_run=True)
        assert len(mind.memories()) == 5
        done = mind.maintain()
        assert done.forgotten == told.forgotten
        assert [(each.id, each.why) for each in done.forgotten] == [(old.id, "capacity"), (dull.id, "capacity")]
        assert {each.id for each in mind.memories()} == {rule.id, *(each.id for each in kept)}
        assert {each.id for each in mind.forgotten()} == {old.id, dull.id}
        assert mind.memory_history(old.id)[-1].ending == "forgotten"
        assert mind.maintain().forgotten == ()
        assert mind.at(datetime.fromtimestamp(clock.now() / 1e6, UTC)).memories()  # the past has a way to read, too


@pytest.mark.requirement("JR-09")
def test_what_is_older_than_its_kind_may_be_is_forgotten_unless_it_was_found_since(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, retention__turn_days=30, learning__embedder="none") as mind:
        old, found = mind.remember("hello", kind="turn"), mind.remember("the code is 4711", kind="turn")
        fact = mind.remember("water boils at 100 °C", kind="fact")
        clock.advance(29 * DAY)
        assert [hit.id for hit in mind.recall("which code is it")] == [found.id]
        mind._shared.uses.write(mind.recorder.journal)
        clock.advance(2 * DAY)
        assert [(each.id, each.why) for each in mind.maintain().forgotten] == [(old.id, "age")]
        assert {each.id for each in mind.memories()} == {found.id, fact.id}


@pytest.mark.requirement("JR-09")
def test_a_bound_on_bytes_counts_bytes_and_not_letters(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", retention__memory_bytes=20) as mind:
        mind.remember_many([{"text": "é" * 5}, {"text": "é" * 5}])
        assert mind.maintain().forgotten == ()
        mind.remember("x")
        assert len(mind.maintain().forgotten) == 1


def test_without_a_bound_nothing_is_ever_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock) as mind:
        mind.remember_many({"text": f"note {number}"} for number in range(50))
        clock.advance(10_000 * DAY)
        assert mind.maintain().forgotten == ()
        with pytest.raises(InvalidInput, match="dry_run"):
            mind.maintain(dry_run="yes")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="limit"):
            mind.forgotten(limit=0)
