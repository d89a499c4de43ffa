"""The text that a memory's vector is made of."""

from __future__ import annotations

ROLES = frozenset({"user", "assistant", "system", "tool", "human", "ai", "bot", "agent"})
"""Who speaks in a chat with an assistant: no names, so no question asks for them by these."""


def wording(text: str, speaker: str = "") -> str:
    """What is embedded: the text, and before it the speaker by name, for questions name people where turns say "I"."""
    return f"{speaker}: {text}" if speaker and speaker.casefold() not in ROLES else text
