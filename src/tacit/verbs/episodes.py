"""Reading episodes, from the cache where nothing was erased since."""

from __future__ import annotations

import msgspec

from tacit.cache import EPISODE, Key
from tacit.experience.episode import Episode
from tacit.experience.views import load_episode
from tacit.ids import parse_id
from tacit.journal.erasing import last_erasure
from tacit.journal.read import head_position
from tacit.stores.port import Snapshot
from tacit.verbs.base import View


class PastEpisodes(View):
    """Reading episodes."""

    def get(self, id: str) -> Episode:
        """An episode with all its steps, by id.

        Raises:
            NotFound: there was none of that id.
        """
        wanted, cache = parse_id(id), self._shared.cache
        with self._reading("episode.get") as snapshot:
            key = self._episode_key(snapshot, wanted)
            kept = cache.get(key)
            if kept is not None:
                return msgspec.msgpack.decode(kept, type=Episode)
            found = load_episode(snapshot, self.recorder.mind.id, wanted, self._position)
        cache.put(key, msgspec.msgpack.encode(found))
        return found

    def _episode_key(self, snapshot: Snapshot, id: bytes) -> Key:
        """What an episode is kept under. The head is in it for the past as well: what that holds may have expired."""
        mind = self.recorder.mind.id
        erased, head = last_erasure(snapshot, mind), head_position(snapshot, mind)
        self._shared.cache.note_erasure(mind, erased)
        return (EPISODE, mind, id, min(self._position, head), head, erased)
