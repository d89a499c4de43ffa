"""Points at what the next action is done with: ranks all that a run has named, for each slot of a tool's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tacit.experience.episode import Step, Task
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.pointing.choice import chances_of
from tacit.learning.pointing.clues import Moment
from tacit.learning.pointing.fillers import Fillers, Slot
from tacit.learning.pointing.forms import Form, Forms
from tacit.learning.pointing.scene import Scene
from tacit.learning.pointing.spans import Lexicon, Span
from tacit.learning.pointing.story import Story, read_story

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]


class Guess(NamedTuple):
    """How a tool may be called next."""

    text: str
    """The action's text, or its parameters as JSON; empty where the form cannot be filled."""
    form: Form
    fillers: tuple[Span, ...]
    chance: float
    """That all of it is right, given the tool. The pointer's own belief, until ``ActionModel`` has corrected it."""


class Weights(NamedTuple):
    """What each clue counts in each slot."""

    slots: Mapping[Slot, int]
    values: Real
    """(slots + 1, clues): first the weights for all slots, then those of each."""
    present: Real
    """For each slot how often what filled it was among the candidates, from 0 to 1."""

    def of(self, slot: Slot) -> Real:
        weights: Real = self.values[self.slots.get(slot, -1) + 1]
        return weights


class Pointer(NamedTuple):
    """What is learned."""

    goals: GoalWords
    forms: Forms
    fillers: Fillers
    lexicon: Lexicon
    weights: Weights

    def story(self, task: Task, steps: Sequence[Step]) -> Story:
        """A run, read."""
        return read_story(self.goals, self.forms, task, steps)

    def scene(self, story: Story) -> Scene:
        """A run that has not begun."""
        return Scene(self.lexicon, story.goal, story.description, story.context)

    def moment(self, task: Task, steps: Sequence[Step]) -> Moment:
        """The moment after these steps."""
        story = self.story(task, steps)
        scene = self.scene(story)
        for told in story.steps:
            scene.add(told)
        return Moment(scene, self.fillers)

    def ranked(self, moment: Moment, slot: Slot, chosen: Sequence[Span] = ()) -> list[tuple[Span, float]]:
        """What could fill a slot, with its chances, likeliest first.

        Args:
            chosen: what fills the slots before it.
        """
        import numpy

        things, clues = moment.candidates(slot, chosen)
        if not things:
            return []
        chances = chances_of(clues @ self.weights.of(slot))
        return [(things[place], float(chances[place])) for place in numpy.argsort(-chances, kind="stable").tolist()]

    def guess(self, moment: Moment, tool: str) -> Guess | None:
        """How a tool would be called now: its usual form, each slot filled by the likeliest thing, from left to right.
        None where the tool is not known, nothing is there to fill it, or that may be somebody else's."""
        if tool not in self.forms.usual:
            return None
        form, chance = self.forms.usual[tool]
        fillers: tuple[Span, ...] = ()
        for slot in form.slots:
            ranked = self.ranked(moment, (tool, slot), fillers)
            if not ranked:
                return None
            likeliest, share = ranked[0]
            if not moment.names(likeliest) and not self.fillers.is_common((tool, slot), likeliest):
                return None
            fillers += (likeliest,)
            chance *= share * float(self.weights.present[self.weights.slots[(tool, slot)]])
            chance *= self.fillers.likely_sort((tool, slot), moment.text(likeliest))
        return Guess(form.written(tuple(map(moment.text, fillers))), form, fillers, chance)
