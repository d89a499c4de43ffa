"""The cache of answers: bounded, counted, and never a way to what was changed or is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import tacit
from tacit.cache import AnswerCache, CacheUse
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("JR-15")


A = ("recall", "a")


class Timer:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_found_until_it_is_too_old() -> None:
    timer = Timer()
    cache = AnswerCache(10_000, 60, timer=timer)
    assert cache.get(A) is None
    cache.put(A, b"answer")
    timer.now = 59
    assert cache.get(A) == b"answer"
    timer.now = 61
    assert cache.get(A) is None
    assert cache.use["recall"] == CacheUse(hits=1, misses=2)
    assert cache.use["episode"] == CacheUse()


def test_what_was_used_longest_ago_goes_when_there_is_no_room() -> None:
    cache = AnswerCache(3 * 300, 60)
    for name in "abc":
        cache.put(("recall", name), b"x" * 100)
    cache.get(A)
    cache.put(("recall", "d"), b"x" * 100)
    assert [name for name in "abcd" if cache.get(("recall", name))] == ["a", "c", "d"]
    assert cache.use["recall"].evictions == 1
    assert cache.size_bytes <= 900
    cache.put(("recall", "e"), b"x" * 1_000)  # larger than all of it
    assert cache.get(("recall", "e")) is None
    assert len(cache) == 3
    cache.clear()
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_an_answer_is_given_only_while_it_holds() -> None:
    cache = AnswerCache(10_000, 60)
    cache.put(A, b"answer", good=(100, 200))
    assert [cache.get(A, now) for now in (99, 100, 199, 200)] == [None, b"answer", b"answer", None]


def test_what_nobody_asked_for_takes_no_place_of_what_is_there() -> None:
    cache = AnswerCache(2 * 300, 60)
    cache.put(A, b"x" * 100)
    assert cache.fill(("episode", "b"), lambda: b"x" * 100)
    assert not cache.fill(("episode", "c"), lambda: b"x" * 100)
    assert cache.get(A) is not None
    assert cache.use["episode"] == CacheUse()


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = AnswerCache(0, 60)
    cache.put(A, b"")
    assert cache.get(A) is None


def test_an_episode_is_read_once_until_something_is_written(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        cache = mind._shared.cache
        with mind.episode("change a seat", key="one") as episode:
            episode.step(tool="look", parameters={"at": [1, 2.5, None]}, observation={"seat": "12A"})
            episode.complete("success")
        first = mind.get(episode.id)
        again = mind.get(episode.id)
        assert again == first
        assert cache.use["episode"] == CacheUse(hits=1, misses=1)
        again.steps[0].parameters["at"].append("spoilt by its reader")
        assert mind.get(episode.id) == first
        mind.update(episode.id, add_tags=["seat"])
        assert mind.get(episode.id).task.tags == ("seat",)
        assert cache.use["episode"].misses == 2


def test_what_another_process_writes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path) as mind, open_mind(path) as other:
        id = mind.record({"task": {"description": "one"}, "steps": []})
        assert mind.get(id).task.description == mind.get(id).task.description == "one"
        other.update(id, description="two")
        assert mind.get(id).task.description == "two"


def test_what_all_processes_counted_is_kept_in_the_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for _ in range(2):
        with open_mind(path) as mind:
            id = mind.record({"task": {"description": "one"}, "steps": [], "key": "k"})
            for _ in range(3):
                mind.get(id)
    with tacit.open_store(path, settings=settings()) as store:
        assert store.cache_use() == {"episode": CacheUse(hits=4, misses=2), "recall": CacheUse()}


def test_the_settings_of_the_cache_act(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", cache__bytes=0) as mind:
        id = mind.record({"task": {"description": "one"}, "steps": []})
        mind.get(id)
        mind.get(id)
        assert mind._shared.cache.use["episode"].hits == 0
    with open_mind(tmp_path / "store.db", cache__ttl_seconds=0.1) as mind:
        assert mind._shared.cache._entries.ttl == 0.1


@pytest.mark.requirement("JR-06")
def test_an_erased_episode_is_served_to_nobody_also_not_of_the_past(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path) as mind, open_mind(path) as other:
        id = mind.record({"task": {"description": "one"}, "steps": []})
        mind.record({"task": {"description": "two"}, "steps": []})
        moment = datetime.now(UTC)
        then, there = mind.at(moment), other.at(moment)
        for view in (mind, other, then, there):
            assert view.get(id).task.description == view.get(id).task.description == "one"
        mind.erase(episode=id)
        for view in (mind, other, then, there):
            with pytest.raises(tacit.TacitError):
                view.get(id)
        assert not any(b"one" in entry.value for entry in mind._shared.cache._entries.values())
        assert not any(b"one" in entry.value for entry in other._shared.cache._entries.values())
