"""A location says which store is meant."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tacit.errors import InvalidInput, NotFound
from tacit.stores.conformance import add, counts
from tacit.stores.opening import file_path, is_postgres, open_store
from tacit.stores.postgres import PostgresStore
from tacit.stores.sqlite import SqliteStore


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("agent.db", "agent.db"),
        ("/data/agent.db", "/data/agent.db"),
        ("sqlite:///agent.db", "agent.db"),
        ("sqlite:////data/agent%20one.db", "/data/agent one.db"),
        (":memory:", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///", ":memory:"),
        ("C:\\data\\agent.db", "C:\\data\\agent.db"),
    ],
)
def test_files_and_memory_are_named_by_paths_and_urls(location: str, path: str) -> None:
    assert file_path(location) == path
    assert not is_postgres(location)


@pytest.mark.parametrize(
    "location", ["mysql://u:hunter2@host/db", "postgresql+psycopg://u:hunter2@h/db", "https://x", "sqlite://x", ""]
)
def test_anything_else_is_refused_without_repeating_it(location: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_store(location)
    assert "hunter2" not in str(caught.value)


def test_a_location_in_a_file_opens_an_embedded_store(tmp_path: Path) -> None:
    with contextlib.closing(open_store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        assert isinstance(store, SqliteStore)
        add(store, a=1)
    with contextlib.closing(open_store(str(tmp_path / "store.db"), read_only=True)) as store:
        assert counts(store) == {"a": 1}
    with pytest.raises(NotFound):
        open_store(str(tmp_path / "other.db"), create=False)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_of_a_server_opens_a_database(postgres_url: str, scheme: str) -> None:
    with contextlib.closing(open_store(postgres_url.replace("postgresql", scheme, 1), pool_min=0)) as store:
        assert isinstance(store, PostgresStore)
        add(store, a=1)


def test_a_passphrase_for_a_server_is_refused(postgres_url: str) -> None:
    with pytest.raises(InvalidInput, match="passphrase"):
        open_store(postgres_url, passphrase="correct horse")
