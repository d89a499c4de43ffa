"""A database that holds more, less or other than the schema says is found out, on every database."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Text

from command_line import run_here
from tacit.stores import schema
from tacit.stores.migrate import migrate
from test_migrations import PASSPHRASE, STEP, Target, make_old_store, opened, target, with_steps
from trials import open_mind

pytestmark = pytest.mark.requirement("JR-01")

__all__ = ["target", "with_steps"]  # fixtures
TRIGGER = "CREATE TRIGGER spy AFTER INSERT ON event BEGIN DELETE FROM tag; END"
TRIGGER_ON_POSTGRES = (
    "CREATE FUNCTION spying() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER spy BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION spying()"
)
STRAY = "does not belong to the store; drop it"
CHANGES = {
    "DROP INDEX episode_current": ["index episode_current is missing"],
    "DROP TABLE tag": ["table tag is missing"],
    "DROP TABLE alembic_version": ["table alembic_version is missing"],
    "CREATE INDEX mine ON event (kind)": [f"index mine {STRAY}"],
    "CREATE UNIQUE INDEX mine ON event (clock)": [f"index mine {STRAY}"],
    "CREATE VIEW report AS SELECT mind, kind FROM event": [f"view report {STRAY}"],
    "ALTER TABLE statistic ADD COLUMN extra BIGINT": [f"column statistic.extra {STRAY}"],
    "ALTER TABLE statistic DROP COLUMN count": ["column statistic.count is missing"],
    "ALTER TABLE event RENAME COLUMN actor TO author": [
        "column event.actor is missing",
        f"column event.author {STRAY}",
    ],
    "DROP INDEX tag_episode; CREATE UNIQUE INDEX tag_episode ON tag (mind, episode)": [
        "index tag_episode was altered: it is 'create unique index tag_episode on tag (mind, episode)', "
        "and should be 'create index tag_episode on tag (mind, episode)'"
    ],
    "DROP INDEX episode_current; CREATE INDEX episode_current ON episode (mind, started_at) WHERE until IS NOT NULL": [
        "index episode_current was altered: "
        "it is 'create index episode_current on episode (mind, started_at) where until is not null', "
        "and should be 'create index episode_current on episode (mind, started_at) where until is null'"
    ],
}
ON_FILES = {
    "CREATE TABLE notes (text TEXT PRIMARY KEY, UNIQUE (text)); CREATE INDEX note ON notes (text)": [
        f"table notes {STRAY}"
    ],
    "ALTER TABLE payload RENAME TO body; CREATE TABLE payload (mind BLOB NOT NULL, position BIGINT NOT NULL, "
    "salt BLOB NOT NULL, body BLOB, PRIMARY KEY (position))": [
        f"table body {STRAY}",
        "column payload.body was altered: it is 'blob', and should be 'blob not null'",
        "primary key of payload was altered: it is '(position)', and should be '(mind, position)'",
    ],
    "DROP TABLE mind; CREATE TABLE mind (id BLOB NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, "
    "secret BLOB NOT NULL, created_at BIGINT NOT NULL)": ["unique key (tenant, name) of mind is missing"],
}
ON_SERVERS = {
    "CREATE RULE forget AS ON INSERT TO event DO INSTEAD NOTHING": [f"rule forget on event {STRAY}"],
    "CREATE MATERIALIZED VIEW report AS SELECT count(*) FROM event JOIN payload USING (mind)": [f"view report {STRAY}"],
    "ALTER TABLE event DROP CONSTRAINT event_id": ["unique key (mind, id) of event is missing"],
    "ALTER TABLE event ADD UNIQUE (kind)": [f"unique key (kind) of event {STRAY}"],
    "ALTER TABLE tag DROP CONSTRAINT tag_pkey": ["primary key of tag is missing"],
    'ALTER TABLE event ALTER COLUMN actor TYPE TEXT COLLATE "POSIX"': [
        "column event.actor was altered: it is 'text collate posix not null', and should be 'text collate c not null'"
    ],
    "DROP TABLE tag; CREATE VIEW tag AS SELECT mind, kind AS tag FROM event": [
        "table tag is missing",
        f"view tag {STRAY}",
    ],
}


def change(store: Any, sql: str) -> None:
    with contextlib.closing(store.connect()) as connection:
        for statement in sql.split("; "):
            connection.execute(statement)


def add_trigger(target: Target) -> None:
    with opened(target) as store, contextlib.closing(store.connect()) as connection:
        connection.execute(TRIGGER_ON_POSTGRES if "://" in target[0] else TRIGGER)


@pytest.mark.parametrize("sql", CHANGES)
def test_what_was_dropped_altered_or_added_is_named(target: Target, sql: str) -> None:
    with opened(target) as store:
        assert store.integrity() == []
        change(store, sql)
        assert store.integrity() == CHANGES[sql]


def test_a_trigger_is_named_with_its_table(target: Target) -> None:
    make_old_store(target)
    add_trigger(target)
    with opened(target) as store:
        assert store.integrity() == [f"trigger spy on event {STRAY}"]


@pytest.mark.parametrize("sql", ON_FILES)
def test_a_file_holds_nothing_but_the_store(tmp_path: Path, sql: str) -> None:
    with opened((str(tmp_path / "store.db"), None)) as store:
        change(store, sql)
        assert store.integrity() == ON_FILES[sql]


def test_a_name_with_a_line_break_cannot_pass_for_a_line_of_the_report(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with opened((str(path), None)) as store:
        change(store, 'CREATE TABLE "x\nok\x1b[2K" (text TEXT)')
        assert store.integrity() == [rf"table x\nok\x1b[2K {STRAY}"]
    with open_mind(path) as mind:
        mind.record({"task": {"description": "one"}})
        mind.settle()
    with opened((str(path), None)) as store:
        change(store, "UPDATE consumer SET position = 99, name = 'y' || char(10) || 'ok' WHERE name = 'tally'")
    told = run_here("--store", str(path), "journal", "verify")
    assert told.code == 8
    assert told.out.count("problem  ") == 2
    assert "ok" not in [line.strip() for line in told.out.splitlines()]


def test_statistics_that_sqlite_itself_keeps_are_no_problem(tmp_path: Path) -> None:
    with opened((str(tmp_path / "store.db"), None)) as store:
        change(store, "ANALYZE")
        assert store.integrity() == []


@pytest.mark.parametrize("sql", ON_SERVERS)
def test_on_a_server_whatever_hangs_on_our_tables_is_named(postgres_url: str, sql: str) -> None:
    with opened((postgres_url, None)) as store:
        change(store, sql)
        assert store.integrity() == ON_SERVERS[sql]


@pytest.mark.requirement("JR-12")
def test_what_others_keep_in_the_same_or_in_another_schema_is_theirs(postgres_url: str) -> None:
    with opened((postgres_url, None)) as store:
        change(store, "CREATE TABLE customer (id bigint PRIMARY KEY); CREATE VIEW customers AS SELECT id FROM customer")
        change(store, "CREATE SCHEMA theirs; CREATE VIEW theirs.report AS SELECT kind FROM public.event")
        change(store, "CREATE TABLE theirs.event (kind text); CREATE INDEX episode_current ON theirs.event (kind)")
        assert store.integrity() == []


@pytest.mark.requirement("JR-08")
def test_a_migrated_store_is_as_the_new_schema_says(
    target: Target, with_steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_store(target)
    with_steps(STEP)
    migrate(*target)
    with opened(target) as store:
        assert store.integrity() == [f"column statistic.said_by {STRAY}"]
        monkeypatch.setattr(schema, "metadata", newer())
        assert store.integrity() == []


def newer() -> MetaData:
    """The schema after STEP."""
    metadata = MetaData()
    for table in schema.metadata.sorted_tables:
        table.to_metadata(metadata)
    metadata.tables["statistic"].append_column(Column("said_by", Text(), nullable=False))
    return metadata


@pytest.fixture(params=["file", "encrypted", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, list[str]]:
    """A store with an episode, and the options that the command line needs for it."""
    location = request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "store.db")
    passphrase, options = None, []
    if request.param == "encrypted":
        passphrase = PASSPHRASE
        (tmp_path / "key").write_text(PASSPHRASE, encoding="utf-8")
        options = ["--key-file", str(tmp_path / "key")]
    with open_mind(location, passphrase=passphrase) as mind:
        mind.record({"task": {"description": "one"}, "outcome": {"kind": "success"}})
        mind.settle(60)
    return location, ["--store", location, *options]


@pytest.mark.requirement("AP-04")
def test_verify_names_a_stray_trigger_and_exits_8(filled: tuple[str, list[str]], tmp_path: Path) -> None:
    location, options = filled
    assert run_here(*options, "journal", "verify").code == 0
    passphrase = PASSPHRASE if (tmp_path / "key").exists() else None
    add_trigger((location, passphrase))
    told = run_here(*options, "journal", "verify", "--json")
    assert (told.code, told.json["ok"]) == (8, False)
    assert told.json["database"] == [f"trigger spy on event {STRAY}"]
    said = run_here(*options, "journal", "verify")
    assert said.code == 8
    assert f"trigger spy on event {STRAY}" in said.out
