"""What all verbs of a mind stand on: whose mind it is, and as of which position it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tacit.cache import AnswerCache
from tacit.experience.erasing.eraser import Eraser
from tacit.experience.expiring import EpisodeRetention
from tacit.experience.live import Buffering
from tacit.experience.recorder import Recorder
from tacit.experience.views import NOW
from tacit.ids import format_id
from tacit.learning.counsel import Counsel
from tacit.ops.logging import operation
from tacit.ops.schedule import Backups
from tacit.recall.forgetting import Retention
from tacit.recall.recaller import Recaller
from tacit.recall.uses import Uses
from tacit.stores.port import Snapshot


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What all minds of one open store share."""

    counsel: Counsel
    backups: Backups
    buffering: Buffering
    retention: Retention
    episode_retention: EpisodeRetention
    cache: AnswerCache
    eraser: Eraser
    recaller: Recaller
    uses: Uses


class View:
    """One mind, as it is or as it was at a position of its journal."""

    def __init__(self, recorder: Recorder, shared: Shared, position: int = NOW) -> None:
        self.recorder = recorder
        self._shared = shared
        self._position = position

    @property
    def id(self) -> str:
        """The mind's id."""
        return format_id(self.recorder.mind.id)

    @property
    def name(self) -> str:
        return self.recorder.mind.name

    @property
    def tenant(self) -> str:
        return self.recorder.mind.tenant

    @contextmanager
    def _reading(self, what: str) -> Iterator[Snapshot]:
        """A consistent snapshot; reading that takes long is warned of."""
        with operation(what, mind=self.name), self.recorder.journal.store.snapshot() as snapshot:
            yield snapshot
