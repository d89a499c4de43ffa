"""A pattern: a regularity in episodes, with what it rests on."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias, get_args

import msgspec

from tacit.learning.assessment.contribution import decode_key, encode_key
from tacit.learning.assessment.evidence import Estimate, Lift

Strategy: TypeAlias = Literal["sequence", "decision", "recovery", "context", "heuristic", "hybrid"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

Key: TypeAlias = tuple[str, ...]
"""What is counted, as words: a family's name and its parts. Equal keys are the same thing, in whatever episode."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A regularity mined from episodes, with its evidence.

    ``support`` and ``successes`` count episodes exactly; ``posterior`` and ``lift`` weigh them by age (half-life).
    """

    id: str
    """Short for its signature, see :func:`pattern_id`."""
    signature: str
    """Its canonical name: the same regularity always has the same one."""
    strategy: Strategy
    text: str
    """In words."""
    tools: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()
    """When it applies: features of the context, or the state within an episode."""
    kinds: tuple[tuple[str, str], ...] = ()
    """The kinds of task (type, domain) in which it occurred, most frequent first."""
    support: int
    successes: int
    others: int
    """Episodes of the same kinds of task in which it did not occur."""
    other_successes: int
    posterior: Estimate
    """The chance of success where it occurs."""
    lift: Lift | None
    """How much higher that chance is than elsewhere, kind by kind of task; None when that cannot be said."""
    stands: bool
    """Whether its lift stands among all that were looked at (see ``evidence.discoveries``)."""
    last_seen: int
    """µs since 1970 UTC."""
    evidence: tuple[str, ...] = ()
    """Ids of the newest episodes in which it occurred."""
    at_end: int = 0
    """Of its successes, in how many it occurred by their last call only. 0 of a recovery, which is judged otherwise."""
    merged: tuple[str, ...] = ()
    """Signatures of the patterns that say the same, which a hybrid has taken in."""

    @property
    def key(self) -> Key:
        """What was counted; of a hybrid, by its strongest part."""
        return tuple(str(part) for part in decode_key(self.signature))

    @property
    def helpful(self) -> bool:
        """Whether episodes in which it occurs succeed more often, beyond chance."""
        return self.stands and self.lift is not None and self.lift.low > 0

    @property
    def closing(self) -> bool:
        """Whether it comes with the end of a success, and may be no cause of it."""
        return self.helpful and closes(self.at_end, self.successes)

    @property
    def harmful(self) -> bool:
        """Whether they succeed less often, beyond chance."""
        return self.stands and self.lift is not None and self.lift.high < 0


def closes(at_end: int, successes: int) -> bool:
    """Whether most successes had something by their last call only. When it came they were done; so whether others that
    came as far would have succeeded by it, the counts cannot tell."""
    return 2 * at_end > successes


def signature_of(*parts: str) -> str:
    """The canonical signature of these parts."""
    return encode_key(*parts)


def pattern_id(signature: str) -> str:
    """A short name for a signature, such as people can type: 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(signature.encode()).hexdigest()[:12]
