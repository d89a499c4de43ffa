"""How much a mind and a tenant may write: quotas of what is kept, and rates of what comes in.

    allowance.admit(mind, tenant)            # in the caller's thread: is it too fast?
    allowance.bounded(job)                   # the job, refused when it would take a mind or its tenant over a quota

Quotas are counted in the database, in the transaction that writes, so all processes share them; rates are those of one
process. What the store writes for itself (checkpoints, what was learned) is not bounded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from sqlalchemy import bindparam, func, select

from tacit.errors import QuotaExceeded, RateLimitExceeded
from tacit.journal.append import Appender
from tacit.stores import schema
from tacit.stores.port import Transaction

T = TypeVar("T")
BURST_SECONDS = 1.0
"""After a pause so many seconds' worth may come at once."""
_MOST_REMEMBERED = 10_000
"""Minds and tenants; those that have made up for all they wrote are forgotten first."""
_LONGEST_NAP_SECONDS, _ROUNDING_SECONDS = 0.5, 1e-6

_tenant_of = select(schema.mind.c.tenant).where(schema.mind.c.id == bindparam("id"))
_minds_of = select(func.count()).select_from(schema.mind).where(schema.mind.c.tenant == bindparam("tenant"))


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed; 0 is no bound. See the settings ``quotas`` and ``rates``."""

    mind_events: int = 0
    tenant_events: int = 0
    tenant_minds: int = 0
    mind_rate: float = 0.0
    """Events a second."""
    tenant_rate: float = 0.0


class Allowance:
    """Refuses what is over the bounds. Safe to use from many threads."""

    def __init__(self, bounds: Bounds, now: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._now = now
        self._lock = threading.RLock()
        self._due: dict[tuple[str, bytes | str], float] = {}
        """When what each mind and tenant has written so far would have come at the rate that it is allowed."""

    # ── rates ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, mind: bytes, tenant: str, events: int = 1) -> None:
        """Count events that somebody is about to write. (The generic cell rate algorithm of ITU-T I.371.)

        Raises:
            RateLimitExceeded: they come too fast; nothing was counted, and ``retry_after`` says in how many seconds
                they would be admitted.
        """
        if not (self._bounds.mind_rate or self._bounds.tenant_rate):
            return
        with self._lock:
            now, due = self._now(), dict[tuple[str, bytes | str], float]()
            for what, who, rate in (
                ("mind", mind, self._bounds.mind_rate),
                ("tenant", tenant, self._bounds.tenant_rate),
            ):
                if rate <= 0:
                    continue
                seconds = events / rate
                due[what, who] = max(now, self._due.get((what, who), now)) + seconds
                wait = due[what, who] - now - max(BURST_SECONDS, seconds)
                if wait > _ROUNDING_SECONDS:
                    raise RateLimitExceeded(
                        f"this {what} writes more than {rate:g} events a second (rates.{what}_events); "
                        f"try again in {wait:.3g} s",
                        retry_after=wait,
                        limit=rate,
                    )
            self._due.update(due)
            if len(self._due) > _MOST_REMEMBERED:
                self._due = {who: at for who, at in self._due.items() if at > now}

    def pace(self, mind: bytes, tenant: str) -> None:
        """Wait until one more event is admitted: for an import, which is not over before all is written."""
        while True:
            try:
                self.admit(mind, tenant)
                return
            except RateLimitExceeded as error:
                time.sleep(min(error.retry_after, _LONGEST_NAP_SECONDS))

    # ── quotas ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def bounded(self, job: Callable[[Appender], T]) -> Callable[[Appender], T]:
        """The job, in which every event that would exceed a quota raises QuotaExceeded."""
        if not (self._bounds.mind_events or self._bounds.tenant_events):
            return job

        def run(appender: Appender) -> T:
            with appender.checking(self._check):
                return job(appender)

        return run

    def check_new_mind(self, transaction: Transaction, tenant: str) -> None:
        """Refuse a further mind of a tenant that has all that it may have.

        Raises:
            QuotaExceeded: see there.
        """
        most = self._bounds.tenant_minds
        row = transaction.row(_minds_of, tenant=tenant) if most else None
        if row is not None and row[0] >= most:
            raise QuotaExceeded(
                f"tenant {tenant!r} has {row[0]:,} minds, and may have {most:,} (quotas.tenant_minds)",
                tenant=tenant,
                limit=most,
            )

    def _check(self, appender: Appender, mind: bytes, kept: int) -> None:
        """Refuse an event of a mind that keeps ``kept`` events already."""
        most, most_of_tenant = self._bounds.mind_events, self._bounds.tenant_events
        if most and kept >= most:
            raise QuotaExceeded(
                f"this mind keeps {kept:,} events, and may keep {most:,} (quotas.mind_events); nothing was stored",
                limit=most,
            )
        row = appender.transaction.row(_tenant_of, id=mind) if most_of_tenant else None
        if row is not None and (kept_by_all := appender.kept_by(row[0])) >= most_of_tenant:
            raise QuotaExceeded(
                f"the minds of tenant {row[0]!r} keep {kept_by_all:,} events, and may keep {most_of_tenant:,} "
                "(quotas.tenant_events); nothing was stored",
                tenant=row[0],
                limit=most_of_tenant,
            )
