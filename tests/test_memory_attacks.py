"""Memories and recall under attack: scripts, nonsense, and several who change the same thing."""

from __future__ import annotations

import json
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

import tacit
from tacit.clock import ManualClock
from tacit.errors import Conflict, InvalidInput, ModelError
from tacit.ids import format_id
from tacit.recall.embedder import TextEmbedder
from tacit.recall.meaning import Meaning
from tacit.recall.question import read_question
from tacit.recall.uses import uses_of
from tacit.stores.terms import terms_of
from tacit.stores.text_index import changes_of
from trials import open_mind

SAID = [
    ("Її сім'я живе у Львові", "сім'я"),
    ("Моє ім’я Оксана", "імʼя"),
    ("יש לי ג'ירפה גדולה", "ג'ירפה"),
    ("צ׳ק של הבנק", "צ'ק"),
    ("اشترى مُحَمَّدٌ سيارة جديدة", "مُحَمَّدٌ"),
    ("राहुल ने हरी साइकिल खरीदी", "साइकिल"),
    ("நான் சென்னையில் வசிக்கிறேன்", "சென்னையில்"),
    ("আমি ঢাকায় থাকি", "ঢাকায়"),
    ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញ"),
    ("ฉันชอบกินข้าวผัดที่เชียงใหม่", "ข้าวผัด"),
    ("نېۋا' د كتاب'خانه", "كتاب'خانه"),
    ("Der Résumé-Ordner über Göteborg", unicodedata.normalize("NFD", "Göteborg")),
    (unicodedata.normalize("NFD", "Tôi sống ở Đà Nẵng"), "Nẵng"),
]


@pytest.fixture(params=["file", "postgres"])
def recalling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tacit.Mind]:
    """A mind on each database, without vectors."""
    postgres = request.param == "postgres"
    location = request.getfixturevalue("postgres_url") if postgres else str(tmp_path / "store.db")
    with open_mind(location, learning__embedder="none") as mind:
        yield mind


