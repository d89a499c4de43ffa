"""Damage to the file of a store is found, whatever it hits; nothing makes verification itself fail."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from journal_builder import ask, build_store, change, projections
from tacit.errors import NotAStore, TacitError
from tacit.journal.replay import compare, differing_views, scratch_store, view_digests
from tacit.journal.verify import verify
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "agent.db"
    build_store(path)
    return path


@pytest.fixture
def store_path(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    path = tmp_path / "agent.db"
    shutil.copy(sound, path)
    shutil.copy(anchor_path(sound), anchor_path(path))
    return path


@pytest.mark.requirement("JR-01")
@pytest.mark.parametrize("table", ["episode", "step", "tag", "relation", "mind"])
def test_a_damaged_view_is_found_by_its_digest(store_path: Path, table: str) -> None:
    with contextlib.closing(SqliteStore(store_path)) as store, store.snapshot() as snapshot:
        before = view_digests(snapshot)
    assert change(store_path, f"DELETE FROM {table} WHERE 1 = (SELECT 1 FROM {table} LIMIT 1)") > 0
    with contextlib.closing(SqliteStore(store_path)) as store, scratch_store() as target:
        assert verify(store, anchor_path(store_path)).ok  # the journal is what it was
        with store.snapshot() as snapshot:
            assert compare(before, view_digests(snapshot)) == [table]
        assert differing_views(store, target, projections()) == [table]


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    tables = [table.name for table in schema.metadata.sorted_tables if table is not schema.revision]
    return {name: ask(path, f'SELECT * FROM "{name}" ORDER BY 1, 2') for name in tables}


def outcome_of_damage(path: Path, before: dict[str, list[tuple[Any, ...]]], digests: dict[str, str]) -> str:
    """How damage to the file shows, or that it changed nothing that is stored."""
    try:
        with contextlib.closing(SqliteStore(path, create=False)) as store:
            if store.integrity():
                return "integrity check"
            if not verify(store, anchor_path(path)).ok:
                return "verification"
            with store.snapshot() as snapshot:
                if compare(digests, view_digests(snapshot)):
                    return "view digest"
    except TacitError:
        return "refused"
    after = contents(path)
    differing = {name for name in before if before[name] != after[name]}
    return "unused bytes" if not differing else f"undetected in {sorted(differing)}"


@pytest.mark.no_cover
@pytest.mark.requirement("JR-01", "JR-12")
def test_any_flipped_byte_of_the_file_is_found_unless_nothing_is_stored_in_it(store_path: Path, sound: Path) -> None:
    raw, before = sound.read_bytes(), contents(sound)
    with contextlib.closing(SqliteStore(store_path)) as store, store.snapshot() as snapshot:
        digests = view_digests(snapshot)
    seen: Counter[str] = Counter()
    generator = random.Random(5)
    for _ in range(200):
        offset, mask = generator.randrange(len(raw)), generator.randrange(1, 256)
        store_path.write_bytes(raw[:offset] + bytes((raw[offset] ^ mask,)) + raw[offset + 1 :])
        seen[outcome_of_damage(store_path, before, digests)] += 1
    print(dict(seen))
    assert set(seen) <= {"integrity check", "verification", "view digest", "refused", "unused bytes"}, seen
    assert seen["verification"] + seen["integrity check"] > 50


@pytest.mark.requirement("JR-12")
def test_a_page_of_rubbish_never_makes_verification_raise(store_path: Path, sound: Path) -> None:
    raw, before = sound.read_bytes(), contents(sound)
    with contextlib.closing(SqliteStore(store_path)) as store, store.snapshot() as snapshot:
        digests = view_digests(snapshot)
    generator, seen = random.Random(8), Counter[str]()
    for page in range(1, len(raw) // 4096, 2):
        rubbish = generator.randbytes(4096)
        store_path.write_bytes(raw[: page * 4096] + rubbish + raw[(page + 1) * 4096 :])
        with contextlib.suppress(TacitError), contextlib.closing(SqliteStore(store_path)) as store:
            seen["ok" if verify(store, anchor_path(store_path)).ok else "problem"] += 1
        assert not outcome_of_damage(store_path, before, digests).startswith("undetected")
    assert seen["problem"] > 0


@pytest.mark.requirement("JR-12")
def test_a_truncated_file_is_refused_and_left_as_it_is(store_path: Path) -> None:
    half = store_path.read_bytes()[: store_path.stat().st_size // 2]
    store_path.write_bytes(half)
    with pytest.raises(NotAStore, match="cut short"):
        SqliteStore(store_path)
    assert store_path.read_bytes() == half
