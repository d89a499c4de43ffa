"""Which memories answer a question: ranked by evidence that adds up, whatever order they were found in."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy
import pytest

from tacit.errors import InvalidInput
from tacit.recall.budget import packed, tokens_of
from tacit.recall.evidence import LEAST_FAMILIARITY
from tacit.recall.pool import Candidate, Pool, Statistics
from tacit.recall.question import Question, read_question
from tacit.recall.ranking import Ranked, rank
from tacit.recall.reading import read
from tacit.recall.recipe import DEFAULT, RECIPES, SIGNALS, Recipe, recipe_of

NOW = int(datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400 * 1_000_000
NAMES = frozenset({"alma", "bruno"})
CHAT = (
    ("Alma", "Hello Bruno, how was your week?"),
    ("Bruno", "Busy as always, but fine."),
    ("Alma", "I adopted a beagle last week and named her Juno."),
    ("Bruno", "A beagle! Is the beagle house-trained, Alma?"),
    ("Alma", "She is, mostly."),
    ("Bruno", "I painted the attic in mustard yellow together with my sister."),
    ("Alma", "Which brush did you use for the attic?"),
    ("Bruno", "The broad one from the cellar."),
    ("Alma", "Take care, talk later!"),
)


def terms_of(text: str) -> list[str]:
    return [word.removesuffix("s") for word in re.findall(r"\w+", text.casefold())]


def a_vector(text: str, size: int = 48) -> numpy.ndarray:
    """Of unit length; texts with words in common are alike."""
    total = numpy.zeros(size)
    for term in terms_of(text):
        total += numpy.random.default_rng(list(term.encode())).normal(size=size)
    return (total / max(float(numpy.linalg.norm(total)), 1e-9)).astype(numpy.float32)


def memory(number: int, text: str, speaker: str = "", embedded: bool = True, **more: object) -> Candidate:
    given = {"session": "s1" if speaker else "", "kind": "turn" if speaker else "note", **more}
    given.setdefault("occurred_at", NOW - (20 - 2 * number) * DAY if number < 10 else NOW - 40 * DAY)
    return Candidate(
        id=f"m{number}",
        text=text,
        reading=read(text, terms_of(text)),
        names=terms_of(speaker),
        speaker=speaker,
        number=number,
        vector=a_vector(text) if embedded else None,
        **given,  # type: ignore[arg-type]
    )


def chat(embedded: bool = True) -> list[Candidate]:
    return [memory(number, text, speaker, embedded) for number, (speaker, text) in enumerate(CHAT)]


def asked(text: str) -> Question:
    return read_question(text, terms_of, NAMES, NOW)


def known_of(items: Sequence[Candidate], question: Question) -> Statistics:
    return Statistics(
        documents=len(items),
        mean_length=sum(item.reading.length for item in items) / len(items),
        frequencies={term: sum(term in item.reading.counts for item in items) for term in question.terms},
    )


def ranked(
    text: str, items: Sequence[Candidate], recipe: Recipe = DEFAULT, vectors: bool = True, most: int = 10
) -> list[Ranked]:
    question = asked(text)
    pair = numpy.stack([a_vector(question.text), a_vector(question.bare)]) if vectors else None
    return rank(question, pair, Pool(items), known_of(items, question), recipe=recipe, most=most)


def ids(hits: Sequence[Ranked]) -> list[str]:
    return [hit.candidate.id for hit in hits]


def value_of(hit: Ranked, signal: str) -> float:
    return next((share.value for share in hit.why if share.signal == signal), 0.0)


def test_what_is_no_longer_true_stands_behind_what_is() -> None:
    items = [*chat(), memory(50, "Bruno lives in Lima"), memory(51, "Bruno lives in Lima", valid=False)]
    assert ids(ranked("Where does Bruno live, in Lima?", items))[:2] == ["m50", "m51"]


QUESTIONS = (
    "What did Alma name her beagle?",
    "When did Bruno paint the attic?",
    "What happened last week?",
    "Who is the latest to use a brush?",
    "Alma?",
    "",
)


@pytest.mark.requirement("RE-03")
@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_contributions_of_a_hit_are_exactly_its_score(text: str, recipe: Recipe) -> None:
    hits = ranked(text, chat(), recipe)
    assert len(hits) == (len(CHAT) if text else 0)
    if "week" in text:  # a time is all that it is about, and of that a vector says nothing
        recipe = recipe.with_meaning_by(LEAST_FAMILIARITY)
    for hit in hits:
        assert hit.score == sum(share.contribution for share in hit.why)
        assert all(share.contribution == share.weight * share.value for share in hit.why)
        assert all(share.weight == recipe.weights[share.signal] and share.value for share in hit.why)


@pytest.mark.requirement("RE-02", "RE-03")
@pytest.mark.parametrize("signal", sorted(set(SIGNALS) - {"repetition"}))
def test_without_a_signal_each_score_falls_by_that_signals_share(signal: str) -> None:
    items = [*chat(), memory(20, "Bruno prefers tea", kind="preference", importance=0.9, occurred_at=NOW - 9 * DAY)]
    items.append(memory(21, "Juno was a beagle pup", occurred_at=NOW - 9 * DAY, valid=False))
    items += [memory(30 + number, f"beagle note {number}", embedded=number % 9 > 0) for number in range(30)]
    moved = 0
    for text in (*QUESTIONS, "What is the newest on Bruno's beagle?"):
        recipe = DEFAULT.without("repetition")
        whole = {hit.candidate.id: hit for hit in ranked(text, items, recipe, most=99)}
        less = {hit.candidate.id: hit for hit in ranked(text, items, recipe.without(signal), most=99)}
        for name, hit in whole.items():
            share = sum(one.contribution for one in hit.why if one.signal == signal)
            assert hit.score - less[name].score == pytest.approx(share, abs=1e-9)
            moved += share != 0
    assert moved, "a signal that never says anything"


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize("text", QUESTIONS)
def test_the_order_in_which_candidates_were_found_changes_nothing(text: str) -> None:
    items = [*chat(), *[memory(50 + number, "the same text") for number in range(4)]]
    expected = ranked(text, items)
    for seed in range(5):
        random.Random(seed).shuffle(items)
        found = ranked(text, items)
        assert [(hit.candidate.id, hit.score, hit.why) for hit in found] == [
            (hit.candidate.id, hit.score, hit.why) for hit in expected
        ]


@pytest.mark.requirement("RE-02")
def test_a_turn_that_tells_comes_before_the_turn_that_asks_about_it() -> None:
    items = [*chat(), *[memory(70 + number, f"about number {number}", "Bruno", session="s2") for number in range(30)]]
    hits = ranked("Does Alma have a beagle?", items, most=99)
    assert ids(hits)[0] == "m2"
    again = ranked("Does Alma have a beagle?", items, DEFAULT.without("asking"), most=99)
    asks = {hit.candidate.id: value_of(hit, "asking") for hit in hits}
    assert asks["m6"] == 1.0
    assert 0.5 < asks["m3"] < 1.0
    assert asks["m2"] == 0.0
    assert ids(hits).index("m3") >= ids(again).index("m3")


@pytest.mark.requirement("RE-02")
def test_a_name_stands_for_who_spoke_and_not_for_who_was_addressed() -> None:
    hits = ranked("What does Alma say about a beagle?", chat(), most=99)
    named = {hit.candidate.id for hit in hits if value_of(hit, "name") > 0}
    assert named == {f"m{number}" for number, (speaker, _) in enumerate(CHAT) if speaker == "Alma"}


@pytest.mark.requirement("RE-02")
def test_a_note_about_a_person_is_found_by_the_name_in_its_text() -> None:
    items = [*chat(), memory(40, "Alma is allergic to hazelnuts", kind="fact", session="")]
    hits = ranked("Is Alma allergic to anything?", items)
    assert ids(hits)[0] == "m40"
    assert value_of(hits[0], "name") > 0


@pytest.mark.requirement("RE-02")
def test_the_rarer_a_name_is_the_more_it_says() -> None:
    few = ranked(
        "What of Alma?", [*chat(), *[memory(60 + one, "so it is", "Bruno", session="s9") for one in range(90)]]
    )
    many = ranked("What of Alma?", chat())
    assert value_of(few[0], "name") > value_of(many[0], "name") + 1


@pytest.mark.requirement("RE-02")
def test_the_answer_to_a_question_is_found_by_the_words_of_the_question() -> None:
    hits = ranked("Which brush was used for the attic?", chat(), most=99)
    answer = next(hit for hit in hits if hit.candidate.id == "m7")
    assert value_of(answer, "words_around") > 0
    without = ranked(
        "Which brush was used for the attic?", chat(), DEFAULT.without("words_around", "meaning_around"), most=99
    )
    assert ids(hits).index("m7") <= ids(without).index("m7")


@pytest.mark.requirement("RE-02")
def test_neighbours_add_nothing_to_a_memory_that_says_it_all() -> None:
    best = ranked("adopted beagle named Juno", chat())[0]
    assert best.candidate.id == "m2"
    assert value_of(best, "words_around") == 0


@pytest.mark.requirement("RE-02")
def test_neighbours_that_only_stand_beside_are_no_answers() -> None:
    items = chat()
    items[6] = msgspec.structs.replace(items[6], ranked=False)
    hits = ranked("Which brush was used for the attic?", items, most=99)
    assert "m6" not in ids(hits)
    assert value_of(next(hit for hit in hits if hit.candidate.id == "m7"), "words_around") > 0


@pytest.mark.requirement("RE-02")
def test_signals_of_conversation_are_silent_where_there_is_none() -> None:
    items = [memory(number, f"wing flow number {number} " * (number + 1)) for number in range(30)]
    silent = {"words_around", "meaning_around", "name", "detail", "asking", "tells_time", "period", "trend"}
    for hit in ranked("wing flow", items):
        assert not silent & {share.signal for share in hit.why}


@pytest.mark.requirement("RE-04")
@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("What was on 8 May 2026?", 38),
        ("What was on 2026-05-08?", 38),
        ("What did we eat last week?", 7),
        ("What did we eat yesterday?", 1),
        ("What happened three days ago?", 3),
        ("What did we do in January?", 150),
        ("What did we do before May?", 150),
    ],
)
def test_a_time_in_a_question_favours_that_time_and_filters_nothing_out(text: str, day: int) -> None:
    items = [
        memory(number, "we ate soup", occurred_at=NOW - ago * DAY) for number, ago in enumerate((0, 1, 3, 7, 38, 150))
    ]
    hits = ranked(text, items, DEFAULT.without("recency", "repetition"))
    assert len(hits) == len(items)
    assert hits[0].candidate.occurred_at == NOW - day * DAY
    assert value_of(hits[0], "period") > 0


@pytest.mark.requirement("RE-04")
@pytest.mark.parametrize(
    "text", ["May I ask what we ate?", "Who may march on?", "What did we eat?", "What costs 2026 pounds?"]
)
def test_a_question_without_a_time_favours_none(text: str) -> None:
    assert asked(text).periods == ()


@pytest.mark.requirement("RE-04")
@pytest.mark.parametrize(
    "text", ["on 31 February 2026", "99999 years ago", "2026-13-45", "999 years ago", "on May 99", "in 2026-00"]
)
def test_a_time_that_cannot_be_is_passed_over(text: str) -> None:
    assert len(ranked(f"What was {text}?", chat())) == len(CHAT)


@pytest.mark.requirement("RE-04")
def test_the_newest_and_the_oldest_are_told_by_their_times() -> None:
    items = [memory(number, "the seat was changed", occurred_at=NOW - (9 - number) * DAY) for number in range(9)]
    recipe = DEFAULT.without("repetition")
    assert ids(ranked("What is the latest seat?", items, recipe))[0] == "m8"
    assert ids(ranked("What was the first seat?", items, recipe))[0] == "m0"


@pytest.mark.requirement("RE-04")
def test_who_asks_when_gets_what_tells_a_time_first() -> None:
    items = [memory(0, "the attic was painted blue"), memory(1, "the attic was painted Monday")]
    items += [memory(2 + number, f"something else {number}") for number in range(20)]
    assert value_of(ranked("When was the attic painted?", items)[0], "tells_time") > 0
    assert value_of(ranked("How was the attic painted?", items)[0], "tells_time") == 0


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize("kind", ["preference", "instruction"])
def test_a_standing_memory_outranks_another_that_fits_as_well(kind: str) -> None:
    items = [memory(number, "answer in Danish", kind="note") for number in (1, 2)]
    items.append(memory(0, "answer in Danish", kind=kind))
    hits = ranked("How shall I reply?", items, DEFAULT.without("recency"))
    assert ids(hits)[0] == "m0"
    assert value_of(hits[0], "standing") == 1.0


@pytest.mark.requirement("RE-06")
@pytest.mark.parametrize("text", QUESTIONS)
def test_without_any_vector_words_decide(text: str) -> None:
    bare, unasked = ranked(text, chat(embedded=False)), ranked(text, chat(), vectors=False)
    assert [(hit.candidate.id, hit.score) for hit in unasked] == [(hit.candidate.id, hit.score) for hit in bare]
    assert not {"meaning", "meaning_around", "expected_meaning"} & {share.signal for hit in bare for share in hit.why}


@pytest.mark.requirement("RE-06")
def test_a_memory_whose_vector_is_not_there_yet_is_not_buried() -> None:
    items = [memory(number, f"note {number} on the weather of day {number}") for number in range(40)]
    items += [memory(50 + number, f"the lamp number {number} is broken") for number in range(4)]
    late = memory(60, "the lamp in the attic is broken", embedded=False)
    hits = ranked("Which lamp in the attic is broken?", [*items, late])
    assert ids(hits)[0] == "m60"
    assert value_of(hits[0], "expected_meaning") > 0
    assert value_of(hits[0], "meaning") == 0


@pytest.mark.requirement("RE-02")
def test_what_repeats_a_better_hit_stands_below_what_says_something_else() -> None:
    items = [memory(number, "the broken lamp in the attic") for number in range(3)]
    items.append(memory(9, "a broken lamp lies in the cellar"))
    items += [memory(20 + number, f"something else {number}") for number in range(20)]
    again = ranked("broken lamp in the attic", items, DEFAULT.without("repetition"), most=4)
    assert ids(again)[3] == "m9"
    strict = Recipe(name="strict", weights={**DEFAULT.weights, "repetition": -200.0})
    hits = ranked("broken lamp in the attic", items, strict, most=4)
    assert ids(hits)[1] == "m9"
    copies = [hit for hit in ranked("broken lamp in the attic", items, strict, most=99) if hit.candidate.number < 3]
    assert [value_of(hit, "repetition") for hit in copies] == pytest.approx([0.0, 1.0, 1.0])
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.requirement("RE-02")
def test_hits_are_packed_into_a_budget_in_their_order_and_never_cut() -> None:
    hits = ranked("beagle attic brush", chat(), most=99)
    everything = sum(tokens_of(hit.candidate.text) for hit in hits)
    assert packed(hits, everything) == hits
    for budget in range(1, everything):
        kept = packed(hits, budget)
        assert sum(tokens_of(hit.candidate.text) for hit in kept) <= budget
        assert kept == [hit for hit in hits if hit in kept]
        assert not hits or (hits[0] in kept) == (tokens_of(hits[0].candidate.text) <= budget)
    with pytest.raises(InvalidInput, match="budget"):
        packed(hits, 0)


@pytest.mark.requirement("RE-02")
def test_recipes_with_unknown_signals_or_senseless_numbers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no signal 'wrods'"):
        Recipe(name="x", weights={"wrods": 1.0})
    with pytest.raises(InvalidInput, match="finite"):
        Recipe(name="x", weights={"words": float("nan")})
    with pytest.raises(InvalidInput, match="near"):
        Recipe(name="x", weights={}, near=2.0)
    with pytest.raises(InvalidInput, match="no recipe"):
        recipe_of("unheard-of")
    assert recipe_of("default") is DEFAULT


@pytest.mark.requirement("RE-02")
def test_two_candidates_of_one_id_and_vectors_of_two_lengths_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one id"):
        Pool([memory(1, "a"), memory(1, "b")])
    with pytest.raises(InvalidInput, match="lengths"):
        Pool([memory(1, "a"), msgspec.structs.replace(memory(2, "b"), vector=a_vector("b", 7))])


@pytest.mark.requirement("RE-02")
def test_neighbours_may_be_named_where_not_all_of_a_session_is_given() -> None:
    items = [chat()[number] for number in (2, 6, 7)]
    pool = Pool(items, {"m7": ["m6", None, "m5", None]})
    assert pool.around[pool.place["m7"]].tolist() == [pool.place["m6"], -1, -1, -1]
    assert pool.around[pool.place["m6"]].tolist() == [-1, -1, -1, -1]
    assert Pool(items).around[pool.place["m6"]].tolist()[:2] == [pool.place["m2"], pool.place["m7"]]


@pytest.mark.requirement("RE-02")
def test_nothing_is_ranked_where_there_is_nothing() -> None:
    question = asked("beagle")
    nothing = Statistics(documents=0, mean_length=0.0, frequencies={})
    assert rank(question, None, Pool([]), nothing) == []
    assert ranked("beagle", chat(), most=0) == []
    assert rank(question, None, Pool(chat()), nothing) == []


@pytest.mark.requirement("RE-02")
def test_only_turns_have_neighbours() -> None:
    items = [msgspec.structs.replace(item, kind="note" if item.number == 6 else "turn") for item in chat()]
    pool = Pool(items)
    assert (pool.around[pool.place["m6"]] == -1).all()
    assert pool.place["m6"] not in pool.around
    assert pool.around[pool.place["m1"]].tolist() == [pool.place["m0"], pool.place["m2"], -1, pool.place["m3"]]


@pytest.mark.requirement("RE-02")
def test_common_words_are_names_only_where_they_are_written_as_such() -> None:
    names = frozenset({"will", "a", "alma", "assistant"})

    def named(text: str) -> tuple[str, ...]:
        return read_question(text, terms_of, names, NOW).names

    assert named("Will a boat be bought?") == ()
    assert named("When did Will buy a boat?") == ("will",)
    assert named("What does Alma A. like?") == ("a", "alma")
    assert named("what does alma like?") == ("alma",)
    assert named("What did the assistant say?") == ()


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize(
    ("text", "terms", "bare"),
    [
        ("When did Alma adopt the beagle?", ("adopt", "beagle"), "adopt the beagle"),
        ("What is Bruno's favourite colour?", ("favourite", "colour"), "favourite colour"),
        ("How are you?", ("how", "are", "you"), "you"),
        ("Alma?", ("alma",), "Alma?"),
        ("Was kostet ein Klavier?", ("kostet", "ein", "klavier"), "kostet ein Klavier"),
        ("", (), ""),
    ],
)
def test_a_question_is_about_its_words_without_names_and_common_ones(
    text: str, terms: tuple[str, ...], bare: str
) -> None:
    question = asked(text)
    assert question.terms == terms
    assert question.bare == bare


@pytest.mark.requirement("RE-02")
def test_a_long_text_may_be_asked_and_leaves_meaning_its_share() -> None:
    items = [memory(number, f"word{number} and word{number + 40} of many") for number in range(40)]
    short = ranked("word3 word43", items)[0]
    long = ranked(" ".join(f"word{number}" for number in range(3, 3 + 2_000)), items, most=99)
    assert short.candidate.id == "m3"
    assert 0 < value_of(long[0], "words") < value_of(short, "words") / 2
    assert len(long) == len(items)
