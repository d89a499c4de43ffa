"""What verification found: each problem with its place, and the report of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tacit.errors import Closed, ForkedStore, StoreBusy, StoreUnavailable
from tacit.ids import ID_BYTES, format_id
from tacit.stores.port import Row, Snapshot

What = Literal["event", "payload", "checkpoint", "anchor", "head", "node", "table", "consumer"]
MOST_LISTED = 1_000
NOT_DAMAGE = (StoreBusy, StoreUnavailable, ForkedStore, Closed)
"""Errors that say that the database cannot be asked just now, and nothing of what is in it."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not match, named as far as it is known; what is unknown is empty or 0.

    ``mind`` and ``id`` are UUIDs, ``origin`` is in hex, and ``sequence`` counts in the chain of that mind and origin.
    """

    what: What
    mind: str = ""
    origin: str = ""
    sequence: int = 0
    id: str = ""
    message: str

    def __str__(self) -> str:
        place = [f"mind {self.mind}"] if self.mind else []
        place += [f"origin {self.origin}"] if self.origin else []
        place += [f"sequence {self.sequence}"] if self.sequence else []
        place += [f"id {self.id}"] if self.id else []
        return f"{self.what}: {self.message}" + (f" ({', '.join(place)})" if place else "")


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The report: how much was checked, and what was wrong with it, the first thing found first."""

    minds: int
    events: int
    checkpoints: int
    anchored: int
    """Lines of the anchor file that agree with the database; one that stands there twice counts once. 0 of many: the
    anchor is missing or not used."""
    problems: tuple[Problem, ...]
    """At most 1,000."""
    unlisted: int
    """How many more problems there were than are listed."""

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def first(self) -> Problem | None:
        return self.problems[0] if self.problems else None


class Findings:
    """Collects problems and counts while verification runs; memory stays bounded however much is broken."""

    def __init__(self) -> None:
        self.minds = self.events = self.checkpoints = self.anchored = 0
        self.problems: list[Problem] = []
        self.unlisted = 0

    def add(
        self, what: What, message: str, *, mind: Any = b"", origin: Any = b"", sequence: Any = 0, id: Any = b""
    ) -> None:
        """Note a problem. The place may hold damaged values of any type."""
        if len(self.problems) >= MOST_LISTED:
            self.unlisted += 1
            return
        self.problems.append(
            Problem(
                what=what,
                mind=_uuid(mind),
                origin=origin.hex() if isinstance(origin, bytes) else repr(origin)[:80],
                sequence=sequence if isinstance(sequence, int) else 0,
                id=_uuid(id),
                message=message,
            )
        )

    def read(self, snapshot: Snapshot, statement: Any, **values: Any) -> list[Row] | None:
        """The rows of a select; None, with the reason in ``unreadable``, when the database cannot give them."""
        try:
            return snapshot.rows(statement, **values)
        except NOT_DAMAGE:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a damaged page makes the driver raise is a finding
            self.unreadable = str(error)
            return None

    def report(self) -> Verification:
        return Verification(
            minds=self.minds,
            events=self.events,
            checkpoints=self.checkpoints,
            anchored=self.anchored,
            problems=tuple(self.problems),
            unlisted=self.unlisted,
        )

    unreadable: str = ""


def distinct(
    findings: Findings, snapshot: Snapshot, first: Any, following: Any, table: str, **values: Any
) -> Iterator[Any]:
    """The different values of an indexed column in order, one index seek for each."""
    rows = findings.read(snapshot, first, **values)
    previous: Any = None
    while rows:
        found = rows[0][0]
        if previous is not None and type(found) is type(previous) and not found > previous:
            findings.add("table", f"the index of table {table} is out of order", mind=values.get("mind", found))
            return
        yield found
        previous = found
        rows = findings.read(snapshot, following, after=found, **values)
    if rows is None:
        findings.add("table", f"table {table} cannot be read: {findings.unreadable}", mind=values.get("mind", b""))


def _uuid(raw: Any) -> str:
    if isinstance(raw, bytes):
        return format_id(raw) if len(raw) == ID_BYTES else raw.hex()
    return "" if raw is None else repr(raw)[:80]
