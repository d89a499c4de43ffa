"""The episodes most like a task: as a comparison with each of them one by one would find them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.ids import parse_id
from tacit.journal.consumer import consumer_position
from tacit.learning.advising.nearest import Shelf
from tacit.learning.advising.word_index import MOST_WORDS, WordIndex
from tacit.learning.lessons.lessons import Lessons, forget_lessons
from tacit.learning.lessons.trace import words_of
from tacit.mind import Mind
from tacit.models.hashing import HashingEmbedder
from tacit.stores import schema
from trials import open_mind

pytestmark = pytest.mark.requirement("LE-09")
WORDS = ["red", "green", "blue", "ship", "harbour", "Größe", "東京"]


@pytest.fixture
def mind(tmp_path: Path) -> Iterator[Mind]:
    with open_mind(tmp_path / "a.db", learning__embedder="none") as opened:
        yield opened


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=5), max_size=90), st.sets(st.sampled_from(WORDS)), st.randoms()
)
def test_likeness_is_the_weighed_share_of_words_whatever_rows_came_and_went(
    rows: list[list[str]], asked: set[str], chance: random.Random
) -> None:
    index, kept = WordIndex(), dict[int, set[str]]()
    for number, words in enumerate(rows):
        index.put(number, words)
        kept[number] = set(words)
    for number in chance.sample(range(len(rows)), len(rows) // 2):
        index.clear(number)
        del kept[number]
        if chance.random() < 0.5:
            index.put(number, asked)
            kept[number] = set(asked)
    found = index.likeness(asked)
    weights = {word: math.log((len(kept) + 1) / (sum(word in each for each in kept.values()) + 0.5)) for word in asked}
    for number, words in kept.items():
        expected = (
            sum(weights[word] for word in words & asked) / sum(weights.values()) if sum(weights.values()) > 0 else 0
        )
        assert found[number] == pytest.approx(expected, abs=1e-5)
    assert all(found[number] == 0 for number in range(len(found)) if number not in kept)


def test_a_row_of_very_many_words_is_cut() -> None:
    index = WordIndex()
    index.put(0, [f"w{number}" for number in range(10 * MOST_WORDS)])
    index.put(1, ["w1"])
    assert index.likeness(["w1"])[0] > 0
    assert index.likeness([f"w{MOST_WORDS}"])[0] == 0


def live(mind: Mind, text: str) -> str:
    with mind.episode(text) as episode:
        episode.step(tool="look", observation=text, success=True)
        episode.complete("success")
    return episode.id


def nearest(mind: Mind, shelf: Shelf, text: str, most: int = 3) -> list[str]:
    mind.settle(60)
    id = mind.recorder.mind.id
    with mind.recorder.journal.store.snapshot() as snapshot:
        shelf.catch_up(snapshot, id, consumer_position(snapshot, id, Lessons.name))
    return [each.episode for each in shelf.nearest([f"word:{word}" for word in words_of(text)], most)]


def test_a_shelf_follows_what_comes_changes_and_leaves_its_window(mind: Mind) -> None:
    shelf = Shelf(3)
    first = live(mind, "paint the red ship")
    others = [live(mind, f"sweep the {colour} harbour") for colour in ("green", "blue")]
    assert nearest(mind, shelf, "a red ship")[0] == first
    mind.update(others[0], description="paint another red ship")
    assert set(nearest(mind, shelf, "a red ship", 2)) == {first, others[0]}
    newest = live(mind, "sell the blue boat")
    assert first not in nearest(mind, shelf, "a red ship")  # the oldest has left
    assert nearest(mind, shelf, "a blue boat")[0] == newest


@pytest.mark.parametrize("erased", [1, 6])
def test_what_was_erased_is_not_found_though_there_are_more_than_the_shelf_holds(mind: Mind, erased: int) -> None:
    shelf = Shelf(4)
    ids = [live(mind, f"visit town number {'abcdefgh'[number] * 3}") for number in range(8)]
    assert nearest(mind, shelf, "visit town number ggg")[0] == ids[6]
    with mind.recorder.journal.store.transaction() as transaction:
        assert forget_lessons(transaction, mind.recorder.mind.id, parse_id(ids[erased])) == 1
    live(mind, "something else entirely")
    assert ids[erased] not in nearest(mind, shelf, "visit town number bbb ggg", 8)


def test_meaning_finds_what_shares_no_word(tmp_path: Path) -> None:
    with open_mind(tmp_path / "m.db") as mind:
        wanted = live(mind, "Reserve a hotel room in Paris")
        live(mind, "Compute the integral of a polynomial")
        mind.settle(60)
        found = mind.advise("book lodging for a trip to France", record=False).episodes
        assert found[0].id == wanted


def test_an_episode_without_a_vector_is_judged_by_its_words_alone(mind: Mind) -> None:
    """Beside others with vectors it must not lose half of its likeness."""
    known, fresh = live(mind, "paint the red ship"), live(mind, "paint the blue ship")
    embedder, id = HashingEmbedder(16), mind.recorder.mind.id
    journal = mind.recorder.journal
    shelf = Shelf(5, "some model")
    words = [f"word:{word}" for word in words_of("paint the ship")]
    vector = embedder.embed(["something else"])[0]
    mind.settle(60)
    with journal.store.transaction() as transaction:
        body = (-vector).astype("<f2").tobytes()
        transaction.insert(schema.vector, ((id, "some model", parse_id(known), 3, body),))
    with journal.store.snapshot() as snapshot:
        shelf.catch_up(snapshot, id, consumer_position(snapshot, id, Lessons.name))
    by_words = {each.episode: each.likeness for each in shelf.nearest(words, 5)}
    by_both = {each.episode: each.likeness for each in shelf.nearest(words, 5, vector)}
    assert by_both[fresh] == by_words[fresh] > 0
    assert by_both[known] == pytest.approx(by_words[known] / 2)
