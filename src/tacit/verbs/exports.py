"""Taking everything out: episodes and memories, as they are."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

from tacit.experience import entrance
from tacit.experience.draft import check_target, draft_of
from tacit.experience.episode import Episode
from tacit.experience.importers import line_of, record_of
from tacit.experience.memory.line import line_of_memory
from tacit.experience.memory.memory import Memory
from tacit.experience.memory.walk import every_memory
from tacit.experience.views import EpisodeFilter, list_episodes, load_episode
from tacit.ids import parse_id
from tacit.stores.paths import path_of
from tacit.stores.port import Snapshot
from tacit.stores.sqlite_file import own_files
from tacit.verbs.base import View

_PAGE = 100


class Exported(NamedTuple):
    """How many lines were written."""

    episodes: int
    memories: int


class Exports(View):
    """What a mind gives away."""

    def all_episodes(self) -> Generator[Episode, None, None]:
        """Every episode with its steps, newest first, from one consistent snapshot."""
        with self._reading("mind.export") as snapshot:
            yield from _episodes(snapshot, self.recorder.mind.id)

    def all_memories(self) -> Generator[Memory, None, None]:
        """Every memory that holds, by when its wording came in, from one consistent snapshot."""
        with self._reading("mind.export") as snapshot:
            yield from every_memory(snapshot, self.recorder.mind.id)

    def export_lines(self) -> Generator[bytes, None, None]:
        """What :meth:`export` writes, a line at a time, each with its line feed; from one consistent snapshot."""
        for _, line in self._told():
            yield line

    def _told(self) -> Generator[tuple[bool, bytes], None, None]:
        """Whether it is a memory, and the line."""
        with self._reading("mind.export") as snapshot:
            for episode in _episodes(snapshot, self.recorder.mind.id):
                yield False, line_of(record_of(episode))
            for memory in every_memory(snapshot, self.recorder.mind.id):
                yield True, line_of_memory(memory)

    def export(
        self, path: str | Path, *, overwrite: bool = False, progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Write every episode and every memory as Tacit's own JSONL, a line each; how many lines there were.

        ``ingest`` reads it back without loss, under the same ids. Of a memory it holds what is remembered now: what
        was said before it was corrected, or was superseded or forgotten, stays in this store only.

        Raises:
            Conflict: there is something at the path that nobody said may be overwritten, is no file, or is the store.
            NotFound: its folder does not exist.
        """
        return sum(write_export(self, path, overwrite=overwrite, progress=progress))


def write_export(mind: Exports, path: str | Path, *, overwrite: bool, progress: Callable[[int], None]) -> Exported:
    """What :meth:`Exports.export` does; how much of each there was."""
    path = path_of(path, "the path")
    entrance.check_progress(progress)
    check_target(path, overwrite=overwrite, kept=own_files(Path(mind.recorder.journal.store.location)))
    counts = {False: 0, True: 0}
    with draft_of(path, overwrite=overwrite) as draft:
        for is_memory, line in mind._told():
            draft.write(line)
            counts[is_memory] += 1
            progress(sum(counts.values()))
    return Exported(counts[False], counts[True])


def _episodes(snapshot: Snapshot, mind: bytes) -> Generator[Episode, None, None]:
    after = ""
    while page := list_episodes(snapshot, mind, EpisodeFilter(), limit=_PAGE, after=after):
        for summary in page:
            if summary.expired:
                continue  # nobody could make an episode of what is left
            yield load_episode(snapshot, mind, parse_id(summary.id))
        after = page[-1].id
