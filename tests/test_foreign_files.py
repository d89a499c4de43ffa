"""A file that is damaged, or is not a store, is refused with a clear error and left as it was."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlcipher3 import dbapi2 as driver

import tacit
from tacit.journal.verify import verify
from tacit.stores import schema, sqlite_file
from tacit.stores.sqlite import SqliteStore
from trials import assert_sound, open_mind

pytestmark = pytest.mark.requirement("JR-12")

Maker = Callable[[Path], object]


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def make_store(path: Path, steps: int = 50, passphrase: str | None = None) -> None:
    with open_mind(path, passphrase=passphrase) as mind:
        episode = mind.episode("a task")
        for number in range(steps):
            episode.step(tool="t", observation=f"{number} " * 200)


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE precious (data TEXT)")
    connection.execute("INSERT INTO precious VALUES ('not yours')")
    connection.commit()
    connection.close()


FOREIGN: dict[str, Maker] = {
    "random bytes": lambda path: path.write_bytes(random.Random(1).randbytes(20_000)),
    "a few random bytes": lambda path: path.write_bytes(b"\x07\x01"),
    "a text": lambda path: path.write_text("Dear diary, …", encoding="utf-8"),
    "an empty file": lambda path: path.write_bytes(b""),
    "another program's database": other_database,
    "the first bytes of a database": lambda path: path.write_bytes(sqlite_file.MAGIC),
    "a database header with random pages": lambda path: path.write_bytes(
        sqlite_file.MAGIC + random.Random(2).randbytes(20_000)
    ),
}


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_file_is_refused_and_not_touched(tmp_path: Path, what: str, passphrase: str | None) -> None:
    path = tmp_path / "agent.db"
    FOREIGN[what](path)
    before = everything_in(tmp_path)
    with pytest.raises((tacit.NotAStore, tacit.PermissionDenied)) as caught:
        open_mind(path, passphrase=passphrase)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, tacit.NotAStore) or passphrase is not None
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
@pytest.mark.parametrize("left", [0, 10, 99, 100, 4_096, 5_000, 0.5, -4_096, -1])
def test_a_truncated_store_is_refused_and_not_touched(tmp_path: Path, left: float, passphrase: str | None) -> None:
    path = tmp_path / "agent.db"
    make_store(path, passphrase=passphrase)
    size = path.stat().st_size
    os.truncate(path, round(size * left) if isinstance(left, float) else left if left >= 0 else size + left)
    before = everything_in(tmp_path)
    with pytest.raises((tacit.NotAStore, tacit.PermissionDenied)) as caught:
        open_mind(path, passphrase=passphrase)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, tacit.NotAStore) or passphrase is not None
    assert everything_in(tmp_path) == before


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tacit.NotAStore, match="not a regular file"):
        open_mind(tmp_path)


def test_a_missing_folder_and_a_missing_store_that_may_not_be_made_are_named(tmp_path: Path) -> None:
    with pytest.raises(tacit.NotFound, match="folder"):
        open_mind(tmp_path / "nowhere" / "agent.db")
    with pytest.raises(tacit.NotFound, match=r"agent\.db"):
        tacit.open_store(tmp_path / "agent.db", create=False)
    assert everything_in(tmp_path) == {}


def test_a_store_that_is_gone_while_its_anchor_is_there_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    make_store(path)
    path.unlink()
    with pytest.raises(tacit.NotAStore, match="anchor"):
        open_mind(path)
    assert list(everything_in(tmp_path)) == ["agent.db.anchor"]


def test_a_lost_log_is_found_against_the_anchor(tmp_path: Path) -> None:
    """Without the -wal file the database is whole, but older than what was signed."""
    path = tmp_path / "agent.db"
    mind = open_mind(path)
    for number in range(20):
        mind.record({"task": {"description": f"task {number}"}})
    mind.recorder.journal.notary.sign_all()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("agent.db", "agent.db.anchor"):  # as they are while the store is in use, without the log
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    mind.close()
    store = SqliteStore(copy / "agent.db", create=False)
    report = verify(store, copy / "agent.db.anchor")
    store.close()
    assert not report.ok
    assert report.first is not None
    assert report.first.what == "anchor"
    assert assert_sound(path) == 21


def test_a_newer_schema_is_refused_when_a_store_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    make_store(path)
    renamed(path, "9999")
    before = path.read_bytes()
    with pytest.raises(tacit.SchemaMismatch, match="9999"):
        open_mind(path)
    assert path.read_bytes() == before


def test_an_older_program_stops_writing_when_another_process_has_changed_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with open_mind(path, consumers__enabled=False) as mind:
        mind.episode("before")
        renamed(path, "9999")
        with pytest.raises(tacit.SchemaMismatch):
            mind.episode("during")
        renamed(path, schema.SCHEMA_REVISION)
        mind.episode("after")
        assert [summary.description for summary in mind.episodes()] == ["after", "before"]


def renamed(path: Path, revision: str) -> None:
    """Change the schema's revision, as a migration by another program would."""
    connection = driver.connect(str(path), isolation_level=None)
    connection.execute(str(update(schema.revision).values(version_num="x")).replace(":version_num", "?"), (revision,))
    connection.close()


MOUNTS = """\
/dev/vda1 / ext4 rw 0 0
server:/share /mnt/my\\040share nfs4 rw 0 0
//server/docs /mnt/docs cifs rw 0 0
/dev/vdb1 /mnt/docs/local xfs rw 0 0
user@host: /srv/mia/remote fuse.sshfs rw 0 0
tmpfs /mnt/docs/local/tmp tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/mnt/my share/agent.db", "nfs4"),
        ("/mnt/my share/deep/below/agent.db", "nfs4"),
        ("/mnt/docs/agent.db", "cifs"),
        ("/srv/mia/remote/agent.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_refused(path: str, kind: str) -> None:
    with pytest.raises(tacit.InvalidInput, match="network file system") as caught:
        sqlite_file.refuse_network(Path(path), MOUNTS)
    assert caught.value.context["file_system"] == kind


@pytest.mark.parametrize(
    "path", ["/a.db", "/mnt/a.db", "/mnt/docs/local/a.db", "/mnt/docs/local/tmp/a.db", "/mnt/docstore/a.db"]
)
def test_a_local_disk_is_accepted_also_below_a_network_mount(path: str) -> None:
    sqlite_file.refuse_network(Path(path), MOUNTS)


def test_a_system_that_does_not_tell_its_mounts_is_given_the_benefit_of_the_doubt() -> None:
    sqlite_file.refuse_network(Path("/mnt/docs/agent.db"), "")
