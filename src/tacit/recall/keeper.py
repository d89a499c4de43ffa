"""What recall keeps of memories, and how it forgets them: the index of words, vectors with their codes, and uses."""

from __future__ import annotations

from collections import Counter

from tacit.experience.erasing.memories import retold_episodes
from tacit.experience.memory.fold import MemoryRow, unindex_memory, wordings
from tacit.journal.forgetting import Doomed, Fresh, Rows
from tacit.journal.minds import MindInfo
from tacit.recall.code_blocks import coded_models
from tacit.recall.memory_vectors import forget_memory_vectors
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_vectors, _uses = Rows(schema.memory_vector, "model", "number"), Rows(schema.memory_use, "id")


class RecallKeeper:
    """Forgets before the view of memories does, which says what there was of each."""

    def follow(self, snapshot: Snapshot, mind: MindInfo, fresh: Fresh, doomed: Doomed) -> None:
        """Nothing rests on what recall keeps."""

    def count(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        models = coded_models(snapshot, mind.id)
        keys = [(model, row.since) for row in _rows(snapshot, mind, doomed) for model in models]
        uses = _uses.count(snapshot, mind.id, [(id,) for id in doomed.memories])
        return +Counter({_vectors.table: _vectors.count(snapshot, mind.id, keys), _uses.table: uses})

    def forget(self, transaction: Transaction, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        rows = _rows(transaction, mind, doomed)
        for row in rows:
            unindex_memory(transaction, row)
        vectors = forget_memory_vectors(transaction, mind.id, [row.since for row in rows]) if rows else 0
        uses = _uses.forget(transaction, mind.id, [(id,) for id in sorted(doomed.memories)])
        return +Counter({_vectors.table: vectors, _uses.table: uses})


def _rows(snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> list[MemoryRow]:
    """Every wording of what is to be erased, in order; and those of episodes that tell of it, and are told anew."""
    found = [row for id in doomed.memories | doomed.episodes for row in wordings(snapshot, mind.id, id)]
    found += [
        before
        for before, after in retold_episodes(snapshot, mind.id, doomed)
        if after is None or after.text != before.text
    ]
    return sorted(found, key=lambda row: row.since)
