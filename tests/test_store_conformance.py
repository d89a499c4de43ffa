"""The conformance suite on every store that Tacit has."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from tacit.stores.conformance import SharedStoreConformance, StoreConformance, StoreFactory
from tacit.stores.opening import open_store
from tacit.stores.port import Store
from tacit.stores.sqlite import SqliteStore
from tacit.stores.text_conformance import TextIndexConformance

pytestmark = pytest.mark.disk

PASSPHRASE = "correct horse"


@pytest.mark.requirement("JR-07")
class TestSqliteFile(SharedStoreConformance, TextIndexConformance):
    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        return functools.partial(open_store, str(tmp_path / "store.db"))


@pytest.mark.requirement("JR-07", "SE-05")
class TestEncryptedSqliteFile(SharedStoreConformance, TextIndexConformance):
    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> StoreFactory:
        return functools.partial(open_store, str(tmp_path / "store.db"), passphrase=PASSPHRASE)

    def open_backup(self, path: Path) -> Store:
        return SqliteStore(path, passphrase=PASSPHRASE)


@pytest.mark.requirement("JR-07")
class TestSqliteInMemory(StoreConformance, TextIndexConformance):
    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return functools.partial(open_store, ":memory:")


@pytest.mark.requirement("JR-07")
class TestPostgres(SharedStoreConformance, TextIndexConformance):
    @pytest.fixture
    def store_factory(self, postgres_url: str) -> StoreFactory:
        return functools.partial(open_store, postgres_url, pool_min=1)
