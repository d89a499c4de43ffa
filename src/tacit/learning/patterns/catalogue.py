"""The strategies that count, in the order in which their patterns are listed."""

from __future__ import annotations

from tacit.learning.patterns.claim import Finder
from tacit.learning.patterns.contexts import Contexts
from tacit.learning.patterns.decisions import Decisions
from tacit.learning.patterns.loops import Loops
from tacit.learning.patterns.recoveries import Recoveries
from tacit.learning.patterns.sequences import Sequences

FINDERS: tuple[Finder, ...] = (Sequences(), Decisions(), Recoveries(), Contexts(), Loops())
