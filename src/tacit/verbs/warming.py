"""Warming up: what the first questions need is read before they are asked."""

from __future__ import annotations

import time

import msgspec

from tacit.errors import InvalidInput, shown
from tacit.experience.views import EpisodeFilter, list_episodes, load_episode
from tacit.ids import parse_id
from tacit.verbs.episodes import PastEpisodes

MOST_EPISODES = 1_000


class WarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """What is ready now: whether the embedder answers, memories that are compared by meaning, episodes in the cache."""

    embedder: bool
    memories: int
    episodes: int
    seconds: float


class Warming(PastEpisodes):
    """Warming up."""

    def warm_up(self, *, episodes: int = 100) -> WarmUp:
        """Load what this process needs to answer at once: the embedder, the index of vectors, the words, and the newest
        episodes, as far as the cache has room for them. Nothing is written, and no use of a memory is counted.

        Args:
            episodes: how many, 0 … 1,000.
        """
        if isinstance(episodes, bool) or not isinstance(episodes, int) or not 0 <= episodes <= MOST_EPISODES:
            raise InvalidInput(f"episodes {shown(episodes)} is not a whole number from 0 to 1,000", field="episodes")
        started, journal, mind = time.monotonic(), self.recorder.journal, self.recorder.mind.id
        embedder, memories = self._shared.recaller.warm_up(journal.store, mind, journal.clock.now())
        return WarmUp(
            embedder=embedder,
            memories=memories,
            episodes=self._read_newest(episodes) if episodes else 0,
            seconds=time.monotonic() - started,
        )

    def _read_newest(self, most: int) -> int:
        mind, kept = self.recorder.mind.id, 0
        with self._reading("mind.warm_up") as snapshot:
            for one in list_episodes(snapshot, mind, EpisodeFilter(), limit=most):
                id = parse_id(one.id)

                def read(id: bytes = id) -> bytes:
                    return msgspec.msgpack.encode(load_episode(snapshot, mind, id))

                if not self._shared.cache.fill(self._episode_key(snapshot, id), read):
                    break
                kept += 1
        return kept
