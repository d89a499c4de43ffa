"""Keeping a mind within what it may keep, and telling what was forgotten."""

from __future__ import annotations

import msgspec

from tacit.errors import InvalidInput, shown
from tacit.experience import entrance
from tacit.experience.expiring import ExpiredEpisode, due_episodes
from tacit.experience.memory.memory import Memory
from tacit.experience.memory.remember import BATCH, Rememberer
from tacit.experience.memory.views import list_forgotten
from tacit.ids import parse_id
from tacit.learning.expiring import expire
from tacit.learning.lessons.vectors import TASKS
from tacit.recall.forgetting import Forgotten, due
from tacit.recall.former import MEMORIES, drop, former_vectors
from tacit.verbs.base import View


class MaintenanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with ``dry_run`` what would be."""

    forgotten: tuple[Forgotten, ...] = ()
    """Memories, in the order in which they went: first what was too old, then the least useful."""
    expired: tuple[ExpiredEpisode, ...] = ()
    """Episodes, the oldest first."""
    former_vectors: int = 0
    """Vectors of embedders that were set before, and which the one that is set now has caught up with."""
    dry_run: bool = False


class Upkeep(View):
    """Upkeep."""

    def maintain(self, *, dry_run: bool = False) -> MaintenanceReport:
        """Forget memories, and let finished episodes expire, that are beyond the settings ``retention.*``.

        Nothing is erased: the history of a memory stays readable; of an episode a summary stays, and all that was
        learned from it, while its steps are gone for good. Open episodes never expire.

        Vectors of embedders that were set before are removed once the one that is set now has made as many, and no
        process uses them.

        Args:
            dry_run: only tell what would go, which is what the next real run lets go of.
        """
        entrance.check_flag(dry_run, "dry_run")
        mind, now = self.recorder.mind, self.recorder.journal.clock.now()
        with self._reading("mind.maintain") as snapshot:
            found = due(snapshot, mind.id, self._shared.retention, now)
            expired = due_episodes(snapshot, mind.id, self._shared.episode_retention, now)
        if not dry_run:
            rememberer = Rememberer(self.recorder)
            for first in range(0, len(found), BATCH):
                for why in dict.fromkeys(each.why for each in found[first : first + BATCH]):
                    ids = [parse_id(each.id) for each in found[first : first + BATCH] if each.why == why]
                    rememberer.forget(ids, why).result()
            expired = expire(self.recorder.journal, mind, expired)
        removed = self._former_vectors(dry_run)
        return MaintenanceReport(
            forgotten=tuple(found), expired=tuple(expired), former_vectors=removed, dry_run=dry_run
        )

    def _former_vectors(self, dry_run: bool) -> int:
        """Remove the vectors of former embedders, or only count them."""
        meaning = self._shared.recaller.serving.wanted
        if meaning is None:
            return 0
        journal, mind = self.recorder.journal, self.recorder.mind.id
        with self._reading("mind.maintain") as snapshot:
            found = [
                former
                for kind in (MEMORIES, TASKS)
                for former in former_vectors(snapshot, mind, kind, meaning.model, journal.clock.now())
            ]
        if dry_run:
            return sum(former.vectors for former in found)
        return sum(drop(journal, mind, former, meaning.model) for former in found)

    def forgotten(self, *, limit: int = 100) -> list[Memory]:
        """Memories that were forgotten, by usefulness, by age or on request; the last to go first.

        Args:
            limit: how many at most, 1 … 1,000.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 1_000:
            raise InvalidInput(f"limit {shown(limit)} is not a whole number from 1 to 1,000", field="limit")
        with self._reading("memory.list") as snapshot:
            return list_forgotten(snapshot, self.recorder.mind.id, limit)
