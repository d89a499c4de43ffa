"""What is learned of past runs for pointing: the forms of actions, what may be a thing, and how things are chosen.

The choices are those of solved runs. While those of one task are looked at, what its runs have filled in is taken away
from the counts, so that what fits only itself is not trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tacit.experience.episode import Episode
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.goals import GoalWords
from tacit.learning.fitting.reading import group_of, is_success, read_task
from tacit.learning.fitting.ridge import scale_of
from tacit.learning.pointing.choice import ChoiceLog, learn_choice
from tacit.learning.pointing.clues import CLUES, Moment
from tacit.learning.pointing.fillers import Fillers, Slot
from tacit.learning.pointing.forms import Forms
from tacit.learning.pointing.pointer import Pointer, Weights
from tacit.learning.pointing.spans import Lexicon, Span, has_number, shape_of
from tacit.learning.pointing.story import MOST_STEPS, Story, read_story

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Choice: TypeAlias = tuple[int, NDArray[numpy.float64], int | None]

MOST_CHOICES = 2_000
"""Choices that weights are learned from, those of the newest runs."""
FEW_SOLVED = 5
"""With fewer solved runs, all runs are learned from."""
_USUAL_SHAPE = 0.01
"""Of all that was ever filled in, what has a shape as rare as this is no pattern."""


def learn_pointer(episodes: Sequence[Episode], most_choices: int = MOST_CHOICES, check: Check = go_on) -> Pointer:
    """Learned from finished episodes, oldest first.

    Args:
        check: is called again and again, and raises when it is to be given up.
    """
    import numpy

    goals = GoalWords.of(read_task(episode.task) for episode in episodes)
    forms = Forms.of((group_of(each.task), each.steps[-MOST_STEPS:]) for each in checked(episodes, check))
    fillers = Fillers()
    groups: dict[str, list[Episode]] = {}
    for episode in reversed(exemplary(episodes)):
        groups.setdefault(group_of(episode.task), []).append(episode)
    for group in checked(groups.values(), check):
        _count(fillers, [read_story(goals, forms, episode.task, episode.steps) for episode in group], 1)
    names = [(tool, slot) for tool, (form, _) in forms.usual.items() for slot in form.slots]
    slots = {slot: number for number, slot in enumerate(names)}
    nothing = Weights(slots, numpy.zeros((len(slots) + 1, len(CLUES))), numpy.zeros(len(slots)))
    pointer = Pointer(goals, forms, fillers, lexicon_of(fillers), nothing)
    choices = _choices(pointer, checked(groups.values(), check), most_choices)
    return pointer._replace(weights=_weights(slots, choices, check))


def _weights(slots: Mapping[Slot, int], choices: Iterable[Choice], check: Check) -> Weights:
    import numpy

    log = ChoiceLog()
    filled, found = numpy.zeros(len(slots)), numpy.zeros(len(slots))
    for slot, clues, place in choices:
        filled[slot] += 1
        if place is not None:
            found[slot] += 1
            log.add(slot, clues, place)
    present = (found + 0.5) / (filled + 1.0)
    if not len(log):
        return Weights(slots, numpy.zeros((len(slots) + 1, len(CLUES))), present)
    known = log.choices()
    scale = scale_of(known.clues)
    numpy.divide(known.clues, scale, out=known.clues, casting="same_kind")
    return Weights(slots, learn_choice(known, len(slots), check) / scale, present)


def exemplary(episodes: Sequence[Episode]) -> list[Episode]:
    """The runs to learn from: the solved ones, or all when hardly any is."""
    solved = [episode for episode in episodes if is_success(episode)]
    return solved if len(solved) >= FEW_SOLVED else list(episodes)


def lexicon_of(fillers: Fillers) -> Lexicon:
    """What may be a thing, from what has filled slots."""
    spans = fillers.spans()
    shapes = Counter[str]()
    for span, many in spans.items():
        shapes[shape_of(span)] += many
    usual = [shape for shape, many in shapes.items() if has_number(shape) and many >= _USUAL_SHAPE * shapes.total()]
    return Lexicon(usual, [span for span in spans if not has_number(shape_of(span))])


def _count(fillers: Fillers, stories: Sequence[Story], times: int) -> None:
    """Count the runs of one task, or take them away again with −1."""
    filled: list[tuple[Slot, Span]] = []
    for story in stories:
        for act in story.acts:
            for slot, span, text in zip(act.form.slots, act.fillers, act.texts, strict=True):
                fillers.count((act.tool, slot), span, text, story.goal, times)
                filled.append(((act.tool, slot), span))
    fillers.count_task(filled, times)


def _choices(pointer: Pointer, groups: Iterable[Sequence[Episode]], most: int) -> Iterator[Choice]:
    """The choices of the first groups, whole tasks."""
    told = 0
    for episodes in groups:
        stories = [pointer.story(episode.task, episode.steps) for episode in episodes]
        _count(pointer.fillers, stories, -1)
        for story in stories:
            for choice in _choices_of(pointer, story):
                yield choice
                told += 1
        _count(pointer.fillers, stories, 1)
        if told >= most:
            break


def _choices_of(pointer: Pointer, story: Story) -> Iterator[Choice]:
    """Each slot of a run's actions: what could have filled it, and what did."""
    scene = pointer.scene(story)
    for told in story.steps:
        if told.act is not None and told.act.form.slots:
            moment = Moment(scene, pointer.fillers)
            for place, (name, span) in enumerate(zip(told.act.form.slots, told.act.fillers, strict=True)):
                slot = (told.act.tool, name)
                if slot in pointer.weights.slots:
                    things, clues = moment.candidates(slot, told.act.fillers[:place])
                    taken = things.index(span) if span in things else None
                    yield pointer.weights.slots[slot], clues, taken
        scene.add(told)
