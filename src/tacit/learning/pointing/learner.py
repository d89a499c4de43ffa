"""What is learned of past runs for pointing: the forms of actions, what may be a thing, and how things are chosen.

The choices are those of solved runs. While those of one task are looked at, what its runs have filled in is taken away
from the counts, so that what fits only itself is not trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tacit.experience.episode import Episode
from tacit.learning.goals import GoalWords
from tacit.learning.pointing.choice import join, learn_choice
from tacit.learning.pointing.clues import CLUES, Moment
from tacit.learning.pointing.fillers import Fillers, Slot
from tacit.learning.pointing.forms import Act, Forms
from tacit.learning.pointing.pointer import MOST_STEPS, Pointer, Weights
from tacit.learning.pointing.spans import LONGEST, Lexicon, has_number, shape_of
from tacit.learning.reading import group_of, is_success, read_task
from tacit.learning.ridge import scale_of

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Real = NDArray[numpy.float64]
    Choice: TypeAlias = tuple[int, Real, int | None]

MOST_CHOICES = 4_000
"""Choices that weights are learned from, those of the newest runs."""
FEW_SOLVED = 5
"""With fewer solved runs, all runs are learned from."""
_USUAL_SHAPE = 0.01
"""Of all that was ever filled in, what has a shape as rare as this is no pattern."""


def learn_pointer(episodes: Sequence[Episode]) -> Pointer:
    """Learned from finished episodes, oldest first."""
    import numpy

    goals = GoalWords.of(read_task(episode.task) for episode in episodes)
    forms = Forms.of(step for episode in episodes for step in episode.steps[-MOST_STEPS:])
    fillers = Fillers()
    chosen = exemplary(episodes)
    for episode in chosen:
        _count(fillers, forms, goals, episode, 1)
    names = [(tool, slot) for tool, (form, _) in forms.usual.items() for slot in form.slots]
    slots = {slot: number for number, slot in enumerate(names)}
    nothing = Weights(slots, numpy.zeros((len(slots) + 1, len(CLUES))), numpy.zeros(len(slots)))
    pointer = Pointer(goals, forms, fillers, lexicon_of(fillers), nothing)
    return pointer._replace(weights=_weights(slots, _choices(pointer, chosen)))


def _weights(slots: Mapping[Slot, int], choices: Sequence[Choice]) -> Weights:
    import numpy

    found = [(slot, clues, place) for slot, clues, place in choices if place is not None]
    filled = numpy.bincount([slot for slot, _, _ in choices], minlength=len(slots))
    present = (numpy.bincount([slot for slot, _, _ in found], minlength=len(slots)) + 0.5) / (filled + 1.0)
    if not found:
        return Weights(slots, numpy.zeros((len(slots) + 1, len(CLUES))), present)
    known = join(found)
    scale = scale_of(known.clues)
    return Weights(slots, learn_choice(known._replace(clues=known.clues / scale), len(slots)) / scale, present)


def exemplary(episodes: Sequence[Episode]) -> list[Episode]:
    """The runs to learn from: the solved ones, or all when hardly any is."""
    solved = [episode for episode in episodes if is_success(episode)]
    return solved if len(solved) >= FEW_SOLVED else list(episodes)


def lexicon_of(fillers: Fillers) -> Lexicon:
    """What may be a thing, from what has filled slots."""
    spans = {span: many for span, many in fillers.spans().items() if 0 < len(span) <= LONGEST and many > 0}
    shapes = Counter[str]()
    for span, many in spans.items():
        shapes[shape_of(span)] += many
    usual = [shape for shape, many in shapes.items() if has_number(shape) and many >= _USUAL_SHAPE * shapes.total()]
    return Lexicon(usual, [span for span in spans if not has_number(shape_of(span))])


def acts_of(forms: Forms, episode: Episode) -> Iterator[Act]:
    """The actions of an episode."""
    return (forms.act(step) for step in episode.steps[-MOST_STEPS:] if step.tool)


def _count(fillers: Fillers, forms: Forms, goals: GoalWords, episode: Episode, times: int) -> None:
    goal = goals.content(read_task(episode.task).goal)
    for act in acts_of(forms, episode):
        for slot, span, text in zip(act.form.slots, act.fillers, act.texts, strict=True):
            fillers.count((act.tool, slot), span, goal, times)
            if span and times > 0:
                fillers.texts[span] = text


def _choices(pointer: Pointer, episodes: Sequence[Episode]) -> list[Choice]:
    """The choices of the newest episodes, whole tasks."""
    groups: dict[str, list[Episode]] = {}
    for episode in reversed(episodes):
        groups.setdefault(group_of(episode.task), []).append(episode)
    choices: list[Choice] = []
    for members in groups.values():
        for episode in members:
            _count(pointer.fillers, pointer.forms, pointer.goals, episode, -1)
        for episode in members:
            choices += _choices_of(pointer, episode)
        for episode in members:
            _count(pointer.fillers, pointer.forms, pointer.goals, episode, 1)
        if len(choices) >= MOST_CHOICES:
            break
    return choices


def _choices_of(pointer: Pointer, episode: Episode) -> Iterator[Choice]:
    """Each slot of an episode's actions: what could have filled it, and what did."""
    scene = pointer.scene(episode.task)
    for step in episode.steps[-MOST_STEPS:]:
        told = pointer.told(step)
        if told.act is not None and told.act.form.slots:
            moment = Moment(scene, pointer.fillers)
            chosen: tuple[tuple[str, ...], ...] = ()
            for name, span in zip(told.act.form.slots, told.act.fillers, strict=True):
                slot: Slot = (told.act.tool, name)
                things, clues = moment.candidates(slot, chosen)
                if slot in pointer.weights.slots:
                    yield pointer.weights.slots[slot], clues, things.index(span) if span in things else None
                chosen += (span,)
        scene.add(told)
