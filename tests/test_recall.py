"""Recall, from the question to the hits: what is found, what is not, why, and how complete the answer is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.clock import ManualClock
from tacit.errors import InvalidInput, LimitExceeded
from tacit.ids import format_id
from tacit.recall import finding
from tacit.recall.uses import uses_of
from trials import open_mind

MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHAT = (
    ("Alma", "Hello Bruno, how was your week?"),
    ("Bruno", "Busy as always, but fine."),
    ("Alma", "I adopted a beagle and named her Juno."),
    ("Bruno", "I painted the attic in mustard yellow together with my sister."),
    ("Alma", "Which brush did you use for that?"),
    ("Bruno", "The broad one from the cellar."),
)


@pytest.fixture(params=["file", "encrypted", "memory", "postgres"])
def mind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    """A mind of each kind of store, without vectors: what holds by words alone."""
    location = ":memory:" if request.param == "memory" else str(tmp_path / "store.db")
    if request.param == "postgres":
        location = request.getfixturevalue("postgres_url")
    passphrase = "correct horse" if request.param == "encrypted" else None
    with open_mind(location, passphrase=passphrase, learning__embedder="none") as mind:
        yield mind


def texts(found: tacit.Recollection) -> list[str]:
    return [hit.text for hit in found]


def chat(session: str = "s1") -> list[dict[str, Any]]:
    return [
        {"text": text, "kind": "turn", "speaker": speaker, "session": session, "source_id": f"{session}:{number}"}
        for number, (speaker, text) in enumerate(CHAT)
    ]


@pytest.mark.requirement("RE-02", "RE-06", "JR-07")
def test_what_was_said_is_found_at_once_by_its_words(mind: tacit.Mind) -> None:
    mind.remember_many(chat())
    found = mind.recall("What is the name of Alma's beagle?")
    assert texts(found)[0] == CHAT[2][1]
    assert (found[0].speaker, found[0].session, found[0].source_id) == ("Alma", "s1", "s1:2")
    assert (found.meaning, found.lag) == (False, 0)
    assert mind.recall("attic", k=1)[0].text == CHAT[3][1]


@pytest.mark.requirement("RE-03")
def test_the_reasons_of_a_hit_add_up_to_its_score(mind: tacit.Mind) -> None:
    mind.remember_many(chat())
    for hit in mind.recall("Who painted the attic yellow?"):
        assert hit.why
        assert hit.score == sum(reason.contribution for reason in hit.why)


@pytest.mark.requirement("RE-02")
def test_nothing_of_another_person_is_ever_let_through(mind: tacit.Mind) -> None:
    for user in ("alice", "bob"):
        mind.remember_many(
            {"text": f"the marker of {user} is number {number}", "user": user, "kind": kind}
            for number in range(30)
            for kind in ("note", "preference")
        )
    found = mind.recall("marker number of bob", user="alice", k=100)
    assert {hit.user for hit in found} == {"alice"}
    assert len(found) == 60
    assert len(mind.recall("marker", user="nobody")) == 0
    assert {hit.kind for hit in mind.recall("marker", kinds=["note"], user="bob")} == {"note"}


@pytest.mark.requirement("RE-02")
def test_every_filter_lets_through_just_what_meets_it(mind: tacit.Mind) -> None:
    mind.remember_many(
        {
            "text": f"a seat by the window, number {number}", "session": f"s{number % 2}", "agent": f"a{number % 3}",
            "speaker": f"P{number % 4}", "subject": f"x{number}", "kind": "fact",
            "occurred_at": MAY + timedelta(days=number),
        }
        for number in range(12)
    )  # fmt: skip

    def numbers(**wanted: Any) -> list[int]:
        return sorted(int(hit.subject[1:]) for hit in mind.recall("window seat", k=50, **wanted))

    assert numbers() == list(range(12))
    assert numbers(session="s1") == [1, 3, 5, 7, 9, 11]
    assert numbers(agent="a2", session="s0") == [2, 8]
    assert numbers(speaker="P3") == [3, 7, 11]
    assert numbers(subject="x5") == [5]
    assert numbers(occurred_after=MAY + timedelta(days=10)) == [10, 11]
    assert numbers(occurred_before=MAY + timedelta(days=1)) == [0]
    assert numbers(kinds=["note"]) == []


@pytest.mark.requirement("JR-06", "RE-05")
def test_what_is_corrected_superseded_or_forgotten_is_in_no_answer(mind: tacit.Mind) -> None:
    wrong = mind.remember("Alice prefers the window seat", kind="preference", user="alice")
    old = mind.remember("Alice lives in Paris, near a window", subject="alice.city", user="alice")
    gone = mind.remember("Alice once broke a window", user="alice")
    mind.correct(wrong.id, "Alice prefers the aisle seat")
    mind.remember("Alice lives in Rome", subject="alice.city", user="alice")
    mind.forget(gone.id)
    found = mind.recall("window Paris Alice seat lives", k=50)
    assert sorted(texts(found)) == ["Alice lives in Rome", "Alice prefers the aisle seat"]
    assert {wrong.id} <= {hit.id for hit in found}
    assert old.id not in {hit.id for hit in found}


@pytest.mark.requirement("JR-05")
def test_the_past_recalls_what_had_been_said_by_then(tmp_path: Path) -> None:
    clock = ManualClock()
    with open_mind(tmp_path / "store.db", clock=clock, learning__embedder="hashing") as mind:
        seat = mind.remember("Alice prefers the window seat")
        clock.advance(10)
        before = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        clock.advance(10)
        mind.correct(seat.id, "Alice prefers the aisle seat")
        mind.remember("Bob prefers any seat")
        mind.settle()
        assert texts(mind.at(before).recall("which seat")) == ["Alice prefers the window seat"]
        assert sorted(texts(mind.recall("which seat"))) == ["Alice prefers the aisle seat", "Bob prefers any seat"]


@pytest.mark.requirement("RE-02")
def test_standing_instructions_are_considered_whatever_is_asked(mind: tacit.Mind) -> None:
    mind.remember_many({"text": f"the invoice {number} was paid"} for number in range(300))
    mind.remember("Always answer in French", kind="instruction")
    assert "Always answer in French" in texts(mind.recall("was the invoice 17 paid?", k=400))


@pytest.mark.requirement("RE-04")
def test_a_time_in_the_question_favours_that_time_and_shuts_nothing_out(mind: tacit.Mind) -> None:
    mind.remember_many(
        {"text": "We went sailing on the lake", "kind": "turn", "session": f"s{month}", "speaker": "Bob",
         "occurred_at": datetime(2026, month, 3, tzinfo=UTC)}
        for month in (2, 5, 8)
    )  # fmt: skip
    mind.remember_many({"text": f"an ordinary day {number}", "occurred_at": MAY} for number in range(10))
    found = mind.recall("What did Bob do on the lake in May 2026?")
    assert found[0].occurred_at == datetime(2026, 5, 3, tzinfo=UTC)
    assert {hit.session for hit in found} >= {"s2", "s5", "s8"}


@pytest.mark.requirement("RE-01", "RE-05")
def test_what_is_no_longer_true_is_ranked_lower_and_left_out_of_a_question_about_a_day(tmp_path: Path) -> None:
    clock = ManualClock(int(MAY.timestamp() * 1e6))
    with open_mind(tmp_path / "store.db", clock=clock, learning__embedder="none") as mind:
        mind.remember("the code of the door is 4711", valid_to=MAY - timedelta(days=1))
        mind.remember("the code of the door is 1234", valid_from=MAY - timedelta(days=1))
        mind.remember_many({"text": f"other thing {number}"} for number in range(20))
        assert texts(mind.recall("code of the door"))[:2] == [
            "the code of the door is 1234", "the code of the door is 4711",
        ]  # fmt: skip
        past = mind.recall("code of the door", valid_at=MAY - timedelta(days=9))
        assert texts(past)[0] == "the code of the door is 4711"
        assert "the code of the door is 1234" not in texts(past)


@pytest.mark.requirement("RE-02")
def test_a_budget_of_tokens_and_a_threshold_cut_the_answer(mind: tacit.Mind) -> None:
    mind.remember_many({"text": f"seat {number} " + "word " * number} for number in range(1, 40))
    whole = mind.recall("seat", k=39)
    small = mind.recall("seat", k=39, max_tokens=60)
    assert 0 < small.tokens <= 60 < whole.tokens
    assert small.tokens == sum(hit.tokens for hit in small)
    middle = whole[10].score
    assert len(mind.recall("seat", k=39, threshold=middle)) == sum(hit.score >= middle for hit in whole)


@pytest.mark.requirement("RE-07")
def test_a_hit_names_those_that_say_nearly_the_same(mind: tacit.Mind) -> None:
    one, two = mind.remember("The meeting is at noon"), mind.remember("the meeting is at NOON!")
    mind.remember("The meeting room has no windows")
    found = {hit.id: hit.duplicates for hit in mind.recall("when is the meeting")}
    assert found[one.id] == (two.id,)
    assert found[two.id] == (one.id,)
    assert len(found) == 3


@pytest.mark.requirement("RE-06", "RE-11")
def test_what_the_vectors_have_not_seen_yet_is_found_by_words_and_the_answer_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, learning__embedder="hashing") as mind:
        mind.remember_many({"text": f"a harbour with {number} boats"} for number in range(60))
        mind.settle()
        assert mind.recall("harbour").lag == 0
        assert mind.recall("harbour").meaning
    with open_mind(path, learning__embedder="hashing", consumers__enabled=False) as mind:
        mind.remember("a quay for seventy boats")
        found = mind.recall("quay")
        assert found[0].text == "a quay for seventy boats"
        assert found.lag == 1
        assert "1 events behind" in found.notes[0]


@pytest.mark.requirement("RE-06")
def test_an_embedder_that_is_away_leaves_the_words(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="openai:x@http://127.0.0.1:9/v1") as mind:
        mind.remember("a harbour with boats")
        found = mind.recall("harbour")
        assert texts(found) == ["a harbour with boats"]
        assert not found.meaning
        assert "words alone" in found.notes[0]


@pytest.mark.requirement("RE-02")
def test_meaning_finds_what_shares_no_word_and_the_lexical_recipe_does_not(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db") as mind:
        mind.remember_many(
            [
                {"text": "My dog hurt its paw and cannot walk"},
                *({"text": f"The quarterly figures of branch {number} were published"} for number in range(200)),
            ]
        )
        mind.settle(120)
        assert texts(mind.recall("an injured puppy", k=1)) == ["My dog hurt its paw and cannot walk"]
        words = mind.recall("an injured puppy", k=1, recipe="lexical")
        assert texts(words) != ["My dog hurt its paw and cannot walk"]
        assert not words.meaning


@pytest.mark.requirement("RE-08")
def test_what_is_recalled_counts_as_used(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        memory = mind.remember("a harbour")
        mind.recall("harbour")
        mind.recall("harbour")
        mind._shared.uses.write(mind.recorder.journal)
        with mind.recorder.journal.store.snapshot() as snapshot:
            found = uses_of(snapshot, mind.recorder.mind.id)
        assert {format_id(id): use.uses for id, use in found.items()} == {memory.id: 2}


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize(
    ("query", "wanted", "said"),
    [
        ("", {}, "needs a query"),
        (" \n", {}, "needs a query"),
        (5, {}, "needs a query"),
        ("half \ud83d", {}, "surrogate"),
        ("seat", {"k": 0}, "k 0 is not a whole number"),
        ("seat", {"k": finding.MOST_HITS + 1}, "is not a whole number"),
        ("seat", {"k": True}, "is not a whole number"),
        ("seat", {"max_tokens": 0}, "max_tokens"),
        ("seat", {"threshold": "high"}, "threshold"),
        ("seat", {"threshold": float("nan")}, "threshold"),
        ("seat", {"recipe": "secret"}, "no recipe 'secret'"),
        ("seat", {"kinds": "fact"}, "kinds must be a list"),
        ("seat", {"kinds": ["rumour"]}, "no kind of memory"),
        ("seat", {"user": 5}, "user must be a text"),
        ("seat", {"occurred_after": datetime(2026, 5, 1)}, "must have a zone"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_reason(
    tmp_path: Path, query: Any, wanted: dict[str, Any], said: str
) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind, pytest.raises(InvalidInput, match=said):
        mind.recall(query, **wanted)


@pytest.mark.requirement("JR-10")
def test_strange_questions_are_answered(mind: tacit.Mind) -> None:
    assert len(mind.recall("anything at all?")) == 0
    mind.remember_many(
        [{"text": "???"}, {"text": "🙂🙂"}, {"text": "a seat"}, {"text": "座席は窓側"}, {"text": "مقعد النافذة"}]
    )
    for query in ("?", "🙂", "'; DROP TABLE memory; --", '"seat" AND NOT "x"', "a" * 10_000, "NEAR(seat, 5)", "†user"):
        mind.recall(query)
    assert texts(mind.recall("窓側の座席"))[0] == "座席は窓側"
    assert texts(mind.recall("النافذة"))[0] == "مقعد النافذة"
    with pytest.raises(LimitExceeded):
        mind.recall("a" * 10_001)


@pytest.mark.requirement("JR-04")
def test_what_another_process_remembers_is_recalled(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, learning__embedder="hashing") as mind:
        mind.remember("a harbour with boats")
        mind.settle()
        assert len(mind.recall("harbour")) == 1
        code = (
            "import sys, tacit\n"
            "with tacit.open(sys.argv[1]) as mind:\n"
            "    mind.remember('a harbour with ships')\n"
            "    mind.settle(60)\n"
        )
        environment = {**os.environ, "TACIT_LEARNING__EMBEDDER": "hashing"}
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=120, env=environment)
        found = mind.recall("harbour")
        assert sorted(texts(found)) == ["a harbour with boats", "a harbour with ships"]
        assert found.lag == 0


@pytest.mark.requirement("JR-06")
@pytest.mark.disk
def test_what_was_erased_is_in_no_answer_of_any_process_and_in_no_file(tmp_path: Path) -> None:
    path, marker = tmp_path / "store.db", "zquxvarnished"
    with open_mind(path, learning__embedder="hashing") as mind, open_mind(path, learning__embedder="hashing") as other:
        kept = mind.remember("a harbour with boats", user="alice")
        gone = mind.remember(f"the {marker} harbour of bob", user="bob", subject=marker, speaker=marker)
        mind.correct(gone.id, f"the {marker} harbour of bob, painted")
        mind.settle(60)
        assert gone.id in {hit.id for hit in other.recall(f"{marker} harbour")}
        expected = mind.erase(memory=gone.id, dry_run=True)
        receipt = mind.erase(memory=gone.id)
        assert receipt.counts == expected.counts
        for one in (mind, other):
            assert [hit.id for hit in one.recall(f"{marker} harbour", k=100)] == [kept.id]
            assert len(one.recall(marker, user="bob")) == 0
        assert mind.check_receipt(receipt).problems == ()
        with mind.recorder.journal.store.snapshot() as snapshot:
            assert snapshot.count_terms(mind.recorder.mind.id, [marker]) == {}
        refused = mind.remember_many(
            [{"text": f"the {marker} harbour of bob, painted", "user": "bob", "subject": marker, "speaker": marker}]
        )
        assert (refused.remembered, refused.refused) == (0, 1)
    for file in tmp_path.iterdir():
        raw = file.read_bytes()
        for start in range(len(marker) - 5):
            assert marker[start : start + 6].encode() not in raw, (file.name, marker[start : start + 6])
