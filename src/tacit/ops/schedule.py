"""Backups of an open store: on demand, and on a schedule with rotation."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from tacit.ids import Entropy
from tacit.journal.journal import Journal
from tacit.ops.backup import create_backup
from tacit.ops.backup_catalog import BackupInfo, due, rotate

_log = logging.getLogger("tacit.ops.schedule")


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Where backups go on their own, how many seconds apart, and how many are kept. No directory: none are made."""

    directory: str = ""
    every_seconds: float = 21_600
    keep: int = 20


class Backups:
    """Makes backups of one open store."""

    def __init__(self, journal: Journal, schedule: Schedule, entropy: Entropy) -> None:
        self._journal = journal
        self._schedule = schedule
        self._entropy = entropy

    def create(self, target: Path) -> BackupInfo:
        """A verified copy of the store as it is now, everything in it signed. See ``create_backup``.

        The copy of a store that can only be read is signed as far as the store is; a restore signs the rest.
        """
        journal = self._journal
        if not journal.store.read_only:
            journal.notary.sign_all()
        return create_backup(journal.store, target, clock=journal.clock, entropy=self._entropy)

    def run_due(self) -> None:
        """Make the scheduled backup when its time has come, and delete the oldest beyond those to keep."""
        if not self._schedule.directory:
            return
        directory, now = Path(self._schedule.directory), self._journal.clock.now()
        if not due(directory, self._schedule.every_seconds, now):
            return
        directory.mkdir(parents=True, exist_ok=True)
        made = self.create(directory)
        removed = rotate(directory, self._schedule.keep)
        _log.info("made a scheduled backup", extra={"backup": made.path, "removed": len(removed)})
