"""How the next tool is to be called: what the action is done with, and how likely that is right.

A pointer (see ``pointing``) names the likeliest action of a tool. How often it is right, for how sure it is, is learned
from tasks that it had not seen: two pointers are fitted to one half of the tasks each, and judged by the other half.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from tacit.experience.episode import Episode, Step, Task
from tacit.learning.fitting.arrays import Packed, pack_floats
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.kept import read_kept
from tacit.learning.fitting.reading import group_of
from tacit.learning.fitting.ridge import Calibration, calibration, chance_of, logit_of
from tacit.learning.pointing.clues import Moment
from tacit.learning.pointing.fillers import Fillers, KeptFillers, Slot
from tacit.learning.pointing.forms import Form, Forms
from tacit.learning.pointing.learner import MOST_CHOICES, exemplary, learn_pointer, lexicon_of
from tacit.learning.pointing.pointer import Guess, Pointer, Weights

LEAST_CHANCE = 0.5
"""An action is told only if it is likelier right than wrong."""
MOST_JUDGED = 1_000
"""Actions by which a pointer is judged, those of the newest runs."""
_FEW_RUNS = 10
"""With fewer runs to judge by, nothing is known of how far the pointer is to be believed, and nothing is told."""
_FORMAT = 2
_SUREST = 0.999


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model, as bytes."""

    format: int
    goals: GoalWords
    fixed: dict[str, frozenset[str]]
    variety: dict[str, dict[str, int]]
    forms: list[tuple[str, Form, float]]
    fillers: KeptFillers
    slots: list[Slot]
    weights: Packed
    present: Packed
    belief: Calibration | None


class Judged(NamedTuple):
    """A guess, and whether it was right."""

    logit: float
    right: bool


class ActionModel:
    """Says how tools are called. Immutable, and safe to use from many threads."""

    def __init__(self, pointer: Pointer, belief: Calibration | None) -> None:
        self.pointer = pointer
        self._belief = belief

    @classmethod
    def fit(cls, episodes: Sequence[Episode], check: Check = go_on) -> ActionModel:
        """A model of the finished ones among some episodes; the same from the same episodes in the same order.

        Args:
            episodes: oldest first.
            check: is called again and again, and raises when it is to be given up.
        """
        finished = [episode for episode in episodes if episode.outcome is not None]
        return cls(learn_pointer(finished, check=check), _belief(finished, check))

    def predict(self, task: Task, steps: Sequence[Step], tools: Iterable[str]) -> dict[str, str]:
        """For each of some tools how it is called after some steps, if it comes next: the action's text, or its
        parameters as JSON where the tool was called by parameters only.

        A tool is left out unless its action is right with a chance of more than ``LEAST_CHANCE``, given that the tool
        is; the chance is calibrated on tasks that were left out.
        """
        if self._belief is None:
            return {}
        moment = self.pointer.moment(task, steps)
        found = {tool: self.guess(moment, tool) for tool in tools}
        return {tool: guess.text for tool, guess in found.items() if guess is not None and guess.chance > LEAST_CHANCE}

    def guess(self, moment: Moment, tool: str) -> Guess | None:
        """The likeliest action of a tool and its chance, however low; None when there is none, or none that anything is
        known of."""
        found = self.pointer.guess(moment, tool)
        if found is None or not found.text or self._belief is None:
            return None
        return found._replace(chance=chance_of(self._belief.corrected(_logit(found))))

    def to_bytes(self) -> bytes:
        """The model, to be kept."""
        pointer = self.pointer
        return msgspec.msgpack.encode(
            _Kept(
                format=_FORMAT,
                goals=pointer.goals,
                fixed=dict(pointer.forms.fixed),
                variety={tool: dict(names) for tool, names in pointer.forms.variety.items()},
                forms=[(tool, form, share) for tool, (form, share) in pointer.forms.usual.items()],
                fillers=pointer.fillers.kept,
                slots=list(pointer.weights.slots),
                weights=pack_floats(pointer.weights.values),
                present=pack_floats(pointer.weights.present),
                belief=self._belief,
            ),
            order="deterministic",
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> ActionModel:
        """A model that was kept.

        Raises:
            InvalidInput: the bytes are not a model, or one of another version; fit it again.
        """
        kept = read_kept(body, _Kept, _FORMAT, "model of actions")
        fillers = Fillers.of(kept.fillers)
        forms = Forms(kept.fixed, kept.variety, {tool: (form, share) for tool, form, share in kept.forms})
        slots = {slot: number for number, slot in enumerate(kept.slots)}
        weights = Weights(slots, kept.weights.array.astype(float), kept.present.array.astype(float))
        return cls(Pointer(kept.goals, forms, fillers, lexicon_of(fillers), weights), kept.belief)


def _belief(episodes: Sequence[Episode], check: Check) -> Calibration | None:
    """How far a pointer is to be believed; None when too little is known to say."""
    import numpy

    halves: tuple[list[Episode], list[Episode]] = ([], [])
    numbers: dict[str, int] = {}
    for episode in episodes:
        halves[numbers.setdefault(group_of(episode.task), len(numbers)) % 2].append(episode)
    judged: list[list[Judged]] = []
    for known, fresh in (halves, halves[::-1]):
        if known and fresh:
            judged += _judged(learn_pointer(known, MOST_CHOICES // 2, check), exemplary(fresh), check)
    if len(judged) < _FEW_RUNS:
        return None
    logits, right = (numpy.array(column, dtype=float) for column in zip(*chain(*judged), strict=True))
    return calibration(logits, right, numpy.ones(len(logits)))


def _judged(pointer: Pointer, episodes: Sequence[Episode], check: Check) -> Iterator[list[Judged]]:
    """What a pointer says of the newest of some episodes that it has not seen."""
    total = 0
    for episode in checked(reversed(episodes), check):
        judged = list(_judged_in(pointer, episode))
        if judged:
            yield judged
        total += len(judged)
        if total >= MOST_JUDGED // 2:
            break


def _judged_in(pointer: Pointer, episode: Episode) -> Iterator[Judged]:
    story = pointer.story(episode.task, episode.steps)
    scene = pointer.scene(story)
    for told in story.steps:
        if told.act is not None:
            guess = pointer.guess(Moment(scene, pointer.fillers), told.act.tool)
            if guess is not None and guess.text:
                yield Judged(_logit(guess), guess.form == told.act.form and guess.fillers == told.act.fillers)
        scene.add(told)


def _logit(guess: Guess) -> float:
    return logit_of(min(max(guess.chance, 1 - _SUREST), _SUREST))
