"""Clues: what speaks for and against each thing that could fill a slot, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tacit.learning.pointing.fillers import Fillers, Slot
from tacit.learning.pointing.scene import Scene
from tacit.learning.pointing.spans import Span, head_of, next_of, next_text, number_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]

CLUES = (
    # of a thing, whatever it is to be used for
    "shown", "shown of the goal", "of the goal", "surroundings", "surroundings of the goal", "used",
    "used of the goal", "last filler", "first filler", "new", "new of the goal", "mentions", "recently used",
    "used last", "after the last", "before the last", "like the last", "next of the last", "not mentioned",
    "number one",
    # of a thing in this slot
    "used with the tool", "times with the tool", "failed with the tool", "chosen", "like the last and fresh",
    "fresh kind", "filled this name", "called by this name", "rate of its kind", "rate for the goal", "own rate",
    "rate of its shape", "rate of its writing",
)  # fmt: skip
"""The clues, in the order in which :meth:`Moment.candidates` gives them. The *last* is what the last action was done
with."""
_MOST_TIMES = 3


class Candidates(NamedTuple):
    """Things that could fill a slot, and the clues of each: (things, clues)."""

    things: list[Span]
    clues: Real


class Moment:
    """The present moment of a run: clues are put together for as many slots as are asked for."""

    def __init__(self, scene: Scene, fillers: Fillers) -> None:
        self._scene, self._fillers = scene, fillers
        self._last = scene.last[-1] if scene.last else None
        self._kind = () if self._last is None else head_of(self._last)
        self._number = None if self._last is None else number_of(self._last)
        self._kinds_used = {head_of(span) for span in scene.used}
        self._things = list(scene.mentions)
        self._following: Span | None = None
        if self._last is not None and self._number is not None:
            self._following = next_of(self._last)  # it may exist, though nobody has mentioned it
            if self._following not in scene.mentions:
                self._things.append(self._following)
        self._common: dict[Span, tuple[float, ...]] = {}

    def candidates(self, slot: Slot, chosen: Sequence[Span] = ()) -> Candidates:
        """What could fill a slot of the next action.

        Args:
            chosen: what fills the slots before it.
        """
        import numpy

        usual = [span for span in self._fillers.usual(slot) if span not in self._scene.mentions]
        things = list(dict.fromkeys([*self._things, *usual]))
        ratios = self._fillers.ratios(slot, [head_of(span) for span in things], self._scene.goal)
        rates = self._fillers.rates(slot, things, [self.text(span) for span in things])
        rows = [
            (*self._of(span), *self._in(slot, span, chosen), *ratios[head_of(span)], *rate)
            for span, rate in zip(things, rates, strict=True)
        ]
        return Candidates(things, numpy.array(rows, dtype=numpy.float64).reshape(len(things), len(CLUES)))

    def names(self, span: Span) -> bool:
        """Whether the run has named a thing, or it is the next one after what was used last."""
        return span in self._scene.mentions or span == self._following

    def text(self, span: Span) -> str:
        """How a thing is written."""
        known = self._scene.texts.get(span) or self._fillers.texts.get(span)
        if known is None and span == self._following and self._last is not None:
            return next_text(self._scene.texts[self._last])
        return known or " ".join(span)

    def _of(self, span: Span) -> tuple[float, ...]:
        found = self._common.get(span)
        if found is None:
            found = self._common[span] = self._seen(span)
        return found

    def _seen(self, span: Span) -> tuple[float, ...]:
        scene, last, head, number = self._scene, self._last, head_of(span), number_of(span)
        goal = any(word in scene.goal for word in head)
        shown, known, new = span in scene.shown, span in scene.surroundings, span in scene.new
        used = scene.used.get(span, 0)
        like = last is not None and head == self._kind
        return (
            shown,
            shown and goal,
            goal,
            known,
            known and goal,
            used > 0,
            used > 0 and goal,
            span == last,
            last is not None and span == scene.last[0],
            new,
            new and goal,
            math.log1p(scene.mentions.get(span, 0)),
            1 / (1 + scene.actions - used) if used else 0.0,
            used > 0 and used == scene.actions,
            last is not None and scene.after.get(last) == span,
            last is not None and scene.before.get(last) == span,
            like and span != last,
            like and self._number is not None and number == self._number + 1,
            span not in scene.mentions,
            number == 1,
        )

    def _in(self, slot: Slot, span: Span, chosen: Sequence[Span]) -> tuple[float, ...]:
        scene, (tool, name) = self._scene, slot
        times = scene.used_with[(tool, span)]
        head = head_of(span)
        return (
            times > 0,
            min(times, _MOST_TIMES),
            (tool, span) in scene.failed,
            span in chosen,
            self._last is not None and head == self._kind and not times,
            not times and head not in self._kinds_used,
            scene.used_as.get(name) == span,
            name.lower() in scene.called.get(span, ()),
        )
