"""A backup that was made before the schema changed is verified and restored like any other, and stays as it is."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from sqlcipher3 import dbapi2 as driver

import tacit
from tacit.clock import SystemClock
from tacit.errors import IntegrityError
from tacit.ids import SystemEntropy
from tacit.journal.replay import differing_views, scratch_store
from tacit.opening import projections, view_consumers
from tacit.ops.backup import file_digest, verify_backup
from tacit.ops.backup_catalog import BackupInfo, write_metadata
from tacit.ops.restore import restore_backup
from test_migrations import SINCE_0003, SINCE_0004
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("OP-07", "JR-08")

PASSPHRASE = "correct horse"


def old_backup(folder: Path, passphrase: str | None, revision: str = "0001") -> BackupInfo:
    """A backup as the program of an earlier schema made it: without what was added since."""
    with open_mind(folder / "live.db", passphrase=passphrase) as mind:
        mind.record({"task": {"description": "Straße sperren"}, "steps": []})
        mind.settle()
        made = mind.backup(folder / "backup.db")
    path = Path(made.path)
    with contextlib.closing(driver.connect(str(path), isolation_level=None)) as connection:
        if passphrase is not None:
            connection.execute(f"PRAGMA key='{passphrase}'")
        for table in (*SINCE_0003, *SINCE_0004["sqlite"]):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DROP INDEX event_resumed")
        connection.execute("ALTER TABLE episode DROP COLUMN folded")
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    views = {**made.views, "episode": "of other columns"}
    old = msgspec.structs.replace(made, schema=revision, sha256=file_digest(path), views=views)
    write_metadata(path, old)
    return old


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_an_older_backup_is_verified_and_restored(
    tmp_path: Path, request: pytest.FixtureRequest, passphrase: str | None, kind: str
) -> None:
    old = old_backup(tmp_path, passphrase)
    assert verify_backup(Path(old.path), passphrase).problems == ()
    target = str(tmp_path / "restored.db") if kind == "file" else request.getfixturevalue("postgres_url")
    restore_backup(Path(old.path), target, clock=SystemClock(), entropy=SystemEntropy(), passphrase=passphrase)
    assert file_digest(Path(old.path)) == old.sha256
    key = passphrase if kind == "file" else None
    with tacit.open_store(target, passphrase=key, settings=settings(), create=False) as store:
        assert [found.description for found in store.mind().episodes("STRASSE")] == ["Straße sperren"]
        with scratch_store() as empty:
            assert differing_views(store.store, empty, projections(), view_consumers()) == []


def test_a_backup_of_a_newer_schema_is_refused_and_says_why(tmp_path: Path) -> None:
    newer = old_backup(tmp_path, None, revision="9999")
    assert "newer Tacit" in verify_backup(Path(newer.path)).problems[0]
    with pytest.raises(IntegrityError, match="newer Tacit"):
        restore_backup(Path(newer.path), str(tmp_path / "restored.db"), clock=SystemClock(), entropy=SystemEntropy())
    assert not (tmp_path / "restored.db").exists()
