"""Checks of a whole store: its journal, its database, and its views against a rebuild from the journal alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tacit.journal.replay import differing_views, replay, scratch_store, view_digests
from tacit.journal.verify import Verification, verify
from tacit.opening import projections, view_consumers
from tacit.stores.port import Store

Progress = Callable[[int], None]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found; empty lists are good news."""

    ok: bool
    journal: Verification
    database: tuple[str, ...]
    """What the database's own check says."""
    views: tuple[str, ...]
    """The views that are not what the journal says."""
    views_skipped: str
    """Why the views were not compared; empty when they were."""


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of each view, in hex: as it is, and as it was rebuilt, twice."""

    ok: bool
    live: dict[str, str]
    rebuilt: dict[str, str]
    again: dict[str, str]
    differing: tuple[str, ...]


def check(store: Store, anchor: Path | None, *, views: bool, scratch: Path | None, progress: Progress) -> Check:
    """Check everything. Views are compared only when the journal is sound: else there is nothing to compare with."""
    database = tuple(store.integrity())
    journal = verify(store, anchor, progress=progress)
    skipped, differing = "", []
    if not views:
        skipped = "only the chain was asked for"
    elif not journal.ok or database:
        skipped = "the journal or the database is damaged"
    else:
        with scratch_store(scratch) as empty:
            differing = differing_views(store, empty, projections(), view_consumers(), progress=progress)
    ok = journal.ok and not database and not differing
    return Check(ok=ok, journal=journal, database=database, views=tuple(map(str, differing)), views_skipped=skipped)


def rebuild(store: Store, scratch: Path | None, progress: Progress) -> Rebuild:
    """Rebuild the views from the journal as far as the live consumers had come, and twice to the head of the journal.

    The last two must be equal; the first must be what the live store holds.
    """
    with scratch_store(scratch) as empty:
        differing = differing_views(store, empty, projections(), view_consumers(), progress=progress)
        with empty.snapshot() as snapshot:
            live = _named(view_digests(snapshot))
        with scratch_store(scratch) as first, scratch_store(scratch) as second:
            rebuilt = _named(replay(empty, first, projections(), view_consumers()))
            again = _named(replay(first, second, projections(), view_consumers()))
    if differing:
        with store.snapshot() as snapshot:
            live |= {name: digest for name, digest in _named(view_digests(snapshot)).items() if name in differing}
    return Rebuild(
        ok=not differing and rebuilt == again,
        live=live,
        rebuilt=rebuilt,
        again=again,
        differing=tuple(map(str, differing)),
    )


def _named(digests: Mapping[str, str]) -> dict[str, str]:
    """The digests by plain names: those of tables are a type of their own, which JSON does not know."""
    return {str(name): digest for name, digest in digests.items()}
