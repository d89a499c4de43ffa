"""Erasing for good, and checking the receipt of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tacit.errors import InvalidInput
from tacit.experience import entrance
from tacit.experience.erasing.receipt import NO_RECEIPT, Receipt, ReceiptCheck, check_receipt
from tacit.experience.erasing.target import target_of
from tacit.ops.logging import operation
from tacit.verbs.base import View


class Erasing(View):
    """Erasing."""

    def erase(
        self,
        *,
        memory: str | None = None,
        episode: str | None = None,
        user: str | None = None,
        session: str | None = None,
        source_id: str | None = None,
        everything: bool = False,
        dry_run: bool = False,
    ) -> Receipt:
        """Erase for good: the content and everything that was derived or learned from it. Nothing brings it back.

        It goes out of the journal, of every view (also of the past), of statistics, indexes and caches; the same is
        refused when it comes again; and a restored backup has it erased before it can be used. Copies that others made
        (exports, replicas) are theirs to erase. Large requests are done in batches, in between which others write; when
        the process dies half-way, the same call finishes what is left.

        Args:
            memory, episode: the one of that id.
            user, session: the memories of that user or session, and the episodes whose metadata names it.
            source_id: the memories and episodes that came from that source.
            everything: all that this mind has been through; the mind itself stays, empty.
            dry_run: only tell what would go, with the same counts.

        Returns:
            a signed receipt without any content. Asked again, when nothing is left, it is ``repeated``: it
            tells of what went before.

        Raises:
            InvalidInput: not exactly one thing was named.
            NotFound: there is no memory or episode of that id.
        """
        entrance.check_flag(dry_run, "dry_run")
        target = target_of(memory, episode, user, session, source_id, everything=everything)
        with operation("erase", mind=self.name):
            if dry_run:
                return self._shared.eraser.preview(self.recorder.mind, target)
            return self._shared.eraser.erase(self.recorder.mind, target)

    def check_receipt(self, receipt: Receipt | Mapping[str, Any] | str | bytes) -> ReceiptCheck:
        """Whether a receipt is genuine and holds: signed by this store, its events in the chain as they were written,
        no content or view left of what it names, and tombstones that refuse it.

        Args:
            receipt: as :meth:`erase` gave it, or as JSON or a mapping.
        """
        if isinstance(receipt, str | bytes):
            receipt = Receipt.from_json(receipt)
        elif not isinstance(receipt, Receipt):
            try:
                receipt = msgspec.convert(receipt, Receipt)
            except msgspec.MsgspecError as error:
                raise InvalidInput(NO_RECEIPT) from error
        with self._reading("receipt.check") as snapshot:
            return check_receipt(snapshot, self.recorder.mind.id, receipt)
