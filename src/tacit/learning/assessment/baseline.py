"""What an episode is compared with: the sums of the other finished episodes of its domain."""

from __future__ import annotations

import math

import msgspec
from sqlalchemy import bindparam, select

from tacit.experience.episode import Episode
from tacit.ids import parse_id
from tacit.learning.assessment.contribution import VALUE_UNIT, baseline_key, tools_of
from tacit.learning.assessment.histogram import value_at
from tacit.learning.assessment.tally import stored_contribution
from tacit.stores import schema
from tacit.stores.port import Snapshot

_statistic = schema.statistic
_count = select(_statistic.c.count).where(_statistic.c.mind == bindparam("mind"), _statistic.c.key == bindparam("key"))

PRIOR_EPISODES = 5
"""A baseline of this many episodes is trusted half; of none, not at all."""
PRIOR_VARIANCE = 0.25
"""Of a success or failure as likely as not; it keeps the spread from being zero where all ended alike."""


class DomainBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """Integer sums over the other finished episodes of a domain (or of a task type, where there is no domain).

    ``value`` sums the outcomes' worth in thousandths; ``solved…`` are over successful episodes only, durations as
    numbers of buckets of µs (see ``histogram``). ``known_tools`` holds those of the episode's tools that others used.
    """

    episodes: int = 0
    value: int = 0
    value_squared: int = 0
    solved: int = 0
    solved_steps: int = 0
    solved_timed: int = 0
    solved_duration: int = 0
    known_tools: frozenset[str] = frozenset()

    @property
    def mean_value(self) -> float:
        """The mean worth of an outcome, from 0 to 1; 0 without episodes."""
        return self.value / (self.episodes * VALUE_UNIT) if self.episodes else 0.0

    @property
    def spread(self) -> float:
        """The standard deviation of the worth, with a prior of five episodes of variance 0.25; never zero."""
        if not self.episodes:
            return math.sqrt(PRIOR_VARIANCE)
        squares = max(0, self.episodes * self.value_squared - self.value * self.value) / self.episodes / VALUE_UNIT**2
        return math.sqrt((squares + PRIOR_EPISODES * PRIOR_VARIANCE) / (self.episodes + PRIOR_EPISODES))

    @property
    def typical_steps(self) -> float | None:
        """The mean number of steps of a success; None when there was none."""
        return self.solved_steps / self.solved if self.solved else None

    @property
    def typical_duration_us(self) -> float | None:
        """How long a success took, as a geometric mean (within 10 %), in µs; None when none was timed."""
        return value_at(self.solved_duration / self.solved_timed) if self.solved_timed else None


def trust(episodes: int) -> float:
    """How far sums over that many episodes are believed: n / (n + 5), from 0 towards 1.

    The usual shrinkage of a group's mean towards a prior (B. Efron and C. Morris, "Stein's paradox in statistics",
    Scientific American 236, 1977).
    """
    return episodes / (episodes + PRIOR_EPISODES)


_MEASURES = (
    "episodes", "value", "value_squared", "solved", "solved_steps", "solved_timed", "solved_duration",
)  # fmt: skip


def read_baseline(snapshot: Snapshot, mind: bytes, episode: Episode) -> DomainBaseline:
    """The baseline for an episode: what the statistics hold, less what this very episode contributed to them."""
    own = stored_contribution(snapshot, mind, parse_id(episode.id))

    def others(*measure: str) -> int:
        key = baseline_key(episode.task, *measure)
        row = snapshot.row(_count, mind=mind, key=key)
        return (row[0] if row else 0) - own.get(key, 0)

    known = frozenset(tool for tool in tools_of(episode) if others("tool", tool) > 0)
    return DomainBaseline(known_tools=known, **{measure: others(measure) for measure in _MEASURES})
