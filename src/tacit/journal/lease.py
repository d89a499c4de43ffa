"""Leases: one process at a time runs a consumer on a mind.

Each change of holder raises the epoch, and a write under an old epoch is refused: a process that slept through its
lease cannot write. A holder that thinks for longer than a lease lasts renews it meanwhile; one that was killed does
not, so its lease ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Update, and_, bindparam, select, update

from tacit.clock import MICROS_PER_SECOND, Clock
from tacit.errors import Conflict, TacitError
from tacit.ids import Entropy
from tacit.journal.append import Appender
from tacit.journal.writer import Writer
from tacit.stores import schema

_log = logging.getLogger("tacit.journal.lease")
_row = schema.consumer
_this = and_(_row.c.mind == bindparam("of"), _row.c.name == bindparam("named"))
_state = select(_row.c.position, _row.c.epoch, _row.c.holder, _row.c.expires_at).where(_this).with_for_update()
_take = (
    update(_row)
    .where(_this, _row.c.epoch == bindparam("old_epoch"))
    .values(epoch=bindparam("epoch"), holder=bindparam("holder"), expires_at=bindparam("expires_at"))
)
_renew = update(_row).where(_this, _row.c.epoch == bindparam("old_epoch")).values(expires_at=bindparam("expires_at"))
_advance = (
    update(_row)
    .where(_this, _row.c.epoch == bindparam("old_epoch"), _row.c.position == bindparam("old"))
    .values(position=bindparam("position"), expires_at=bindparam("expires_at"))
)
_release = update(_row).where(_row.c.holder == bindparam("old_holder")).values(holder="", expires_at=0)

_MOST_LEASES = 3
"""A lease that ends later than so many leases from now was taken under a clock that is wrong: it is not believed."""
_RENEWALS = 3
"""Of a lease, in the time that it lasts: one may fail."""


class Lease(msgspec.Struct):
    """The right to run a consumer on a mind, from an offset on."""

    name: str
    mind: bytes
    epoch: int
    position: int
    expires_at: int
    lost: bool = False
    """Whether it was seen that another process has it now."""


class Leases:
    """The leases that one group of consumers holds.

    Args:
        seconds: how long a lease lasts without being renewed.
    """

    def __init__(self, writer: Writer, clock: Clock, entropy: Entropy, seconds: float) -> None:
        self._writer = writer
        self._clock = clock
        self._seconds = seconds
        self._micros = round(seconds * MICROS_PER_SECOND)
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{entropy.bytes(8).hex()}"
        self._held: dict[tuple[str, bytes], Lease] = {}
        self._in_use: Lease | None = None
        self._renewing = threading.RLock()  # guards _in_use; a lease is not renewed and used up at the same time
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = False  # that it cannot be started

    def hold(self, name: str, mind: bytes) -> Lease | None:
        """The lease on a consumer for a mind, with half of its time left or more; None while another process has it."""
        lease = self._held.get((name, mind))
        if lease is not None and not lease.lost and lease.expires_at - self._clock.now() > self._micros // 2:
            return lease
        taken = self._writer.run(lambda appender: self._acquire(appender, name, mind))
        if taken is not None:
            self._held[name, mind] = taken
        return taken

    @contextlib.contextmanager
    def renewed(self, lease: Lease) -> Iterator[None]:
        """While the block lasts, however long, the lease does not end."""
        if self._thread is None:
            self._start()
        with self._renewing:
            before, self._in_use = self._in_use, lease
        try:
            yield
        finally:
            with self._renewing:
                self._in_use = before

    def advance(self, lease: Lease, position: int, write: Callable[[Appender], None]) -> bool:
        """Move the offset, and write what belongs to it, together; False when another process has taken over."""
        expires_at = self._expiry()
        if not self._writer.run(lambda appender: _commit(appender, lease, position, expires_at, write)):
            self._held.pop((lease.name, lease.mind), None)
            return False
        lease.position, lease.expires_at = position, expires_at
        return True

    def give_back(self) -> None:
        """Let others have the leases at once; none is taken after this."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._held:
            minds = sorted({mind for _, mind in self._held})
            self._writer.run(lambda appender: _execute(appender, minds, _release, old_holder=self._holder))
            self._held.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._keep, name="tacit-lease", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no room for another thread; it is tried again with the next batch
            _log.log(logging.DEBUG if self._told else logging.WARNING, "leases are not renewed for now: %s", error)
            self._told = True
            return
        self._thread = thread

    def in_own_thread(self) -> bool:
        """Whether the caller is the thread that renews, which must not wait for consumers."""
        return threading.current_thread() is self._thread

    def _keep(self) -> None:
        while not self._over.wait(self._seconds / _RENEWALS):
            with self._renewing:
                if self._in_use is not None and not self._in_use.lost:
                    self._renew(self._in_use)

    def _renew(self, lease: Lease) -> None:
        expires_at = self._expiry()
        values = {"of": lease.mind, "named": lease.name, "old_epoch": lease.epoch, "expires_at": expires_at}
        try:
            touched = self._writer.run(lambda appender: _execute(appender, [lease.mind], _renew, **values))
        except TacitError as error:  # whoever holds the lease meets the same trouble, and says so
            _log.debug("a lease was not renewed: %s", error, extra={"consumer": lease.name})
            return
        lease.lost = touched == 0
        lease.expires_at = expires_at

    def _expiry(self) -> int:
        return self._clock.now() + self._micros

    def _acquire(self, appender: Appender, name: str, mind: bytes) -> Lease | None:
        transaction, now, expires_at = appender.transaction, self._clock.now(), self._expiry()
        appender.hold(mind)
        row = transaction.row(_state, of=mind, named=name)
        if row is None:
            try:
                with transaction.savepoint():
                    transaction.insert(_row, ((mind, name, 0, 1, self._holder, expires_at),))
            except Conflict:  # another process was first
                return None
            return Lease(name, mind, 1, 0, expires_at)
        position, epoch, holder, held_until = row
        believed = now + _MOST_LEASES * (expires_at - now)
        if now < held_until <= believed and holder != self._holder and not _is_dead(holder):
            return None
        transaction.execute(
            _take, of=mind, named=name, old_epoch=epoch, epoch=epoch + 1, holder=self._holder, expires_at=expires_at
        )
        return Lease(name, mind, epoch + 1, position, expires_at)


def _execute(appender: Appender, minds: Sequence[bytes], statement: Update, **values: Any) -> int:
    """Change rows of consumers; how many. The minds are locked before, as everybody does: other jobs share the
    transaction, and two that took the one and the other first would wait for each other for ever."""
    for mind in minds:
        appender.hold(mind)
    return appender.transaction.execute(statement, **values)


def _commit(
    appender: Appender, lease: Lease, position: int, expires_at: int, write: Callable[[Appender], None]
) -> bool:
    """Effects and offset together; False when another holder has taken over (fenced)."""
    transaction, this = appender.transaction, {"of": lease.mind, "named": lease.name}
    appender.hold(lease.mind)
    values = {"old_epoch": lease.epoch, "old": lease.position, "position": position, "expires_at": expires_at}
    if transaction.execute(_advance, **this, **values) == 0:
        row = transaction.row(_state, **this)
        return row is not None and (row[0], row[1]) == (
            position,
            lease.epoch,
        )  # this commit's first attempt got through
    write(appender)
    return True


def _is_dead(holder: str) -> bool:
    """Whether the holder of a lease was a process of this machine that is gone."""
    host, _, rest = holder.partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdigit():
        return holder == ""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