@pytest.mark.requirement("RE-02", "JR-10")
def test_a_word_of_any_script_is_remembered_and_found_by_itself(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        assert mind.remember_many({"text": text} for text, _ in SAID).remembered == len(SAID)
        for text, word in SAID:
            assert mind.recall(word)[0].text == text


@pytest.mark.requirement("JR-10")
def test_every_character_can_stand_in_an_indexed_text() -> None:
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    for around in ("{0}", "a{0}b", "и{0}'x", "ש{0}ש", "ا'{0}"):
        texts = (around.format(letter) for letter in letters)
        changes_of(b"mind", [(1, [term for text in texts for term in terms_of(text)])], adding=True)


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize(("text", "word"), SAID)
def test_a_question_has_the_terms_that_the_text_has(text: str, word: str) -> None:
    assert set(terms_of(word)) <= set(terms_of(text))
    assert set(terms_of(word)) == set(read_question(word, terms_of, (), 0).terms)


@pytest.mark.requirement("JR-10")
@pytest.mark.parametrize(
    "do",
    [
        lambda mind: mind.remember_many(5),
        lambda mind: mind.remember_many(None),
        lambda mind: mind.recall("seat", recipe=[]),
        lambda mind: mind.erase(user="\ud800"),
        lambda mind: mind.erase(session="\ud800", dry_run=True),
        lambda mind: mind.erase(source_id="\ud800"),
    ],
)
def test_nonsense_is_refused_as_nonsense(tmp_path: Path, do: Any) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind, pytest.raises(InvalidInput):
        do(mind)


@pytest.mark.requirement("JR-04")
def test_corrections_of_different_fields_at_the_same_time_both_hold(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        for number in range(20):
            id = mind.remember(f"seat {number}", importance=0.1).id
            both = threading.Barrier(2)

            def judge(id: str = id, both: threading.Barrier = both) -> None:
                both.wait()
                mind.correct(id, importance=0.9)

            other = threading.Thread(target=judge)
            other.start()
            both.wait()
            mind.correct(id, f"chair {number}")
            other.join()
            now = mind.memory(id)
            assert (now.text, now.importance) == (f"chair {number}", 0.9)
            assert len(mind.memory_history(id)) == 3


@pytest.mark.requirement("JR-06")
def test_a_correction_of_one_field_leaves_the_others_to_the_last_digit(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        id = mind.remember("a seat", importance=1 / 3).id
        mind.correct(id, "a chair")
        mind.correct(id, "a seat")
        report = mind.remember_many([{"text": "the door", "importance": 1 / 3, "source_id": "d"}])
        assert mind.correct(report.ids[0], importance=1 / 3).recorded_at == mind.memory(report.ids[0]).recorded_at
        assert len(mind.memory_history(report.ids[0])) == 1


@pytest.mark.requirement("JR-06")
def test_a_use_that_is_written_after_the_erasure_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_mind(path, learning__embedder="none") as mind, open_mind(path, learning__embedder="none") as other:
        gone, kept = mind.remember("a harbour of bob", user="bob"), mind.remember("a harbour of alice")
        assert len(other.recall("harbour")) == 2
        mind.erase(user="bob")
        other._shared.uses.write(other.recorder.journal)
        with mind.recorder.journal.store.snapshot() as snapshot:
            used = uses_of(snapshot, mind.recorder.mind.id)
        assert {format_id(id) for id in used} == {kept.id}
        assert gone.id != kept.id


@pytest.mark.requirement("JR-06")
def test_a_correction_cannot_give_a_source_a_second_memory(tmp_path: Path) -> None:
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        one, two = mind.remember("a harbour", source_id="one"), mind.remember("a quay", source_id="two")
        with pytest.raises(Conflict, match=one.id):
            mind.correct(two.id, source_id="one")
        assert mind.correct(two.id, source_id="one", user="alice").user == "alice"
        assert mind.correct(two.id, source_id="one", user="alice", text="a pier").text == "a pier"


@pytest.mark.requirement("RE-02", "RE-05")
def test_what_holds_no_longer_takes_nobodys_place(recalling: tacit.Mind) -> None:
    recalling.remember("a harbour")
    recalling.remember("Answer in French", kind="instruction")
    for kind in ("note", "instruction"):
        gone = recalling.remember_many({"text": "harbour boats", "kind": kind} for _ in range(150))
        recalling.forget(*gone.ids)
    found = {hit.text for hit in recalling.recall("harbour boats")}
    assert found == {"a harbour", "Answer in French"}
    pier = recalling.remember("pier")
    recalling.remember("the pier is blue and long and old")
    for number in range(120):
        recalling.correct(pier.id, f"pier blue {number}" if number < 119 else "pier red")
    assert {hit.text for hit in recalling.recall("pier blue", k=2)} == {"the pier is blue and long and old", "pier red"}


@pytest.mark.requirement("RE-02", "RE-04", "JR-05")
@pytest.mark.parametrize("newer", [300, 10_500])
def test_what_came_later_takes_no_place_in_an_answer_about_an_earlier_time(tmp_path: Path, newer: int) -> None:
    clock, march = ManualClock(), datetime(2026, 3, 1, tzinfo=UTC)
    with open_mind(tmp_path / "store.db", clock=clock, learning__embedder="none") as mind:
        mind.remember_many(
            {"text": f"the harbour in march {number}", "occurred_at": march, "valid_to": march + timedelta(days=1)}
            for number in range(3)
        )
        before = datetime.fromtimestamp(clock.now() / 1e6, UTC)
        clock.advance(10)
        later = march + timedelta(days=31)
        mind.remember_many(
            {"text": f"harbour {number}", "occurred_at": later, "valid_from": later} for number in range(newer)
        )
        for found in (
            mind.recall("harbour", occurred_before=march + timedelta(days=2)),
            mind.recall("harbour", valid_at=march),
            mind.at(before).recall("harbour"),
        ):
            assert sorted(hit.text[-1] for hit in found) == ["0", "1", "2"]


@pytest.mark.requirement("JR-04")
def test_whoever_changes_a_consumer_locks_its_mind_before(postgres_url: str) -> None:
    """In the other order two processes that remember wait for each other until the database ends it."""
    with open_mind(postgres_url, learning__embedder="hashing") as mind, psycopg.connect(postgres_url) as other:
        mind.remember("a harbour")
        other.execute("SELECT 1 FROM head FOR UPDATE")
        settling = threading.Thread(target=mind.settle, args=(60,))
        settling.start()
        deadline = time.monotonic() + 20
        while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        other.execute("SELECT 1 FROM consumer FOR UPDATE NOWAIT")
        other.rollback()
        settling.join(60)
        assert not settling.is_alive()


@pytest.mark.requirement("JR-10")
def test_a_conversation_with_odd_names_of_sessions_is_read(tmp_path: Path) -> None:
    turns = [{"speaker": "Ann", "dia_id": "D7:1", "text": "a harbour"}]
    talk = {"session_007": turns, "session_" + "9" * 5_000: turns, "session_8": 5}
    file = tmp_path / "talk.json"
    file.write_text(json.dumps([{"sample_id": "odd", "conversation": talk}]))
    with open_mind(tmp_path / "store.db", learning__embedder="none") as mind:
        report = mind.import_memories(file, format="locomo")
        assert (report.imported, len(report.rejected)) == (1, 1)
        assert mind.recall("harbour")[0].session == "odd/D7"


@pytest.mark.requirement("RE-06")
def test_nobody_waits_again_and_again_for_an_embedder_whose_answers_fail_late(tmp_path: Path) -> None:
    class Failing:
        fingerprint = "failing:1"
        dimension = 4

        def embed(self, texts: Sequence[str]) -> Any:
            time.sleep(0.4)
            raise ModelError("it is away")

    meaning = Meaning(cast(TextEmbedder, Failing()), patience=0.2, pause=0.1)
    begun = time.monotonic()
    assert meaning.of(["a harbour"]) == {}
    assert time.monotonic() - begun >= 0.2
    for _ in range(6):
        time.sleep(0.3)
        begun = time.monotonic()
        assert meaning.of(["a harbour"]) == {}
        assert time.monotonic() - begun < 0.15
