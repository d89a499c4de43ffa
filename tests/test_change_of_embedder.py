"""After a change of the embedder the former one answers until the new one has caught up, and then its vectors go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import tacit
from embedding_provider import Provider
from memories import embed_some, remember
from tacit.ids import format_id
from tacit.models.hashing import HashingEmbedder
from tacit.models.minilm import MiniLM
from tacit.recall.memory_vectors import memory_vectors_kept_as
from tacit.stores import schema
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-11")
TEXTS = [f"the {what} of house {number}" for number in range(20) for what in ("canine", "automobile", "physician")]
QUESTION = "a doctor"
"""Has no word in common with any of the texts: only meaning can find what answers it."""


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "a.db")


def opened(location: str | Path, embedder: str, **changed: Any) -> tacit.Mind:
    """A mind whose vectors are made only while somebody waits for them."""
    return open_mind(location, learning__embedder=embedder, consumers__enabled=False, **changed)


def made(mind: tacit.Mind, table: Any = schema.memory_vector) -> dict[str, int]:
    """How many vectors each model has."""
    counted = select(table.c.model, func.count()).group_by(table.c.model)
    with mind.recorder.journal.store.snapshot() as snapshot:
        return {str(model): int(many) for model, many in snapshot.rows(counted)}


def told(found: tacit.Recollection) -> list[str]:
    """What a note says of embedders and of their vectors."""
    return [note for note in found.notes if "embedder" in note or "vectors" in note]


def doctors(found: tacit.Recollection) -> int:
    return sum("physician" in hit.text for hit in found)


def test_the_former_embedder_answers_until_the_new_one_has_caught_up(location: str) -> None:
    with opened(location, "minilm") as mind:
        remember(mind, *TEXTS)
        mind.settle(60)
    with opened(location, "hashing") as mind:
        served, position = list[bool](), 0
        while True:
            found = mind.recall(QUESTION, k=10, recipe="dense")
            former = [note for note in found.notes if note.startswith("the former embedder (all-MiniLM-L6-v2)")]
            served.append(bool(former))
            assert found.meaning
            if not former:
                break
            assert f"has read {position:,} of " in former[0]
            assert doctors(found) == 10  # the question was embedded by the former model: the other one knows no doctor
            assert found.lag == 0
            position = embed_some(mind, HashingEmbedder(), position, 25)
        assert len(served) > 2
        assert told(found) == []
        assert mind.recall("physician", k=10, recipe="dense")[0].text.startswith("the physician")


def test_what_came_since_the_change_is_found_by_its_words_and_the_lag_is_told(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", "minilm") as mind:
        remember(mind, *TEXTS)
        mind.settle(60)
    with opened(tmp_path / "a.db", "hashing") as mind:
        remember(mind, "a zeppelin over the harbour")
        found = mind.recall("zeppelin", k=61)
        assert "a zeppelin over the harbour" in [hit.text for hit in found]
        assert found.lag == 1
        assert len(found.notes) == 2
        mind.settle(60)
        assert mind.recall("zeppelin").notes == ()


def test_a_view_of_the_past_is_answered_by_whoever_has_seen_that_past(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", "minilm") as mind:
        remember(mind, *TEXTS[:10])
        mind.settle(60)
    with opened(tmp_path / "a.db", "hashing") as mind:
        then = mind.recorder.journal.clock.now()
        remember(mind, *TEXTS[10:])
        embed_some(mind, HashingEmbedder(), 0, 11)
        assert told(mind.at(tacit.clock.from_micros(then)).recall(QUESTION)) == []
        assert mind.recall(QUESTION).lag > 0


def test_a_former_embedder_behind_a_server_is_never_asked(provider: Provider, tmp_path: Path) -> None:
    """A store must not say to which server questions are sent."""
    with opened(tmp_path / "a.db", provider.embedder) as mind:
        remember(mind, *TEXTS)
        mind.settle(60)
    asked = len(provider.asked)
    with opened(tmp_path / "a.db", "hashing") as mind:
        found = mind.recall("physician")
        assert found[0].text.startswith("the physician")
        assert found.lag > 0
        assert not any("former" in note for note in found.notes)
        mind.settle(60)
        assert mind.recall("physician").notes == ()
    assert len(provider.asked) == asked


def test_a_former_embedder_behind_a_server_answers_where_somebody_has_named_it(
    provider: Provider, tmp_path: Path
) -> None:
    with opened(tmp_path / "a.db", provider.embedder) as mind:
        remember(mind, *TEXTS)
        mind.settle(60)
    with opened(tmp_path / "a.db", "hashing", learning__former_embedder=provider.embedder) as mind:
        asked = len(provider.asked)
        found = mind.recall("physician")
        assert found.notes[0].startswith("the former embedder (openai) still serves: the new one has read 0 of ")
        assert found.meaning
        assert len(provider.asked) > asked
        mind.settle(60)
        asked = len(provider.asked)
        assert mind.recall("physician").notes == ()
        assert len(provider.asked) == asked
    with pytest.raises(tacit.InvalidInput, match="former_embedder"):
        opened(tmp_path / "a.db", "hashing", learning__former_embedder="nonsense")


def test_maintain_removes_what_former_embedders_left_once_they_serve_nobody(location: str) -> None:
    former, wanted = MiniLM().fingerprint, HashingEmbedder().fingerprint
    with opened(location, "minilm") as mind:
        remember(mind, *TEXTS)
        with mind.episode("paint the ship") as episode:
            episode.complete("success")
        mind.settle(60)
    with opened(location, "hashing") as mind:
        embed_some(mind, HashingEmbedder(), 0, 25)
        assert mind.maintain().former_vectors == 0  # it serves still
        mind.settle(60)
        assert made(mind) == {former: 61, wanted: 61}
        assert made(mind, schema.vector) == {former: 1, wanted: 1}
        mind.recall(QUESTION)
        assert mind.maintain(dry_run=True).former_vectors == 62
        assert made(mind) == {former: 61, wanted: 61}
        assert mind.maintain().former_vectors == 62
        assert made(mind) == {wanted: 61}
        assert made(mind, schema.vector) == {wanted: 1}
        assert mind.maintain().former_vectors == 0
        assert mind.recall("physician")[0].text.startswith("the physician")
    with opened(location, "minilm") as mind:  # whoever goes back begins anew, and the other one serves meanwhile
        found = mind.recall("physician")
        assert any("former embedder (hashing)" in note for note in found.notes)
        mind.settle(60)
        assert made(mind) == {former: 61, wanted: 61}
        assert doctors(mind.recall(QUESTION, k=10, recipe="dense")) == 10


def test_maintain_leaves_vectors_alone_that_another_process_makes(tmp_path: Path) -> None:
    former = MiniLM().fingerprint
    with opened(tmp_path / "a.db", "minilm") as other:
        remember(other, *TEXTS)
        other.settle(60)  # it has the lease from now on
        with opened(tmp_path / "a.db", "hashing") as mind:
            mind.settle(60)
            assert mind.maintain().former_vectors == 0
            assert made(mind)[former] == 60
        assert doctors(other.recall(QUESTION, k=10, recipe="dense")) == 10
    with opened(tmp_path / "a.db", "hashing") as mind:
        assert mind.maintain().former_vectors == 60


def test_many_vectors_are_removed_in_several_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.recall.former.AT_ONCE", 7)
    with opened(tmp_path / "a.db", "minilm") as mind:
        remember(mind, *TEXTS)
        mind.settle(60)
    with opened(tmp_path / "a.db", "hashing") as mind:
        mind.settle(60)
        assert mind.maintain().former_vectors == 60
        assert list(made(mind).values()) == [60]
        with mind.recorder.journal.store.snapshot() as snapshot:
            names = [row[0] for row in snapshot.rows(select(schema.consumer.c.name))]
        assert memory_vectors_kept_as(MiniLM().fingerprint) not in names
        assert mind.id == format_id(mind.recorder.mind.id)
