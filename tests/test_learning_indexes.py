"""What learning asks of the database is answered from indexes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tacit.learning.advising import book
from tacit.learning.lessons import lessons, vectors
from tacit.learning.studying import fits, forecasts
from tacit.learning.trials import exposure
from tacit.stores import schema
from tacit.stores.sqlite import MEMORY, SqliteStore

pytestmark = pytest.mark.requirement("JR-17")
MIND = b"m" * 16
ASKED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "lessons since": (lessons._began, {"after": 5, "position": 9, "most": 5}, "lesson_since (mind=? AND since>?"),
    "newest lessons": (
        lessons._heads,
        {"after": 5, "position": 9, "most": 5},
        "lesson_since (mind=? AND since>?",
    ),
    "lessons replaced": (lessons._ended, {"after": 5, "position": 9}, "lesson_until (mind=? AND until>?"),
    "how many lessons": (
        lessons._current,
        {"after": 0, "position": 9},
        "COVERING INDEX lesson_until (mind=? AND until=?",
    ),
    "vectors since": (vectors._since, {"model": "x", "after": 5, "position": 9, "most": 5}, "vector_since (mind=?"),
    "any vector": (vectors._any, {"model": "x"}, "(mind=? AND model=?)"),
    "exposures judged": (exposure._judged, {"after": 5, "position": 9}, "PRIMARY KEY (mind=?)"),
    "the book": (book._newest, {"position": 9}, "(mind=? AND position<?)"),
    "the fit": (fits._newest, {"position": 9}, "(mind=? AND position<?)"),
    "advice of an episode": (exposure._by_episode, {"episode": b"e"}, "exposure_episode (episode=? AND mind=?)"),
    "draws of a piece of advice": (exposure._draws, {"item": "x", "position": 9}, "PRIMARY KEY (mind=? AND item=?)"),
    "how often it was drawn": (exposure._drawn, {"item": "x"}, "PRIMARY KEY (mind=? AND item=?)"),
    "forecasts": (forecasts._all, {"position": 9}, "forecast_position (mind=?"),
}


@pytest.fixture(scope="module")
def store() -> SqliteStore:
    opened = SqliteStore(MEMORY)
    with opened.transaction() as transaction:
        transaction.insert(
            schema.exposure, [(MIND, os.urandom(16), place, os.urandom(16), None, None) for place in range(2_000)]
        )
    return opened


@pytest.mark.parametrize("name", ASKED)
def test_an_index_answers(store: SqliteStore, name: str) -> None:
    statement, values, used = ASKED[name]
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, mind=MIND, **values)  # type: ignore[attr-defined]
    assert used in plan[0]
    assert not any(line.startswith("SCAN") for line in plan)


def test_the_steps_of_each_episode_are_counted_from_an_index(store: SqliteStore) -> None:
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(exposure._draws, mind=MIND, item="x", position=9)  # type: ignore[attr-defined]
    assert any(line.startswith("SEARCH step USING") for line in plan)


@pytest.mark.parametrize(
    ("statement", "values", "used"),
    [
        (
            lessons._end,
            {"of": MIND, "which": b"e", "position": 9},
            "lesson USING INDEX sqlite_autoindex_lesson_1 (mind=? AND episode=?)",
        ),
        (
            vectors._drop,
            {"of": MIND, "by": "x", "which": b"e"},
            "sqlite_autoindex_vector_1 (mind=? AND model=? AND owner=?",
        ),
        (exposure._judge, {"of": MIND, "which": b"e", "turned_out": "x", "at": 9}, "PRIMARY KEY (mind=? AND id=?)"),
    ],
)
def test_what_is_written_is_found_through_its_key(
    store: SqliteStore, statement: Any, values: dict[str, Any], used: str
) -> None:
    with store.snapshot() as snapshot:
        plan = snapshot.query_plan(statement, **values)  # type: ignore[attr-defined]
    assert used in plan[0]
