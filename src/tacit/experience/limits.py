"""The bounds of what may be stored. Sizes are bytes of UTF-8 unless the name says otherwise."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound at the entrance. The defaults suit real agents; settings ``limits.*`` change them.

    Beyond a limit, live calls and bulk imports alike raise LimitExceeded and store nothing; importers shorten
    with a visible mark instead, when told to.
    """

    description_bytes: int = 10_000
    observation_bytes: int = 10_000
    artifact_bytes: int = 1_000_000
    steps_per_episode: int = 1_000
    event_bytes: int = 10_000_000
    episode_bytes: int = 10_000_000
    text_bytes: int = 10_000
    """One free text other than description and observation: an action, an error, a verdict, a reason."""
    name_bytes: int = 256
    """One name: a tool, a task type, a domain, a tag, a key."""
    tags_per_episode: int = 100
    memory_bytes: int = 10_000
    """The text of one memory."""
    json_depth: int = 32


DEFAULT_LIMITS = Limits()
