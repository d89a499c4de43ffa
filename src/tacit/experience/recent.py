"""Episodes that were read a moment ago, so that consumers which follow one another read each of them once."""

from __future__ import annotations

from collections import OrderedDict

from tacit.experience.episode import Episode
from tacit.experience.views import load_episode
from tacit.stores.port import Snapshot

MOST_STEPS = 10_000
"""Steps that are kept, of all episodes together: about as many as a batch of consumers has."""


class RecentEpisodes:
    """Reads episodes as of a position, which never change. For one thread at a time."""

    def __init__(self, most_steps: int = MOST_STEPS) -> None:
        self._most_steps = most_steps
        self._kept: OrderedDict[tuple[bytes, bytes, int], Episode] = OrderedDict()
        self._steps = 0

    def load(self, snapshot: Snapshot, mind: bytes, id: bytes, position: int) -> Episode:
        """The episode as of a position; it may have been erased since it was read first.

        Raises:
            NotFound: it did not exist then, or its content was erased.
        """
        key = (mind, id, position)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = load_episode(snapshot, mind, id, position)
            self._steps += len(found.steps)
            while self._steps > self._most_steps:
                self._steps -= len(self._kept.popitem(last=False)[1].steps)
        return found
