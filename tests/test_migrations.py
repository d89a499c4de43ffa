"""Stores of older schemas are brought up to date, on every database, all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlcipher3 import dbapi2 as driver

import make_store_fixture
import tacit
from tacit.errors import InvalidInput, NotAStore, NotFound, PermissionDenied, SchemaMismatch, StoreError
from tacit.journal.replay import differing_views, scratch_store
from tacit.journal.verify import verify
from tacit.opening import projections, view_consumers
from tacit.ops.settings import Settings
from tacit.stores import migrate as migrations
from tacit.stores import schema
from tacit.stores.conformance import add, counts
from tacit.stores.migrate import migrate, upgrade
from tacit.stores.opening import open_store
from tacit.stores.port import Store
from trials import settings

pytestmark = pytest.mark.requirement("JR-08")

PASSPHRASE = "correct horse"
SINCE_0003 = ("book", "demotion", "draw", "exposure", "fit", "forecast", "lesson", "vector")
"""Tables that schema 0003 brought."""
_OF_BOTH = ("memory", "memory_use", "counter", "memory_vector", "code", "text_space", "erasure", "tombstone")
SINCE_0004 = {
    "sqlite": (*_OF_BOTH, "text_vocabulary", "text_index"),
    "postgresql": (*_OF_BOTH, "text_entry", "text_term"),
}
"""Tables that schema 0004 brought to each kind of database; and the index ``event_resumed``."""
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("store-*.sql"))
LAST, NEXT, NEXT_BUT_ONE = (f"{int(schema.SCHEMA_REVISION) + more:04}" for more in range(3))
STEP = f'''
"""Remember who said it."""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{LAST}"


def upgrade() -> None:
    op.add_column("statistic", sa.Column("said_by", sa.Text(), nullable=False, server_default="nobody"))
    op.execute("UPDATE statistic SET said_by = 'é ' || key")
'''
STEP_FAILS = f'''
"""A step with a mistake in it."""
from alembic import op

revision = "{NEXT_BUT_ONE}"
down_revision = "{NEXT}"


def upgrade() -> None:
    op.execute("CREATE TABLE half_way (id BIGINT)")
    op.execute("UPDATE no_such_table SET a = 1")
'''

Target = tuple[str, str | None]


@pytest.fixture(params=["file", "encrypted", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Where a store may be made, and its passphrase."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url"), None
    return str(tmp_path / "store.db"), PASSPHRASE if request.param == "encrypted" else None


@pytest.fixture
def with_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that this program has further migrations, and knows the last of them."""

    def pretend(*steps: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(migrations.SCRIPTS, folder, dirs_exist_ok=True)
        names = (NEXT, NEXT_BUT_ONE)[: len(steps)]
        for name, step in zip(names, steps, strict=True):
            (folder / "versions" / f"revision_{name}.py").write_text(step, encoding="utf-8")
        monkeypatch.setattr(migrations, "SCRIPTS", folder)
        monkeypatch.setattr(schema, "SCHEMA_REVISION", names[-1])

    return pretend


@contextlib.contextmanager
def opened(target: Target, **options: Any) -> Iterator[Any]:
    location, passphrase = target
    with contextlib.closing(open_store(location, passphrase=passphrase, pool_min=0, **options)) as store:
        yield store


def make_old_store(target: Target) -> None:
    with opened(target) as store:
        add(store, a=1, b=2)


def said_by(target: Target) -> list[tuple[str, str]]:
    with migrations._connected(*target) as connection:
        return [tuple(row) for row in connection.execute(text("SELECT key, said_by FROM statistic ORDER BY key"))]


def tables(target: Target) -> set[str]:
    with migrations._connected(*target) as connection:
        return set(inspect(connection).get_table_names())


def test_a_store_that_is_up_to_date_stays_as_it_is(target: Target) -> None:
    make_old_store(target)
    report = migrate(*target)
    assert (report.found, report.target, report.steps, report.sql, report.done) == (LAST, LAST, [], [], True)
    with opened(target) as store:
        assert counts(store) == {"a": 1, "b": 2}


def test_an_older_store_is_refused_until_it_is_migrated(target: Target, with_steps: Callable[..., None]) -> None:
    make_old_store(target)
    with_steps(STEP)
    with pytest.raises(SchemaMismatch, match="tacit migrate"), opened(target):
        pass
    report = migrate(*target)
    assert (report.found, report.target, report.done) == (LAST, NEXT, True)
    assert report.steps == [f"{NEXT}: Remember who said it."]
    with opened(target) as store:
        assert counts(store) == {"a": 1, "b": 2}
    assert said_by(target) == [("a", "é a"), ("b", "é b")]


def test_migrating_twice_is_migrating_once(target: Target, with_steps: Callable[..., None]) -> None:
    make_old_store(target)
    with_steps(STEP)
    migrate(*target)
    before = said_by(target)
    again = migrate(*target)
    assert (again.found, again.steps, again.sql, again.done) == (NEXT, [], [], True)
    assert said_by(target) == before


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(target: Target, with_steps: Callable[..., None]) -> None:
    make_old_store(target)
    with_steps(STEP)
    before = fingerprint(target)
    dry = migrate(*target, dry_run=True)
    assert fingerprint(target) == before
    assert not dry.done
    assert len(dry.sql) == 3
    assert "ADD COLUMN said_by" in dry.sql[0]
    assert dry.sql[1] == "UPDATE statistic SET said_by = 'é ' || key"
    assert dry.sql[2].startswith(f"UPDATE alembic_version SET version_num='{NEXT}'")
    real = migrate(*target)
    assert (real.found, real.target, real.steps, real.sql) == (dry.found, dry.target, dry.steps, dry.sql)


def fingerprint(target: Target) -> Any:
    """The bytes of a file; the tables and the revision of a database."""
    if "://" not in target[0]:
        return hashlib.sha256(Path(target[0]).read_bytes()).hexdigest()
    with migrations._connected(*target) as connection:
        columns = {name: [c["name"] for c in inspect(connection).get_columns(name)] for name in ("statistic", "event")}
        return columns, connection.execute(migrations.read_revision).one()[0]


def test_a_migration_that_fails_leaves_the_store_as_it_was(target: Target, with_steps: Callable[..., None]) -> None:
    make_old_store(target)
    with_steps(STEP, STEP_FAILS)
    with pytest.raises((StoreError, NotAStore)):
        migrate(*target)
    assert "half_way" not in tables(target)
    assert migrate(*target, dry_run=True).found == LAST


def test_a_writer_that_is_too_old_stops_when_the_store_is_migrated(
    target: Target, with_steps: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_store(target)
    with opened(target) as old:
        with_steps(STEP)
        migrate(*target)
        monkeypatch.setattr(schema, "SCHEMA_REVISION", LAST)  # what the older program knows
        with pytest.raises(SchemaMismatch, match="newer Tacit"):
            add(old, c=3)
        assert counts(old) == {"a": 1, "b": 2}


def test_a_newer_store_is_refused(target: Target) -> None:
    make_old_store(target)
    with migrations._connected(*target) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer Tacit"):
        migrate(*target)
    with pytest.raises(SchemaMismatch, match="newer Tacit"), opened(target):
        pass


def test_only_a_store_that_exists_is_migrated(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(NotFound):
        migrate(str(tmp_path / "none.db"))
    with pytest.raises(NotFound):
        migrate(postgres_url)
    with pytest.raises(InvalidInput):
        migrate(":memory:")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    make_old_store((str(tmp_path / "store.db"), PASSPHRASE))
    with pytest.raises(PermissionDenied):
        migrate(str(tmp_path / "store.db"), "wrong")


# ── the schema that migrations make is the schema that the program has ───────────────────────────────────────────────


def described(connection: Any) -> dict[str, Any]:
    """Everything that can be seen of the tables."""
    seen = inspect(connection)
    return {
        name: {
            "columns": [
                (c["name"], str(c["type"]), c["type"].__dict__.get("collation"), c["nullable"])
                for c in seen.get_columns(name)
            ],
            "key": seen.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted((str(u["name"]), u["column_names"]) for u in seen.get_unique_constraints(name)),
            "indexes": sorted(
                (str(i["name"]), i["column_names"], condition(i["dialect_options"])) for i in seen.get_indexes(name)
            ),
            "options": seen.get_table_options(name),
        }
        for name in sorted(seen.get_table_names())
    }


def condition(options: Any) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}


def made_by_migrations(url: str) -> dict[str, Any]:
    engine = create_engine(url, **({"module": driver} if url.startswith("sqlite") else {}))
    try:
        with engine.begin() as connection:
            upgrade(connection)
            assert connection.execute(migrations.read_revision).one()[0] == schema.SCHEMA_REVISION
            return described(connection)
    finally:
        engine.dispose()


def test_migrations_make_the_same_tables_as_a_new_store(target: Target, request: pytest.FixtureRequest) -> None:
    make_old_store(target)
    with migrations._connected(*target) as connection:
        new = described(connection)
    empty = "sqlite://"
    if "://" in target[0]:
        server = request.getfixturevalue("postgres_server")
        empty = server.url_of(server.new_database()).replace("postgresql://", "postgresql+psycopg://")
    assert made_by_migrations(empty) == new
    assert {"event", "head", "alembic_version"} <= new.keys()


def test_tables_of_an_embedded_store_have_the_same_sql_either_way(tmp_path: Path) -> None:
    make_old_store((str(tmp_path / "store.db"), None))
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}", module=driver)
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()

    def definitions(path: Path) -> set[str]:
        with contextlib.closing(driver.connect(path)) as connection:
            return {
                " ".join(sql.split())
                for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
            }

    assert definitions(tmp_path / "migrated.db") == definitions(tmp_path / "store.db")


def test_every_step_has_a_title_and_the_last_is_the_one_that_the_program_knows() -> None:
    steps = migrations._scripts()
    assert steps[-1].revision == schema.SCHEMA_REVISION
    assert all(step.doc for step in steps)


# ── what each step does ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that fill a column do it some rows at a time."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.SCRIPTS, folder)
    for step in (folder / "versions").glob("*.py"):
        step.write_text(step.read_text(encoding="utf-8").replace("_BATCH = 1_000", "_BATCH = 7"), encoding="utf-8")
    monkeypatch.setattr(migrations, "SCRIPTS", folder)


def test_descriptions_of_a_store_without_folded_ones_are_found_after_its_migration(
    target: Target, in_small_batches: None
) -> None:
    location, passphrase = target
    texts = ["Straße sperren", "ΟΔΟΣ", "Change seat", *(f"Рейс {number}" for number in range(30))]
    with tacit.open_store(location, passphrase=passphrase, settings=settings()) as store:
        mind = store.mind()
        ids = [mind.record({"task": {"description": text}, "steps": []}) for text in texts]
        mind.update(ids[0], description="Straße öffnen")
    with migrations._connected(*target) as connection:
        for table in (*SINCE_0003, *SINCE_0004[connection.dialect.name]):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP INDEX event_resumed"))
        connection.execute(text("ALTER TABLE episode DROP COLUMN folded"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(SchemaMismatch, match="tacit migrate"), opened(target):
        pass
    report = migrate(*target)
    assert (report.found, report.done) == ("0001", True)
    with tacit.open_store(location, passphrase=passphrase, settings=settings(), create=False) as store:
        mind = store.mind()
        assert [found.id for found in mind.episodes("STRASSE ÖFFNEN")] == [ids[0]]
        assert [found.id for found in mind.episodes("οδος")] == [ids[1]]
        assert [found.id for found in mind.episodes("SEAT")] == [ids[2]]
        assert len(mind.episodes("рейс", limit=100)) == 30
        assert_views_are_what_the_journal_says(store.store)


def assert_views_are_what_the_journal_says(store: Store) -> None:
    with scratch_store() as empty:
        assert differing_views(store, empty, projections(), view_consumers()) == []


# ── stores of every released schema ──────────────────────────────────────────────────────────────────────────────────


def test_there_is_a_fixture_of_every_schema() -> None:
    assert {path.stem.removeprefix("store-") for path in FIXTURES} == {step.revision for step in migrations._scripts()}


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.stem)
def test_a_store_of_every_released_schema_can_be_migrated_and_read(fixture: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(driver.connect(path)) as connection:
        connection.executescript(fixture.read_text(encoding="utf-8"))
    if fixture.stem != f"store-{schema.SCHEMA_REVISION}":
        with pytest.raises(SchemaMismatch, match="tacit migrate"):
            tacit.open_store(path, settings=Settings())
    assert migrate(str(path)).done
    with tacit.open_store(path, settings=Settings()) as store:
        assert verify(store.store, None).problems == ()
        assert store.store.integrity() == []
        assert_views_are_what_the_journal_says(store.store)
        mind = store.mind("support", tenant="acme")
        episodes = mind.episodes()
        assert len(episodes) == make_store_fixture.EPISODES
        assert {episode.description for episode in episodes} == {"Change seat 0", "Change seat 1", "Change seat 2"}
        whole = mind.get(episodes[0].id)
        assert [step.tool for step in whole.steps] == ["get_user"]
        with mind.episode("One more") as episode:
            episode.complete("success")
        assert verify(store.store, None).problems == ()
