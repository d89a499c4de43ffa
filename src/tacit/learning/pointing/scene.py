"""The scene of a run: all that it has named so far, what was done with it, and where it came up.

No rule here names a tool or a word. A thing is a span that may fill a slot of an action; the scene remembers of each
when it was mentioned and used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from tacit.learning.pointing.forms import Act
from tacit.learning.pointing.spans import Lexicon, Mention, Span
from tacit.learning.pointing.story import Told

MOST_THINGS = 128
"""Things that are remembered; those that were never used and not mentioned for longest are forgotten."""


class Scene:
    """What a run has shown, step by step."""

    def __init__(self, lexicon: Lexicon, goal: Collection[str], description: str, context: str) -> None:
        self._lexicon = lexicon
        self.goal = goal
        self.actions = 0
        self.mentions: dict[Span, int] = {}
        """Thing → how often it was mentioned; in the order of first mention."""
        self.texts: dict[Span, str] = {}
        """Thing → how it was written last."""
        self._mentioned: dict[Span, int] = {}
        """Thing → the number of its last mention or use, among all mentions and uses."""
        self._count = 0
        self.called: dict[Span, set[str]] = {}
        """Thing → the words that stood before it."""
        self.after: dict[Span, Span] = {}
        self.before: dict[Span, Span] = {}
        """Thing → its neighbour in the text that first listed both."""
        self.used: dict[Span, int] = {}
        """Thing → the number of the action that used it last."""
        self.used_with = Counter[tuple[str, Span]]()
        """By tool."""
        self.used_as: dict[str, Span] = {}
        """What filled a slot of that name last."""
        self.failed: set[tuple[str, Span]] = set()
        """Tools that failed with a thing when they last tried."""
        self.last: tuple[Span, ...] = ()
        """What the last action was done with."""
        self.shown: frozenset[Span] = frozenset()
        """What came with the last answer."""
        self.new: frozenset[Span] = frozenset()
        """What of it came for the first time."""
        self._note(lexicon.mentions(description))
        found = lexicon.mentions(context)
        self.surroundings = frozenset(mention.span for mention in found)
        self._note(found)

    def add(self, step: Told) -> None:
        """One more step."""
        fillers: tuple[Span, ...] = ()
        if step.act is not None:
            fillers = tuple(span for span in step.act.fillers if span)
            self._use(step.act, step.failed)
            self.last = fillers
        found = [mention for mention in self._lexicon.mentions(step.answer) if mention.span not in fillers]
        self._note(found)
        self.shown = frozenset(mention.span for mention in found)
        self._forget()

    @property
    def recent(self) -> list[Span]:
        """The things, the one mentioned last first."""
        return sorted(self.mentions, key=self._mentioned.__getitem__, reverse=True)

    def _use(self, act: Act, failed: bool) -> None:
        self.actions += 1
        for slot, span, text in zip(act.form.slots, act.fillers, act.texts, strict=True):
            if not span:
                continue
            self.mentions.setdefault(span, 0)
            self.texts[span] = text
            self._mark(span)
            self.used[span] = self.actions
            self.used_with[(act.tool, span)] += 1
            self.used_as[slot] = span
            (self.failed.add if failed else self.failed.discard)((act.tool, span))

    def _note(self, found: Sequence[Mention]) -> None:
        self.new = frozenset(mention.span for mention in found if mention.span not in self.mentions)
        for one, other in pairwise(found):
            self.after.setdefault(one.span, other.span)
            self.before.setdefault(other.span, one.span)
        for mention in found:
            self.mentions[mention.span] = self.mentions.get(mention.span, 0) + 1
            self.texts[mention.span] = mention.text
            self._mark(mention.span)
            self.called.setdefault(mention.span, set()).add(mention.before)

    def _mark(self, span: Span) -> None:
        self._count += 1
        self._mentioned[span] = self._count

    def _forget(self) -> None:
        if len(self.mentions) > MOST_THINGS:
            idle = sorted((span for span in self.mentions if span not in self.used), key=self._mentioned.__getitem__)
            for span in idle[: len(self.mentions) - MOST_THINGS]:
                del self.mentions[span]
