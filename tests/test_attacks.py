"""What an attack once broke: stores that are taken away while they are open, and leftovers of a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

import tacit
from tacit.errors import InvalidInput, NotAStore, StoreError
from tacit.journal.verify import verify
from tacit.stores import schema
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path, log_paths


def _deleted(path: Path) -> None:
    path.unlink()


def _moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replaced(path: Path) -> None:
    other = path.with_name("other.db")
    with tacit.open(other) as mind:
        mind.episode("of another store").complete("success")
    other.replace(path)


@pytest.mark.parametrize("take_away", [_deleted, _moved, _replaced])
def test_nothing_is_acknowledged_or_made_where_a_store_was_taken_away_while_open(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    path = tmp_path / "store.db"
    mind = tacit.open(path)
    mind.episode("kept").complete("success")
    take_away(path)
    before = path.read_bytes() if path.exists() else None

    for use in (lambda: mind.episode("lost"), mind.episodes, mind.statistics):
        with pytest.raises(StoreError, match="deleted, moved or replaced while it was open"):
            use()

    with pytest.raises(StoreError):
        mind.close()
    assert (path.read_bytes() if path.exists() else None) == before


def _crashed(path: Path) -> None:
    """A store of which only the log is left, as after a crash and a deletion by hand."""
    mind = tacit.open(path)
    mind.episode("of the store that is gone").complete("success")
    log = log_paths(path)[0]
    shutil.copy(log, log.with_name("kept"))
    mind.close()
    path.unlink()
    anchor_path(path).unlink()
    log.with_name("kept").replace(log)


def test_a_new_store_does_not_take_over_the_log_of_one_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _crashed(path)

    with pytest.raises(NotAStore, match="its log"):
        tacit.open(path)

    assert not path.exists()
    log_paths(path)[0].unlink()
    with tacit.open(path) as mind:
        assert mind.episodes() == []


def test_a_restored_store_does_not_take_over_the_log_of_one_that_is_gone(tmp_path: Path) -> None:
    from tacit.clock import SystemClock
    from tacit.ids import SystemEntropy
    from tacit.ops.restore import restore_backup

    with tacit.open(tmp_path / "other.db") as mind:
        mind.episode("backed up").complete("success")
        backup = Path(mind.backup(tmp_path).path)
    path = tmp_path / "store.db"
    _crashed(path)

    restore_backup(backup, str(path), clock=SystemClock(), entropy=SystemEntropy())

    assert log_paths(tmp_path / "store.db.before-restore")[0].exists()
    with tacit.open(path) as mind:
        assert [episode.description for episode in mind.episodes()] == ["backed up"]


@pytest.mark.parametrize("location", [5, b"store.db", "a\0b"])
def test_a_location_that_is_no_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: object
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput, match="location"):
        tacit.open(location)  # type: ignore[arg-type]

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", [1_000, -1])
def test_verification_finds_a_consumer_that_claims_what_it_cannot_have_seen(tmp_path: Path, position: int) -> None:
    path = tmp_path / "store.db"
    with tacit.open(path) as mind:
        mind.episode("x").complete("success")
        mind.settle()
    with closing(SqliteStore(path)) as store:
        with store.transaction() as transaction:
            transaction.execute(
                update(schema.consumer).where(schema.consumer.c.name == "tally").values(position=position)
            )
        found = verify(store, None)

    assert [problem.message for problem in found.problems] == [
        f"the consumer tally claims to be at position {position}, but the last event is {found.events}"
    ]
