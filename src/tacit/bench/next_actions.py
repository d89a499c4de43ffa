"""Next actions, measured on tasks that were held out: what the right tool is called with, beside plain baselines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tacit.bench.folds import FOLDS, Case, of_fold, solved
from tacit.bench.intervals import bootstrap
from tacit.bench.run import Run
from tacit.experience.episode import Episode
from tacit.learning.fitting.reading import group_of
from tacit.learning.pointing.actions import LEAST_CHANCE, ActionModel
from tacit.learning.pointing.clues import Moment
from tacit.learning.pointing.fillers import Slot
from tacit.learning.pointing.forms import Act, Forms
from tacit.learning.pointing.scene import Scene
from tacit.learning.pointing.spans import Span

_Frequent = dict[Slot, Span]


class _Action(NamedTuple):
    """One action of a held-out run: who got which of its slots right, who all of it, and what would have been told."""

    slots: list[dict[str, bool]]
    whole: dict[str, bool]
    told: bool


def measure_next_actions(run: Run, name: str, cases: list[Case]) -> None:
    """How often the right thing is pointed at, given the right tool, in solved runs: for each slot given the slots
    before it, and for whole actions."""
    slots: dict[str, list[float]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    slot_clusters, clusters, told = [], [], []
    for fold in range(FOLDS):
        known, held_out = of_fold(cases, fold)
        model, frequent = ActionModel.fit(known), _frequent(known)
        for case in held_out:
            for action in _actions(model, frequent, case.episode) if solved(case.episode) else ():
                for slot in action.slots:
                    _add(slots, slot)
                    slot_clusters.append(case.cluster)
                _add(whole, action.whole)
                told.append(action.told)
                clusters.append(case.cluster)
    _compare(run, f"{name}_next_slot", slots, slot_clusters)
    _compare(run, f"{name}_next_action", whole, clusters)
    right = [hit for hit, is_told in zip(whole["tacit"], told, strict=True) if is_told]
    run.figure(f"{name}_next_action_told_share", len(right) / len(told), "")
    if right:
        kept = [cluster for cluster, is_told in zip(clusters, told, strict=True) if is_told]
        _note(run, f"{name}_next_action_right_when_told", right, kept)


def _actions(model: ActionModel, frequent: _Frequent, episode: Episode) -> Iterator[_Action]:
    pointer = model.pointer
    story = pointer.story(episode.task, episode.steps)
    scene = pointer.scene(story)
    for told in story.steps:
        act = told.act
        if act is not None:
            moment = Moment(scene, pointer.fillers)
            guess = model.guess(moment, act.tool)
            same_form = act.tool in pointer.forms.usual and pointer.forms.usual[act.tool][0] == act.form
            slots = []
            for place, (name, truth) in enumerate(zip(act.form.slots, act.fillers, strict=True)):
                ranked = pointer.ranked(moment, (act.tool, name), act.fillers[:place])
                plain = _plainly(scene, frequent, act, place)
                slots.append({"tacit": bool(ranked) and ranked[0][0] == truth, **plain})
            whole = {
                "tacit": guess is not None and guess.form == act.form and guess.fillers == act.fillers,
                **{label: same_form and all(slot[label] for slot in slots) for label in ("last", "frequent")},
            }
            yield _Action(slots, whole, guess is not None and guess.chance > LEAST_CHANCE)
        scene.add(told)


def _plainly(scene: Scene, frequent: _Frequent, act: Act, place: int) -> dict[str, bool]:
    """Whether plain rules are right: what was mentioned last and does not fill a slot before, and what filled the slot
    most often in solved runs."""
    truth = act.fillers[place]
    mentioned = [span for span in scene.recent if span not in act.fillers[:place]]
    return {
        "last": bool(mentioned) and mentioned[0] == truth,
        "frequent": frequent.get((act.tool, act.form.slots[place])) == truth,
    }


def _frequent(known: Sequence[Episode]) -> _Frequent:
    """What filled each slot most often in solved runs."""
    forms = Forms.of((group_of(episode.task), episode.steps) for episode in known)
    counts: dict[Slot, Counter[Span]] = defaultdict(Counter)
    for episode in filter(solved, known):
        for act in (forms.act(step) for step in episode.steps if step.tool):
            for name, span in zip(act.form.slots, act.fillers, strict=True):
                counts[(act.tool, name)][span] += 1
    return {slot: found.most_common(1)[0][0] for slot, found in counts.items()}


def _add(columns: dict[str, list[float]], row: dict[str, bool]) -> None:
    for label, hit in row.items():
        columns[label].append(float(hit))


def _compare(run: Run, name: str, columns: dict[str, list[float]], clusters: list[str]) -> None:
    """The share of hits of each, and how much higher ours is on the same cases."""
    run.figure(f"{name}_cases", len(clusters), "")
    if not clusters:
        return
    ours = columns["tacit"]
    for label, hits in columns.items():
        _note(run, f"{name}_{label}", hits, clusters)
        if label != "tacit":
            gain = [one - other for one, other in zip(ours, hits, strict=True)]
            _note(run, f"{name}_gain_over_{label}", gain, clusters)
    best = max(sum(hits) for label, hits in columns.items() if label != "tacit")
    if best:
        run.ratio(f"{name}_over_best_baseline", [sum(ours) / best])


def _note(run: Run, name: str, values: list[float], clusters: list[str]) -> None:
    import numpy

    column = numpy.array(values)
    found = bootstrap(lambda at: float(column[at].mean()), clusters)
    run.interval(name, found)
