"""A search ignores letter case in every script, equally on every store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tacit
from tacit.clock import from_micros
from tacit.stores.folding import folded
from trials import open_mind

pytestmark = pytest.mark.requirement("EP-01", "JR-07")


@pytest.fixture(params=["memory", "file", "postgres"])
def mind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    places = {"memory": ":memory:", "file": str(tmp_path / "a.db")}
    location = places.get(request.param) or request.getfixturevalue("postgres_url")
    with open_mind(location) as mind:
        yield mind


FOUND = {
    "ASCII": ("Change SEAT", ["change", "seat", "SEAT change", "eat ch"]),
    "accents": ("Élan vital", ["élan", "ÉLAN", "VITAL", "e\u0301lan", "E\u0301LAN"]),
    "accents of their own": ("E\u0301lan vital", ["élan", "ÉLAN", "E\u0301LAN"]),
    "German": ("Große Straße", ["GROSSE", "STRASSE", "GROẞE STRAẞE", "straße", "strasse", "ẞ"]),
    "a capital ẞ": ("STRAẞE", ["straße", "strasse", "STRASSE"]),
    "Greek": ("ὈΔΥΣΣΕΎΣ ΌΔΟΣ", ["ὀδυσσεύς", "όδος", "όδοσ", "ΌΔΟΣ"]),
    "Greek with a final sigma": ("οδυσσεύς", ["ΟΔΥΣΣΕΎΣ", "οδυσσεύσ", "σε"]),
    "Greek with an iota below": ("τῇ θεᾷ", ["ΤΗ͂Ι", "ΘΕΑ͂Ι"]),
    "Turkish with a dot": ("İstanbul", ["istanbul", "İSTANBUL", "ISTANBUL", "i̇stanbul"]),
    "Turkish without a dot": ("Isparta ışığı", ["ısparta", "IŞIĞI", "ISPARTA"]),
    "Cyrillic": ("Рейс Москва", ["рейс", "МОСКВА", "москва рейс"]),
    "Armenian": ("Երևան", ["ԵՐԵՒԱՆ", "երևան"]),
    "Cherokee": ("ᏣᎳᎩ", ["ꮳꮃꭹ"]),
    "beyond the first plane": ("𐐔𐐯𐑅𐐨𐑉𐐯𐐻", ["𐐼𐐯𐑅𐐨𐑉𐐯𐐻"]),
    "full width": ("ＳＥＡＴ １２", ["seat", "ｓｅａｔ", "12"]),
    "ligatures": ("ﬁnal oﬀer", ["FINAL", "offer"]),
    "without letter case": ("座席を変更 50%_", ["座席", "50%", "%_"]),
}


@pytest.mark.parametrize(("description", "texts"), FOUND.values(), ids=FOUND)
def test_a_description_is_found_however_its_letters_are_written(
    mind: tacit.Mind, description: str, texts: list[str]
) -> None:
    mind.record({"task": {"description": "Something else"}, "steps": []})
    id = mind.record({"task": {"description": description}, "steps": []})
    for text in texts:
        assert [found.id for found in mind.episodes(text)] == [id], text
    assert [found.description for found in mind.episodes(description)] == [description]


def test_what_is_another_letter_is_not_found(mind: tacit.Mind) -> None:
    for description in ("Élan", "Москва", "Straße", "100 % sure", "a\\b"):
        mind.record({"task": {"description": description}, "steps": []})
    for text in ("elan", "масква", "strase", "100_", "a%b", "lané"):
        assert mind.episodes(text) == [], text


def test_a_changed_description_is_found_as_it_is_and_in_the_past_as_it_was(mind: tacit.Mind) -> None:
    id = mind.record({"task": {"description": "Ärger"}, "steps": []})
    before = mind.recorder.journal.clock.now()
    mind.update(id, description="Plain")
    mind.update(id, description="Öde")
    assert [found.id for found in mind.episodes("ÖDE")] == [id]
    assert mind.episodes("ärger") == mind.episodes("plain") == []
    assert [found.id for found in mind.at(from_micros(before)).episodes("ÄRGER")] == [id]


def test_a_text_that_folds_into_many_words_is_refused_like_any_other(mind: tacit.Mind) -> None:
    with pytest.raises(tacit.InvalidInput, match="words"):
        mind.episodes("\ufdfa" * 40)  # one character that stands for four words


@pytest.mark.parametrize("word", ["a" * 20_001, "%" * 20_001, "ß" * 10_001])
def test_a_word_that_is_too_long_for_a_pattern_is_refused(mind: tacit.Mind, word: str) -> None:
    with pytest.raises(tacit.InvalidInput, match="20,000"):
        mind.episodes(word)
    assert mind.episodes(word[:10_000]) == []


def test_no_letter_of_unicode_differs_from_its_capital_or_its_other_spellings() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).upper() != chr(code).lower()]
    assert len(letters) > 2_700
    for letter in letters:
        same = {letter, letter.upper(), letter.lower(), letter.title(), folded(letter)}
        assert len({folded(one) for one in same}) == 1, letter
