"""Write episodes as Tacit's own JSONL, which the importer ``jsonl`` reads back without loss."""

from __future__ import annotations

import msgspec

from tacit.experience.episode import Episode, Record


def record_of(episode: Episode, *, key: str = "") -> Record:
    """The episode as a record: task, steps, outcome and times.

    ``key`` is the key under which the episode was recorded, if it had one; otherwise the episode's id becomes the
    key, so that importing the same export twice gives nothing new. Relations and the ids of events belong to the
    mind that the episode lives in, and are not part of a record.
    """
    return Record(
        task=episode.task,
        steps=episode.steps,
        outcome=episode.outcome,
        started_at=episode.started_at_micros,
        ended_at=episode.ended_at_micros,
        key=key or f"episode:{episode.id}",
    )


def line_of(record: Record) -> bytes:
    """The record as one line of JSON in UTF-8, with its line feed."""
    return msgspec.json.encode(record) + b"\n"
