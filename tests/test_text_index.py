"""The index of words: whatever the script, memories are found by their words, alike on every database; what is erased
leaves no trace of a word in any file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlcipher3 import dbapi2 as driver

import make_store_fixture
from journal_builder import Unmasked
from tacit.clock import ManualClock
from tacit.experience.limits import Limits
from tacit.experience.memory.fold import MemoryProjection, MemoryRow, unindex_memory
from tacit.experience.memory.memory import Said
from tacit.experience.memory.remember import Rememberer
from tacit.experience.recorder import Recorder
from tacit.ids import SeededEntropy
from tacit.journal.journal import Journal, JournalOptions
from tacit.journal.minds import MindProjection, open_mind
from tacit.journal.replay import replay
from tacit.stores import postgres_text, schema, sqlite_text, text_index
from tacit.stores.conformance import refused
from tacit.stores.copy import copy_tables
from tacit.stores.opening import open_store
from tacit.stores.port import Snapshot, Store
from tacit.stores.sqlite import SqliteStore
from tacit.stores.terms import MAX_TERM_CHARS, label_of, name_label, terms_of
from test_migrations import Target, opened, target

__all__ = ["target"]  # a fixture

MIND = b"a mind of sixteen"[:16]
MARKER = "zyzzogetonqxv"
PROJECTIONS = (MindProjection(), MemoryProjection())

# ── the analyser ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("RE-02")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice's flights were cancelled", "ALICE flight were cancel"),
        ("The café’s tables", "the CAFE table"),
        ("Straße", "STRASSE"),
        ("ﬁnding №5 in Ｔｏｋｙｏ", "find no5 in tokyo"),
        ("don't", "dont"),
        ("Room 42, at 7:30", "room 42 at 7 30"),
        ("get_user-profile", "get user profile"),
        ("٤٢", "42"),
        ("мои любимые книги", "моя любимая книга"),
        ("чёрный", "черный"),
        ("بيتٌ", "البيت"),
        ("الأطبّاء", "أطباء"),
        ("مدرسة", "المدرسه"),
        ("İstanbul", "istanbul"),
    ],
)
def test_two_ways_to_write_a_thing_have_the_same_terms(one: str, other: str) -> None:
    assert terms_of(one) == terms_of(other) != []


@pytest.mark.requirement("RE-12")
@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("東京タワー", ["東京", "京タ", "タワ", "ワー", "東", "京"]),
        ("猫 is 猫", ["猫", "is", "猫"]),
        ("서울에서", ["서울", "울에", "에서"]),
        ("iPhone15を買う", ["iphone15", "を買", "買う", "買"]),
        ("ในบ้าน", ["ใน", "นบ", "บ้", "้า", "าน"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("הבית", ["הבית", "בית"]),
        ("", []),
        ("… — !", []),
    ],
)
def test_scripts_without_spaces_become_pairs_of_characters(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


@pytest.mark.requirement("RE-02")
@given(st.text())
def test_every_text_has_terms_that_an_index_takes(text: str) -> None:
    terms = terms_of(text)
    assert len(text_index.changes_of(MIND, [(1, ["x", *terms])], adding=True)) == 1
    assert all(0 < len(term) <= MAX_TERM_CHARS for term in terms)
    assert terms == terms_of(text)


@pytest.mark.requirement("RE-02")
def test_what_is_no_word_is_cut_short() -> None:
    assert terms_of("q" * 10_000) == ["q" * MAX_TERM_CHARS]
    assert len(terms_of("語" * 1_000)) == 1_999


# ── memories are found ───────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def remembering(store: Store, clock: ManualClock | None = None) -> Iterator[Rememberer]:
    """Remembers in a mind of the store."""
    entropy = SeededEntropy(1)
    journal = Journal(
        store,
        projections=PROJECTIONS,
        consumers=(),
        masker=Unmasked(),
        clock=clock or ManualClock(1),
        entropy=entropy,
        options=JournalOptions(background=False),
    )
    try:
        yield Rememberer(Recorder(journal, open_mind(journal, entropy, "acme", "support"), Limits()))
    finally:
        journal.close()


def only_mind(snapshot: Snapshot) -> bytes:
    [(mind,)] = snapshot.rows(schema.mind.select().with_only_columns(schema.mind.c.id))
    return bytes(mind)


def found(store: Store, question: str, most: int = 5) -> list[str]:
    """The texts of the memories that are found, the best first, whether or not they still hold."""
    with store.snapshot() as snapshot:
        mind = only_mind(snapshot)
        texts = {row[0]: row[1] for row in snapshot.rows(_texts)}
        terms = terms_of(question)
        wanted = [*terms, *map(name_label, terms)]
        return [texts[number] for number, _ in snapshot.find_terms(mind, wanted, most)]


_texts = schema.memory.select().with_only_columns(schema.memory.c.since, schema.memory.c.text)

LABELLED = {
    "我喜欢喝绿茶，不喜欢咖啡": ["你喜欢什么茶？", "咖啡"],
    "我有一只猫，名字叫小白": ["我的猫叫什么？"],
    "明天下午三点在北京开会": ["北京的会议是几点？"],
    "来週の火曜日に東京へ出張します": ["東京への出張はいつですか"],
    "母の誕生日は五月十日です": ["お母さんの誕生日"],
    "アレルギーがあるのでエビは食べられません": ["エビを食べてもいい？"],
    "저는 서울에서 태어났습니다": ["서울"],
    "제 딸은 피아노를 배우고 있어요": ["딸이 배우는 악기는? 피아노"],
    "أختي طبيبة في مستشفى القاهرة": ["أين المستشفى؟", "القاهره"],
    "أحب القهوة بدون سكر": ["هل تشرب قهوة بالسكر"],
    "הפגישה עם הבנק ביום ראשון": ["מתי הפגישה בבנק"],
    "אחותי גרה בחיפה": ["חיפה"],
    "Мой рейс в Казань задержали": ["рейсы из Казани"],
    "ฉันแพ้ถั่วลิสง": ["แพ้ถั่ว"],
    "मुझे आम बहुत पसंद हैं": ["आम पसंद"],
    "I bought a MacBook 上周三 in 深圳": ["什么时候在深圳买的 macbook", "macbooks"],
    "Alice prefers aisle seats on long flights": ["which seat does ALICE prefer"],
}


@pytest.mark.requirement("RE-12", "JR-07")
def test_memories_are_found_in_scripts_without_spaces_from_right_to_left_and_mixed(target: Target) -> None:
    questions = [(question, text) for text, asked in LABELLED.items() for question in asked]
    with opened(target) as store, remembering(store) as remember:
        remember.remember_many([Said(text=text) for text in LABELLED])
        hits = [found(store, question)[:1] == [text] for question, text in questions]
    by_containing = sum([text for text in LABELLED if question in text] == [right] for question, right in questions)
    assert sum(hits) >= 0.9 * len(questions), [pair for pair, hit in zip(questions, hits, strict=True) if not hit]
    assert by_containing <= 0.4 * len(questions)


@pytest.mark.requirement("RE-02", "JR-07")
def test_a_memory_is_found_by_its_words_its_speaker_and_its_subject_and_when_it_is_past(
    target: Target,
) -> None:
    with opened(target) as store, remembering(store) as remember:
        remember.remember(Said(text="I like window seats", speaker="Alice", subject="alice.seat")).result()
        remember.remember(Said(text="I need more legroom now", speaker="Alice", subject="alice.seat")).result()
        remember.remember(Said(text="The weather is fine", speaker="Bob")).result()
        assert found(store, "windows?") == ["I like window seats"]
        assert set(found(store, "what did alice say")) == {"I like window seats", "I need more legroom now"}
        assert found(store, "BOB") == ["The weather is fine"]


@pytest.mark.requirement("RE-02", "JR-07")
def test_a_search_is_kept_within_labels_however_frequent_a_word_is(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "POSTINGS", 40)
    with opened(target) as store:
        fill(store, [(at, ["seat", label_of("user", f"u{at % 20}"), label_of("kind", "note")]) for at in range(1, 401)])
        with store.snapshot() as snapshot:
            alone = snapshot.find_terms(MIND, ["seat"], 400, within=[label_of("user", "u7")])
            assert sorted(number for number, _ in alone) == list(range(7, 401, 20))
            both = [label_of("user", "u7"), label_of("kind", "note")]
            assert snapshot.find_terms(MIND, ["seat"], 400, within=both) == alone
            assert snapshot.find_terms(MIND, ["seat"], 400, within=[label_of("user", "nobody")]) == []
            assert snapshot.find_terms(MIND, ["cat"], 400, within=both) == []
            assert snapshot.indexed(MIND) == (400, 400)


@pytest.mark.requirement("RE-02", "JR-01")
def test_a_replay_a_copy_and_a_backup_find_the_same(target: Target, tmp_path: Path) -> None:
    questions = [question for asked in LABELLED.values() for question in asked]
    with opened(target) as store:
        with remembering(store) as remember:
            remember.remember_many([Said(text=text, speaker="Bob") for text in LABELLED])
        expected = [found(store, question) for question in questions]
        store.backup(tmp_path / "backup.db")
        with contextlib.closing(SqliteStore(":memory:")) as empty:
            replay(store, empty, PROJECTIONS)
            assert [found(empty, question) for question in questions] == expected
        with contextlib.closing(SqliteStore(":memory:")) as empty:
            with store.snapshot() as snapshot, empty.transaction() as transaction:
                copy_tables(snapshot, transaction)
            assert [found(empty, question) for question in questions] == expected
            assert empty.integrity() == []
    passphrase = target[1]
    with contextlib.closing(open_store(str(tmp_path / "backup.db"), passphrase=passphrase)) as backup:
        assert [found(backup, question) for question in questions] == expected
        assert backup.integrity() == []


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def fragments(word: str, size: int = 5) -> set[bytes]:
    return {word[at : at + size].encode() for at in range(len(word) - size + 1)}


def traces(folder: Path, word: str) -> set[bytes]:
    """The parts of a word that stand in any file of a folder."""
    bodies = [path.read_bytes() for path in folder.iterdir()]
    return {part for part in fragments(word) if any(part in body for body in bodies)}


@pytest.mark.requirement("JR-06")
@pytest.mark.parametrize("more", [0, 3_000], ids=["alone", "among many"])
def test_of_a_document_that_is_taken_away_no_part_of_a_word_is_left_in_any_file(tmp_path: Path, more: int) -> None:
    path = tmp_path / "store.db"
    near = [MARKER[:6] + "aa", MARKER[:3] + "bb"]  # words that FTS5 keeps next to it, sharing what they have in common
    with contextlib.closing(open_store(str(path))) as store:
        for first in range(1, more + 1, 10):
            with store.transaction() as transaction:
                transaction.index_terms(MIND, [(at, [f"w{at % 97}", f"u{at}"]) for at in range(first, first + 10)])
        entry = (50_000, ["seat", MARKER, near[1], MARKER])
        with store.transaction() as transaction:
            transaction.index_terms(MIND, [entry, (50_001, ["seat", near[1]])])
        for first in range(60_000, 60_000 + more, 10):
            with store.transaction() as transaction:
                transaction.index_terms(MIND, [(at, [f"w{at % 97}", f"u{at}"]) for at in range(first, first + 10)])
        assert traces(tmp_path, MARKER)
        with store.transaction() as transaction:
            transaction.unindex_terms(MIND, [entry])
        with store.snapshot() as snapshot:
            assert snapshot.count_terms(MIND, [MARKER]) == {}
            assert [number for number, _ in snapshot.find_terms(MIND, [MARKER, near[1]], 9)] == [50_001]
        with contextlib.closing(store.connect()) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert traces(tmp_path, MARKER) == set()
        assert store.integrity() == []


@pytest.mark.requirement("JR-06")
def test_a_memory_can_be_taken_out_of_the_index_to_the_last_word(target: Target) -> None:
    with opened(target) as store, remembering(store) as remember:
        remember.remember(Said(text=f"the {MARKER} is here, 東京", speaker="Alice")).result()
        remember.remember(Said(text="a seat in 東京", speaker="Alice")).result()
        with store.transaction() as transaction:
            row = next(row for row in transaction.rows(schema.memory.select()) if MARKER in row[5])
            unindex_memory(transaction, MemoryRow(*row))
        assert found(store, f"{MARKER} 東京 alice here") == ["a seat in 東京"]
        with store.snapshot() as snapshot:
            mind, alice = only_mind(snapshot), name_label("alic")
            assert snapshot.count_terms(mind, [MARKER, "the", "here", "東京", alice]) == {"東京": 1, alice: 1}
            assert snapshot.indexed(mind) == (1, len(terms_of("a seat in 東京")))


@pytest.mark.requirement("JR-06", "SE-05")
def test_no_word_lies_in_the_index_of_a_server(postgres_url: str) -> None:
    with contextlib.closing(open_store(postgres_url, pool_min=1)) as store:
        with store.transaction() as transaction:
            transaction.index_terms(MIND, [(1, [MARKER, "seat"])])
            transaction.index_terms(MIND[::-1], [(1, [MARKER, "seat"])])
        with contextlib.closing(store.connect()) as connection:
            rows = connection.execute("SELECT terms FROM text_entry").fetchall()
    assert all(isinstance(term, int) for (terms,) in rows for term in terms)
    assert len({term for (terms,) in rows for term in terms}) == 4  # of each mind its own


# ── soundness and speed ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01")
def test_a_damaged_index_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(open_store(str(path))) as store:
        with store.transaction() as transaction:
            transaction.index_terms(MIND, [(at, ["seat", f"u{at}"]) for at in range(1, 500)])
        assert store.integrity() == []
        with contextlib.closing(store.connect()) as connection:
            connection.execute("UPDATE text_index_data SET block = x'00000004' WHERE id > 1000")
    with contextlib.closing(open_store(str(path))) as store:
        assert any("text_index" in problem for problem in store.integrity())


@pytest.mark.requirement("JR-01")
def test_an_index_of_another_make_or_none_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(open_store(str(path))) as store, contextlib.closing(store.connect()) as connection:
        connection.execute("DROP TABLE text_index")
        assert "table text_index is missing" in store.integrity()
        connection.execute("CREATE VIRTUAL TABLE text_index USING fts5(terms, content='')")
        assert any(problem.startswith("table text_index was altered") for problem in store.integrity())


@pytest.mark.requirement("JR-08")
def test_a_store_that_is_made_from_its_dump_has_the_same_index(tmp_path: Path) -> None:
    with contextlib.closing(open_store(str(tmp_path / "store.db"))) as store:
        fill(store, [(at, ["seat", f"u{at}"]) for at in range(1, 2_000)])
    script = f"PRAGMA application_id={schema.APPLICATION_ID};\n{make_store_fixture.dump(tmp_path / 'store.db')}"
    with contextlib.closing(driver.connect(tmp_path / "other.db")) as connection:
        connection.executescript(script)
    with contextlib.closing(open_store(str(tmp_path / "other.db"))) as other, other.snapshot() as snapshot:
        assert other.integrity() == []
        assert snapshot.count_terms(MIND, ["seat", "u77", "u2000"]) == {"seat": 1_999, "u77": 1}
        assert [number for number, _ in snapshot.find_terms(MIND, ["u77", "seat"], 2)] == [77, 1_999]


@pytest.mark.requirement("JR-17")
def test_both_databases_search_by_index(tmp_path: Path, postgres_url: str) -> None:
    texts = [(at, ["seat", f"w{at % 100}", f"u{at}", f"v{at // 7}"]) for at in range(1, 20_001)]
    with contextlib.closing(open_store(postgres_url, pool_min=1)) as store:
        fill(store, texts)
        with contextlib.closing(store.connect()) as connection:
            connection.execute("ANALYZE")
            digests = [postgres_text._digest(MIND, term) for term in ("u77", "w9")]
            values = {"terms": digests, "weights": [1.0, 2.0], "at_least": 1.3, "by_length": 0.2}
            values |= {"mind": MIND, "most": 10, "within": [], "upto": 20_000}
            plan = [row[0] for row in connection.execute("EXPLAIN " + postgres_text.FIND, values)]
            assert any("Bitmap Index Scan on text_entry_terms" in step for step in plan), plan
            assert not any("Seq Scan" in step for step in plan), plan
            values |= {"terms": [postgres_text._digest(MIND, "seat")], "weight": 1.0, "above": 19_000}
            plan = [row[0] for row in connection.execute("EXPLAIN " + postgres_text.FIND_NEWEST, values)]
            assert any("text_entry_pkey" in step for step in plan), plan
            plan = [row[0] for row in connection.execute("EXPLAIN " + postgres_text.COUNTS, (MIND, digests))]
            assert any("text_term_pkey" in step for step in plan), plan
    with contextlib.closing(SqliteStore(tmp_path / "store.db")) as store:
        fill(store, texts)
        with contextlib.closing(store.connect()) as connection:
            for sql in (sqlite_text.WITH_TERM, sqlite_text.COUNT_ON, sqlite_text.COUNT):
                steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", ("a",) * sql.count("?"))]
                assert all(re.match(r"SCAN text_\w+ VIRTUAL TABLE INDEX \d+:", step) for step in steps), steps


def fill(store: Store, texts: Sequence[tuple[int, list[str]]]) -> None:
    with store.transaction() as transaction:
        transaction.index_terms(MIND, texts)


@pytest.mark.requirement("RE-02", "JR-07")
def test_counts_that_are_remembered_follow_every_change_of_others_and_of_the_past(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_text, "_FREQUENT", 3)
    documents: dict[int, list[str]] = {}
    with opened(target) as store, opened(target) as other, contextlib.ExitStack() as stack:
        for turn in range(12):
            added = {at: ["seat", *(["map"] if at % 3 else [])] for at in range(turn * 10 + 2, turn * 10 + 9)}
            if turn % 4 == 3:
                added |= {turn * 10 - 10: ["map"]}  # behind others, as when journals are brought together
            with (other if turn % 2 else store).transaction() as transaction:
                transaction.index_terms(MIND, list(added.items()))
                gone = [number for number in documents if turn % 3 == 2 and number % 7 == turn % 7]
                transaction.unindex_terms(MIND, [(number, documents[number]) for number in gone])
            documents = {number: terms for number, terms in (documents | added).items() if number not in gone}
            expected = {term: sum(term in terms for terms in documents.values()) for term in ("seat", "map")}
            if turn == 5:
                before = stack.enter_context(store.snapshot())
                assert before.count_terms(MIND, ["seat", "map"]) == (then := expected)
            for each in (store, other):
                with each.snapshot() as snapshot:
                    assert snapshot.count_terms(MIND, ["seat", "map"]) == expected
        assert before.count_terms(MIND, ["seat", "map"]) == then


@pytest.mark.requirement("RE-02")
def test_what_a_transaction_counted_before_it_was_undone_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_text, "_FREQUENT", 1)
    for location in (":memory:", str(tmp_path / "store.db")):
        with contextlib.closing(open_store(location)) as store:
            fill(store, [(1, ["seat"])])
            with refused(LookupError), store.transaction() as transaction:
                transaction.index_terms(MIND, [(2, ["seat"]), (3, ["seat"])])
                assert transaction.count_terms(MIND, ["seat"]) == {"seat": 3}
                if location == ":memory:":
                    with store.snapshot() as snapshot:
                        assert snapshot.count_terms(MIND, ["seat"]) in ({"seat": 1}, {"seat": 3})
                raise LookupError
            fill(store, [(2, ["row"]), (3, ["row"])])
            with store.snapshot() as snapshot:
                assert snapshot.count_terms(MIND, ["seat"]) == {"seat": 1}


@pytest.mark.requirement("JR-07")
def test_a_file_that_can_only_be_read_is_searched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(open_store(str(path))) as store:
        fill(store, [(1, ["seat"]), (2, ["row"])])
        store.backup(tmp_path / "backup.db")
    for name in ("store.db", "backup.db"):
        with contextlib.closing(SqliteStore(tmp_path / name, create=False, read_only=True)) as store:
            with store.snapshot() as snapshot:
                assert [number for number, _ in snapshot.find_terms(MIND, ["seat"], 9)] == [1]
            assert store.integrity() == []


@pytest.mark.requirement("RE-02", "JR-07")
def test_a_search_for_frequent_words_looks_at_the_newest_documents_only(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "POSTINGS", 100)
    monkeypatch.setattr(text_index, "NEWEST", 10)
    texts = [(at, ["seat", *(["map"] if at % 2 else []), *(["row"] if at % 50 == 0 else [])]) for at in range(1, 1_001)]
    with opened(target) as store:
        fill(store, texts)
        with store.snapshot() as snapshot:
            rare = snapshot.find_terms(MIND, ["seat", "row", "map"], 2_000)
            frequent = snapshot.find_terms(MIND, ["seat", "map"], 2_000)
    assert [number for number, _ in rare] == list(range(1_000, 0, -50))
    assert [number for number, _ in frequent] == list(range(999, 980, -2))


@pytest.mark.requirement("JR-06")
def test_the_driver_has_what_secure_deletion_needs() -> None:
    assert driver.sqlite_version_info >= (3, 44)  # its integrity check looks into FTS5, too
