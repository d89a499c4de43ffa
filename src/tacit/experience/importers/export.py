"""Write episodes as Tacit's own JSONL, which the importer ``jsonl`` reads back without loss."""

from __future__ import annotations

import msgspec

from tacit.experience.episode import Episode, Record


def record_of(episode: Episode, *, key: str = "") -> Record:
    """The episode as a record, with its id, so that importing an export twice gives nothing new.

    ``key`` is the key under which the episode was recorded, if it had one. The ids of the journal's events are not
    part of a record: they belong to the mind that the episode lives in.
    """
    return Record(
        task=episode.task,
        steps=episode.steps,
        outcome=episode.outcome,
        started_at=episode.started_at_micros,
        ended_at=episode.ended_at_micros,
        id=episode.id,
        key=key,
        relations=episode.relations,
    )


def line_of(record: Record) -> bytes:
    """The record as one line of JSON in UTF-8, with its line feed."""
    return msgspec.json.encode(record) + b"\n"
