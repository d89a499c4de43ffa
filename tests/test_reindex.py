"""The index of words is made anew from the memories: on every database, beside others who write, whenever it is killed,
and by whatever analyser it was made before."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tacit
from command_line import CommandLine
from tacit.recall import recaller
from tacit.stores import analyser, reindex, terms
from tacit.stores.port import Snapshot, Store
from trials import open_mind

pytestmark = pytest.mark.requirement("RE-02")

KILLED = """
import sys
from tacit.stores import reindex
from tacit.stores.opening import open_store

reindex.BATCH = 20
reindex.reindex(open_store(sys.argv[1]), lambda done: print(done, flush=True) or sys.stdin.readline())
"""
"""Waits after each batch until a line comes in."""


@pytest.fixture(params=["file", "memory", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return ":memory:" if request.param == "memory" else str(tmp_path / "store.db")


def opened(location: str) -> Any:
    return open_mind(location, learning__embedder="none")


def store_of(mind: tacit.Mind) -> Store:
    return mind.recorder.journal.store


def found(mind: tacit.Mind, question: str) -> list[str]:
    return [hit.text for hit in mind.recall(question, k=100) if question in hit.text]


def notes(mind: tacit.Mind) -> list[str]:
    return [note for note in mind.recall("word3").notes if "analyser" in note]


def by_words(mind: tacit.Mind, *words: str) -> int:
    """How many documents the index alone finds by any of these, as the analyser in use makes terms of them."""
    with store_of(mind).snapshot() as snapshot:
        return len(snapshot.find_terms(mind.recorder.mind.id, terms.terms_of(" ".join(words)), 1_000))


def totals(snapshot: Snapshot, mind: tacit.Mind) -> Any:
    words = [f"word{number}" for number in range(10)] + ["marker"]
    return snapshot.indexed(mind.recorder.mind.id), snapshot.count_terms(mind.recorder.mind.id, words)


def other_analyser(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every word becomes another term than before."""
    monkeypatch.setattr(analyser, "ANALYSER", analyser.ANALYSER + 1)
    monkeypatch.setattr(reindex, "ANALYSER", analyser.ANALYSER)
    plain = terms._analysed
    changed: Callable[[str], tuple[str, ...]] = lambda word: tuple(f"x{term}" for term in plain(word))  # noqa: E731
    monkeypatch.setattr(terms, "_analysed", changed)
    monkeypatch.setattr(terms, "_terms_of_words", terms._TermsOfWords())
    # what this process has read with one analyser is nothing to the other one
    monkeypatch.setattr(recaller, "_read", functools.cache(recaller._read.__wrapped__))


def say(mind: tacit.Mind, first: int, count: int) -> None:
    mind.remember_many([{"text": f"number {one} word{one % 10}", "user": "ann"} for one in range(first, first + count)])


def test_an_index_of_another_analyser_is_said_to_be_so_and_finds_all_again_when_it_is_made_anew(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "BATCH", 30)
    with opened(location) as mind:
        say(mind, 0, 100)
        mind.remember("long " + " ".join(f"filler{one}" for one in range(300)))
        mind.correct(mind.remember("old marker").id, "new marker")
        assert notes(mind) == []
        with store_of(mind).snapshot() as snapshot:
            before = totals(snapshot, mind)
        other_analyser(monkeypatch)
        mind._shared.recaller._analyser = analyser.AnalyserWatch()  # as another process has it
        assert by_words(mind, "word3") == 0
        [note] = notes(mind)
        assert f"made by analyser {analyser.ANALYSER - 1}" in note
        assert "tacit memory reindex" in note
        done = reindex.reindex(store_of(mind))
        assert (done.documents, done.resumed, done.minds, done.analyser) == (103, 0, 1, analyser.ANALYSER)
        assert notes(mind) == []
        assert by_words(mind, "word3") == 10
        assert len(found(mind, "word3")) == 10
        say(mind, 100, 10)
        assert by_words(mind, "word3") == 11
        mind.erase(user="ann")
        assert by_words(mind, "word3", "number") == 0
        assert by_words(mind, "marker") == 2
        assert store_of(mind).integrity() == []
        with store_of(mind).snapshot() as snapshot:
            after = totals(snapshot, mind)
    assert before[0][0] == 103
    assert after[0][0] == 3
    assert after[1] == {}  # "word3" by its old term


def test_an_index_made_anew_by_the_same_analyser_counts_and_finds_as_before(location: str) -> None:
    with opened(location) as mind:
        say(mind, 0, 1_200)
        mind.remember("long " + " ".join(f"filler{one}" for one in range(300)))
        with store_of(mind).snapshot() as snapshot:
            before = totals(snapshot, mind)
        for _ in range(2):
            reindex.reindex(store_of(mind))
            with store_of(mind).snapshot() as snapshot:
                assert totals(snapshot, mind) == before
            assert store_of(mind).integrity() == []


