"""When recall answers nothing, what a time alone brings, and how far meaning is trusted in a language."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy
import pytest

import tacit
from tacit.clock import ManualClock
from tacit.recall.evidence import evidence_for
from tacit.recall.moments import periods_in, spans_of
from tacit.recall.pool import Statistics
from tacit.recall.question import read_question
from tacit.recall.recipe import DEFAULT
from tacit.stores.terms import terms_of
from trials import open_mind

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOW_MICROS = int(NOW.timestamp()) * 1_000_000
BOUGHT = ("lamp", "violin", "ladder", "kettle", "map", "tent", "clock", "mirror", "carpet", "helmet", "drill", "sofa")
NONSENSE = ("???", "-- !! ...", "asdf qwer zxcv", "hjkl lkjsdf")


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tacit.Mind]:
    """Sixty things that were done with their days, the vectors made."""
    chance = random.Random(7)
    did = ("painted a fence", "cooked lentil soup", "repaired a bicycle", "read about volcanoes", "sang in the choir")
    where = ("in the garden", "at the harbour", "with my cousin", "after work", "during a storm", "for the neighbours")
    texts = [f"I {one} {other}" for one in did for other in where] + [
        f"We {one} {other} again" for one in did for other in where
    ]
    chance.shuffle(texts)
    clock = ManualClock(NOW_MICROS)
    with open_mind(tmp_path_factory.mktemp("talks") / "store.db", clock=clock) as mind:
        mind.remember_many(
            {"text": text, "kind": "turn", "speaker": ("Ann", "Ben")[number % 2], "session": f"s{number // 6}",
             "occurred_at": datetime(2023, 1, 1, 9, tzinfo=UTC) + timedelta(days=6 * number)}
            for number, text in enumerate(texts)
        )  # fmt: skip
        mind.remember("Answer in short sentences", kind="instruction", occurred_at=datetime(2022, 1, 1, tzinfo=UTC))
        mind.remember_many(
            {"text": f"The {thing} {bought} in shop number {number}", "kind": "note",
             "occurred_at": datetime(2024, 2, 1, tzinfo=UTC)}
            for number, (thing, bought) in enumerate(product(BOUGHT, ("was sold out", "cost too much", "is on sale")))
        )  # fmt: skip
        mind.settle(120)
        yield mind


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize("query", NONSENSE)
@pytest.mark.parametrize("recipe", ["default", "plain", "lexical"])
def test_nothing_is_recalled_where_nothing_is_asked_and_a_note_says_so(
    talks: tacit.Mind, query: str, recipe: str
) -> None:
    found = talks.recall(query, recipe=recipe)
    assert [hit.kind for hit in found if hit.kind != "instruction"] == []
    assert any("nothing" in note for note in found.notes)


@pytest.mark.requirement("RE-02")
def test_what_holds_whatever_is_asked_accompanies_a_question_that_nothing_answers(talks: tacit.Mind) -> None:
    found = talks.recall("Derive polynomial equations", recipe="lexical")
    assert [hit.text for hit in found] == ["Answer in short sentences"]
    assert any("nothing that is remembered" in note for note in found.notes)


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize(
    "query", ["Who fixed two wheels?", "harbour", "What did Ann do?", "What happened in June 2023?", "the newest"]
)
def test_a_word_a_name_a_time_or_a_meaning_is_enough_to_be_answered(talks: tacit.Mind, query: str) -> None:
    found = talks.recall(query)
    assert len(found) == 10
    assert found.notes == ()


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize(("nearest", "known", "wanted"), [
    (3.0, 1.0, "some"), (2.6, 1.0, "some"), (1.5, 1.0, "none"), (3.0, 0.0, "unasked"), (3.6, 0.0, "some"),
])  # fmt: skip
def test_meaning_answers_alone_unless_chance_does_as_well(nearest: float, known: float, wanted: str) -> None:
    signals = {"words": numpy.zeros(3), "meaning": numpy.array([nearest, 0.2, -1.0])}
    question = read_question("whom do penguins marry", terms_of, (), NOW_MICROS)
    statistics = Statistics(documents=500, mean_length=9.0, frequencies={}, familiarity=known)
    places = numpy.arange(3)
    assert evidence_for(question, signals, places, statistics, compared=True) == wanted
    few = Statistics(documents=500, compared=9, mean_length=9.0, frequencies={}, familiarity=known)
    assert evidence_for(question, signals, places, few, compared=True) == ("some" if known else "unasked")
    assert evidence_for(question, signals, places, statistics, compared=False) == "none"
    signals["words"][1] = 0.1
    assert evidence_for(question, signals, places, statistics, compared=False) == "some"


@pytest.mark.requirement("RE-04")
@pytest.mark.parametrize("recipe", ["default", "lexical"])
def test_a_time_is_nearly_all_that_is_asked_about_and_what_is_of_it_comes_first(talks: tacit.Mind, recipe: str) -> None:
    found = talks.recall("What happened in June 2023?", k=3, recipe=recipe)
    assert [hit.occurred_at.strftime("%Y-%m") for hit in found if hit.occurred_at] == ["2023-06"] * 3
    notes = talks.recall("What happened in June 2023?", k=3, kinds=["note"])  # nothing is shut out
    assert [hit.kind for hit in notes] == ["note"] * 3
    asked = talks.recall("Who repaired a bicycle in June 2023?", recipe=recipe)
    assert "bicycle" in asked[0].text


@pytest.mark.requirement("RE-04")
def test_a_month_of_no_year_is_looked_for_in_the_last_ones() -> None:
    def spans(text: str) -> list[str]:
        return [
            "…".join("" if end is None else f"{datetime.fromtimestamp(end / 1e6, UTC):%Y-%m-%d}" for end in span)
            for span in spans_of(periods_in(text, NOW_MICROS), NOW_MICROS)
        ]

    assert spans("in May") == ["2026-05-01…2026-06-01", "2025-05-01…2025-06-01", "2024-05-01…2024-06-01"]
    assert spans("in December") == ["2025-12-01…2026-01-01", "2024-12-01…2025-01-01"]
    assert spans("on 29 February") == ["2024-02-29…2024-03-01"]
    assert spans("before 2024") == ["…2024-01-01"]
    assert spans("a dog") == []


@pytest.mark.requirement("RE-03", "RE-12")
def test_meaning_weighs_less_in_a_language_that_the_embedder_does_not_know_and_the_reasons_say_so(
    tmp_path: Path,
) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        mind.remember_many([{"text": "Alma adopted a dog"}, {"text": "اشترى أنطون دراجة من السوق أمس"}])
        mind.settle(120)
        for query, share in (("Who adopted a dog?", 1.0), ("ماذا اشترى أنطون من السوق؟", 0.03)):
            hit = mind.recall(query)[0]
            weights = {reason.signal: reason.weight for reason in hit.why}
            assert weights["meaning"] == pytest.approx(share * DEFAULT.weights["meaning"])
            assert weights["words"] == DEFAULT.weights["words"]
            assert hit.score == sum(reason.contribution for reason in hit.why)


@pytest.mark.requirement("RE-01")
def test_of_a_day_the_nearest_in_meaning_are_those_that_were_true_then(tmp_path: Path) -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    with open_mind(tmp_path / "store.db", clock=ManualClock(NOW_MICROS)) as mind:
        mind.remember("My puppy hurt its paw", valid_to=day)
        mind.remember_many({"text": f"The dog of house {n} limps", "valid_from": day} for n in range(400))
        mind.settle(120)
        then = mind.recall("an injured animal", valid_at=day - timedelta(days=3))
        assert [hit.text for hit in then] == ["My puppy hurt its paw"]


@pytest.mark.requirement("RE-12")
def test_what_is_only_emoji_and_what_has_an_ending_after_its_apostrophe_is_found(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        mind.remember_many([{"text": "🚲❤️"}, {"text": "İstanbul'da gezdik"}, {"text": "It's five o'clock"}])
        for query, text in (("🚲", "🚲❤️"), ("istanbul", "İstanbul'da gezdik"), ("ISTANBUL’A", "İstanbul'da gezdik")):
            assert [hit.text for hit in mind.recall(query)] == [text]