def test_who_writes_and_erases_meanwhile_is_in_the_new_index(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindex, "BATCH", 20)
    with opened(location) as mind:
        say(mind, 0, 400)
        gone = [mind.remember(f"secret {one} marker") for one in range(10)]
        say(mind, 400, 400)
        stop, written = threading.Event(), 0

        def write() -> None:
            nonlocal written
            while not stop.is_set():
                say(mind, 1_000 + written, 5)
                written += 5
                if gone:
                    mind.erase(memory=gone.pop().id)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            reindex.reindex(store_of(mind), lambda done: time.sleep(0.002))
        finally:
            stop.set()
            writer.join()
        while gone:
            mind.erase(memory=gone.pop().id)
        assert written
        assert by_words(mind, "marker", "secret") == 0
        with store_of(mind).snapshot() as snapshot:
            after = totals(snapshot, mind)
        assert after[0][0] == 800 + written
        assert sum(after[1].values()) == 800 + written
        assert store_of(mind).integrity() == []


@pytest.mark.parametrize("where", ["file", "postgres"])
def test_one_that_was_killed_goes_on_where_it_was_and_all_is_found_meanwhile(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    location = str(request.getfixturevalue("postgres_url")) if where == "postgres" else str(tmp_path / "store.db")
    with opened(location) as mind:
        say(mind, 0, 100)
        marked = mind.remember("the marker stands here")
    command = [sys.executable, "-c", KILLED, location]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "20\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "40\n"
        process.kill()
    with opened(location) as mind:
        assert len(found(mind, "word3")) == 10
        assert store_of(mind).integrity() == []
        mind.erase(memory=marked.id)
        done = reindex.reindex(store_of(mind))
        assert (done.documents, done.resumed) == (60, 40)
        assert len(found(mind, "word3")) == 10
        assert by_words(mind, "marker") == 0
        assert store_of(mind).integrity() == []
        with store_of(mind).snapshot() as snapshot:
            assert totals(snapshot, mind)[0][0] == 100


def test_what_another_analyser_left_half_made_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(str(tmp_path / "store.db")) as mind:
        say(mind, 0, 50)
        with store_of(mind).transaction() as transaction:
            assert transaction.begin_rebuild(7) == 0
            transaction.rebuild_terms(mind.recorder.mind.id, 10, [(5, ["other"])])
        assert reindex.reindex(store_of(mind)).resumed == 0
        assert by_words(mind, "other") == 0
        assert by_words(mind, "number") == 50


def test_what_is_erased_leaves_no_trace_in_a_half_made_index(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with opened(str(path)) as mind:
        marked = mind.remember("zyzzogetonqxv stands here")
        say(mind, 0, 50)
        with store_of(mind).transaction() as transaction:
            transaction.begin_rebuild(analyser.ANALYSER)
            reindex._batch(transaction, mind.recorder.mind.id)
        mind.erase(memory=marked.id)
    for file in tmp_path.iterdir():
        assert b"zyzzogetonq" not in file.read_bytes(), file


def test_the_doctor_and_the_command_tell_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = CommandLine(tmp_path / "a.db")
    assert cli("remember", "the seat is by the window").code == 0

    def words() -> Any:
        return next(one for one in cli.json("doctor")["findings"] if one["about"] == "words")

    assert words()["state"] == "ok"
    other_analyser(monkeypatch)
    assert words()["state"] == "warning"
    assert "tacit memory reindex" in words()["detail"]
    assert cli.json("memory", "reindex")["documents"] == 1
    assert words()["state"] == "ok"
    ran = cli("memory", "reindex")
    assert (ran.code, ran.out) == (0, "1 wording of memories indexed\n")


def test_a_copy_has_the_index_of_the_analyser_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.stores.copy import copy_to_file
    from tacit.stores.sqlite import SqliteStore

    with opened(str(tmp_path / "store.db")) as mind:
        say(mind, 0, 10)
        other_analyser(monkeypatch)
        with store_of(mind).snapshot() as snapshot:
            assert f"analyser {analyser.ANALYSER - 1}" in analyser.of_another(snapshot)
            copy_to_file(snapshot, tmp_path / "copy.db")
    copy = SqliteStore(tmp_path / "copy.db", create=False)
    try:
        with copy.snapshot() as snapshot:
            assert analyser.of_another(snapshot) == ""
    finally:
        copy.close()


TERMS = {
    2: ["alic", "flight", "were", "cancel", "cafe", "strass", "no5", "tokyo", "dont", "мо", "любим", "книг", "بيت",
        "הבית", "בית", "窓側", "窓", "側", "42", "istanbul", "da", "🎉"],
}  # fmt: skip
"""What each analyser has made of one text."""


def test_an_analyser_that_makes_other_terms_has_another_number() -> None:
    text = "Alice's flights were cancelled café Straße №5 Ｔｏｋｙｏ don't мои любимые книги"
    text += " البيت הבית 窓側 ٤٢ İstanbul'da 🎉"
    assert terms.terms_of(text) == TERMS[analyser.ANALYSER], "count ANALYSER up, and add what it makes to TERMS"
