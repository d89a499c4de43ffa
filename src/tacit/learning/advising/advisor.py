"""Puts advice together for one situation: what is known of the task's kind, of its like, and of where it stands now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import msgspec

from tacit.experience.episode import Step, Task
from tacit.learning.advising.advice import Advice, Item, NextStep, Playbook, Tool, ToolAdvice
from tacit.learning.advising.book import Book
from tacit.learning.advising.choices import Worth
from tacit.learning.advising.coherence import settled, with_playbook, with_steps
from tacit.learning.advising.inferred_kind import taken_for
from tacit.learning.advising.items import cited, items, rules
from tacit.learning.advising.nearest import Near, Shelf
from tacit.learning.advising.situation import Situation, situation
from tacit.learning.assessment.evidence import Estimate
from tacit.learning.assessment.statistics import Share, share
from tacit.learning.lessons.trace import Trace, words_of
from tacit.learning.ranking.ranker import Described, ToolRanker

if TYPE_CHECKING:
    from tacit.learning.next_step.model import Forecast
    from tacit.recall.embedder import Vector

MOST_TOOLS = 10
MOST_NEXT = 5
MOST_EPISODES = 5
MOST_EVIDENCE = 5
_PRECEDENTS = 50
"""Episodes like the task that are looked at."""
_NEIGHBOURS = 15
"""Episodes that are asked for tools where no ranker was fitted."""
_LEAST_CHANCE = 0.01
"""A tool that is less likely the right one is not named."""
_UNUSUAL = 0.02
"""Added to every chance, so that what was never done can still be advised when all else has failed."""
_WORTH_POWER = 2.0
"""How much the outcomes of a choice weigh beside how usual it is."""
LEAST_LIKENESS = 0.2
"""What is less alike is no precedent."""
LEAST_CHANCE_TO_ACT = 0.1
"""How a tool is called is told only if the tool is at least so likely: what is said of the others was learned from
other moments, and would be done to somebody else."""
LEAST_USUAL = 10
"""Finished episodes of a kind of which it is said how often they succeed."""
BY_WORDS_ALONE = "the embedder gave no vector of this task, so its like was looked for by words alone"
WIDEST = 0.5
"""Of an interval of a chance. One that leaves more than half of everything open says less than one yes or no would: the
figure in its middle would pass for knowledge."""


class SuccessForecaster(Protocol):
    """Says how likely a task is to be done, after some steps."""

    def predict(self, task: Task, steps: Sequence[Step]) -> Estimate | None:
        """The chance of success; None when too little is known."""
        ...


class StepForecaster(Protocol):
    """Says which tool comes next where this goes well."""

    def forecast(self, task: Task, steps: Sequence[Step]) -> Forecast:
        """Tools with their chances, most likely first, and the chance that none comes any more."""
        ...


class ActionForecaster(Protocol):
    """Says how tools are called."""

    def predict(self, task: Task, steps: Sequence[Step], tools: Iterable[str]) -> dict[str, str]:
        """For each of some tools its action, if it comes next; only actions that are likelier right than wrong."""
        ...


class Models(msgspec.Struct, frozen=True):
    """What was fitted to the episodes so far; None where there were none."""

    success: SuccessForecaster | None = None
    next_step: StepForecaster | None = None
    actions: ActionForecaster | None = None
    tools: ToolRanker | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a task, the tools at hand, and the steps taken so far."""

    task: Task
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def texts(self) -> list[str]:
        """What has a meaning: the task's description, and those of tools."""
        return list(dict.fromkeys([self.task.description, *(tool.description for tool in self.tools if _told(tool))]))


def advise(
    question: Question,
    book: Book,
    shelf: Shelf,
    models: Models,
    vectors: Mapping[str, Vector] | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Advice:
    """Advice on a question, from what was learned and the episodes at hand. Pure: nothing is recorded.

    Args:
        vectors: of the question's texts, by the shelf's model, as far as there are any.
        hidden: ids of heuristics that are not told, and have no effect on the rest of the advice either.
    """
    stated, steps, vectors = question.task, question.steps, vectors or {}
    here = situation(stated, steps)
    alike = shelf.nearest(here.features, _PRECEDENTS, vectors.get(stated.description))
    near = [each for each in alike if each.likeness >= LEAST_LIKENESS]
    by_words = stated.description not in vectors
    notes = (BY_WORDS_ALONE,) if shelf.has_vectors and by_words else ()
    if not near and not _is_known(here, alike, models, shelf, by_words=by_words):
        tools = _tools(question, near, models.tools, vectors, shelf.model)  # the described ones suit or do not, always
        return Advice(success=None, abstained=not tools, tools=tools, notes=notes)
    task, said = taken_for(stated, near, shelf)
    notes = (*notes, *said)
    if task != stated:
        question, here = msgspec.structs.replace(question, task=task), situation(task, steps)
    precedents = shelf.of_kind(here.kind)
    here = _with_tools(here, question, [trace for _, trace in precedents] or [each.trace for each in near])
    worth = Worth((trace for _, trace in precedents), here.last)
    told = settled(rules((each for each in book.heuristics if each.id not in hidden), here), here)
    told, playbook = with_playbook(told, _playbook(here, book))
    coming = None if models.next_step is None else models.next_step.forecast(task, steps)
    following = () if coming is None else _next_steps(here, coming, models, question, precedents, worth)
    told, following = with_steps(told, following, here, worth.is_usual)
    found = Advice(
        success=_chance(models.success, task, steps),
        usual=_usual(precedents),
        abstained=False,
        tools=_tools(question, near, models.tools, vectors, shelf.model),
        next_steps=following,
        end=None if coming is None else coming.end,
        pitfalls=items(told, "avoid"),
        heuristics=items(told, "do"),
        playbook=playbook,
        episodes=tuple(_episode(each) for each in near[:MOST_EPISODES]),
        notes=notes,
    )
    nothing = not (found.success or found.tools or found.next_steps or found.pitfalls or found.heuristics)
    return msgspec.structs.replace(found, abstained=nothing)


def _with_tools(here: Situation, question: Question, like: Iterable[Trace]) -> Situation:
    """The situation with the tools at hand; where they were not told, with those that tasks like this one called."""
    at_hand = frozenset(tool.name for tool in question.tools)
    called = frozenset(call.tool for trace in like for call in trace.calls)
    return msgspec.structs.replace(here, tools=at_hand or called, at_hand=bool(at_hand))


def _is_known(here: Situation, alike: Sequence[Near], models: Models, shelf: Shelf, *, by_words: bool) -> bool:
    """Whether a task without near precedents is of a known kind, or was begun with known tools; or, where there are no
    vectors to go by, whether half of its words are an episode's. (In likeness, words that all episodes have count for
    next to nothing, and one new word beside them for nearly everything.)"""
    known = frozenset() if models.tools is None else frozenset(models.tools.tools)
    if shelf.knows(here.kind) or any(call.tool in known for call in here.calls):
        return True
    words = {feature for feature in here.features if feature.startswith("word:")}
    shared = max((len(words.intersection(each.trace.features)) for each in alike), default=0)
    return by_words and 0 < len(words) <= 2 * shared


def _chance(forecaster: SuccessForecaster | None, task: Task, steps: Sequence[Step]) -> Estimate | None:
    """The chance of success; None where its interval leaves more than half of everything open."""
    found = None if forecaster is None else forecaster.predict(task, steps)
    return None if found is None or found.high - found.low > WIDEST else found


def _usual(precedents: Sequence[tuple[str, Trace]]) -> Share | None:
    """How often a kind of task succeeds; None of few episodes."""
    well = sum(trace.success for _, trace in precedents)
    return share(well, len(precedents)) if len(precedents) >= LEAST_USUAL else None


def _told(tool: Tool) -> bool:
    return bool(tool.description.strip())


def _tools(
    question: Question, near: Sequence[Near], ranker: ToolRanker | None, vectors: Mapping[str, Vector], model: str
) -> tuple[ToolAdvice, ...]:
    """Tools by the chance that each is the right one, with the episodes most like this one that used it. Nothing is
    said of a task like none that was seen, unless tools are described."""
    described = any(map(_told, question.tools))
    ranked = _ranked(question, ranker, vectors, model) if ranker is not None and (near or described) else []
    if not ranked:
        return _voted(question, near[:_NEIGHBOURS])
    found = [(tool, chance) for tool, chance in ranked[:MOST_TOOLS] if chance >= _LEAST_CHANCE]
    known = frozenset() if ranker is None else frozenset(ranker.tools)
    return tuple(_ranked_tool(tool, chance, near, tool in known) for tool, chance in found)


def _ranked(
    question: Question, ranker: ToolRanker, vectors: Mapping[str, Vector], model: str
) -> list[tuple[str, float]]:
    """What the ranker says. Vectors are of use to it only from the embedder whose vectors it has learned from."""
    text = question.task.description
    useful = vectors if ranker.model == model else {}
    given = [Described(tool.name, tool.description, useful.get(tool.description)) for tool in question.tools]
    return ranker.rank(text, useful.get(text), given or None)


def _ranked_tool(name: str, chance: float, near: Sequence[Near], known: bool) -> ToolAdvice:
    users = [each for each in near if any(call.tool == name for call in each.trace.calls)]
    if users:
        well = sum(each.trace.success for each in users)
        why = f"used in {len(users)} of the {len(near)} episodes most like this task, {well} of which succeeded"
    else:
        why = (
            "its usual tasks are somewhat like this one"
            if known
            else "its description is like the task; never used yet"
        )
    return ToolAdvice(
        name=name, score=chance, why=why, evidence=cited([each.episode for each in users[:MOST_EVIDENCE]])
    )


def _voted(question: Question, near: Sequence[Near]) -> tuple[ToolAdvice, ...]:
    """Tools that episodes like this one used, each episode's vote weighed by its likeness and how it ended; and those
    whose description shares words with the task, for what nobody has tried yet."""
    votes: dict[str, float] = defaultdict(float)
    voters: dict[str, list[Near]] = defaultdict(list)
    for each in near:
        weight = each.likeness * (1.0 if each.trace.success else 0.3)
        for tool in dict.fromkeys(call.tool for call in each.trace.calls):
            votes[tool] += weight
            voters[tool].append(each)
    wanted = set(words_of(question.task.description))
    for told in question.tools:
        words = set(words_of(f"{told.name.replace('_', ' ')} {told.description}"))
        votes[told.name] += len(words & wanted) / (len(words) + 1)
    if question.tools:
        at_hand = {tool.name for tool in question.tools}
        votes = {tool: vote for tool, vote in votes.items() if tool in at_hand}
    whole = sum(votes.values())
    ranked = sorted((tool for tool in votes if votes[tool] > 0), key=lambda tool: (-votes[tool], tool))[:MOST_TOOLS]
    return tuple(_tool(tool, votes[tool] / whole, voters[tool]) for tool in ranked)


def _tool(name: str, score: float, voters: Sequence[Near]) -> ToolAdvice:
    well = sum(each.trace.success for each in voters)
    told = f"used in {len(voters)} of the episodes most like this task, {well} of which succeeded"
    return ToolAdvice(
        name=name,
        score=score,
        why=told if voters else "its description shares words with the task",
        evidence=cited([each.episode for each in voters[:MOST_EVIDENCE]]),
    )


def _next_steps(
    here: Situation,
    coming: Forecast,
    models: Models,
    question: Question,
    precedents: Sequence[tuple[str, Trace]],
    worth: Worth,
) -> tuple[NextStep, ...]:
    """Tools that could come next, by how usual they are where it goes well, and by how they have turned out."""
    chances = dict(coming.tools)
    if question.tools:
        chances = {tool.name: chances.get(tool.name, 0.0) for tool in question.tools}
    weights = {tool: (chance + _UNUSUAL) * worth.of(tool) ** _WORTH_POWER for tool, chance in chances.items()}
    whole = sum(weights.values())
    ranked = sorted(weights, key=lambda tool: (-weights[tool], tool))[:MOST_NEXT]
    followed = _followed(precedents, here.last)
    found = tuple(
        _next_step(tool, chances[tool], weights[tool] / whole, here.last, worth, followed.get(tool, ()))
        for tool in ranked
    )
    likely = [tool for tool in ranked if chances[tool] >= LEAST_CHANCE_TO_ACT]
    if models.actions is None or not likely:
        return found
    actions = models.actions.predict(question.task, question.steps, likely)
    return tuple(msgspec.structs.replace(each, action=actions.get(each.tool, "")) for each in found)


def _next_step(tool: str, chance: float, score: float, last: str, worth: Worth, followed: Sequence[str]) -> NextStep:
    """A next step, without its action."""
    count, well = worth.tried(tool)
    after = f"after {last}" if last else "at the start"
    told = f"{after}, {count} episodes of this kind took it and {well} of them succeeded"
    told = told if count else f"{after}, no episode of this kind took it yet"
    return NextStep(tool=tool, action="", chance=chance, score=score, why=told, evidence=cited(followed))


def _followed(precedents: Sequence[tuple[str, Trace]], last: str) -> dict[str, list[str]]:
    """For each tool that came right after another, the newest episodes in which it did."""
    found: dict[str, list[str]] = defaultdict(list)
    for id, trace in reversed(precedents):
        for tool in {after for before, after in pairwise(["", *(call.tool for call in trace.calls)]) if before == last}:
            if len(found[tool]) < MOST_EVIDENCE:
                found[tool].append(id)
    return found


def _playbook(here: Situation, book: Book) -> Playbook | None:
    """That of this very kind of task, or else of one that shares its type or domain; None when there is none, or when
    it takes tools that are not at hand."""
    task_type, domain = here.kind
    exact = [each for kind, each in book.playbooks if kind == here.kind]
    near = [
        each
        for kind, each in book.playbooks
        if (task_type and kind[0] == task_type) or (domain and not task_type and kind[1] == domain)
    ]
    found = [*exact, *near][:1]
    if not found or not here.at_hand:
        return found[0] if found else None
    branches = tuple(step for step in found[0].branches if step.tool in here.tools)
    usable = all(step.tool in here.tools for step in found[0].steps)
    return msgspec.structs.replace(found[0], branches=branches) if usable else None


def _episode(each: Near) -> Item:
    ended = "succeeded" if each.trace.success else "did not succeed"
    tools = ", ".join(dict.fromkeys(call.tool for call in each.trace.calls)) or "no tool"
    return Item(
        id=each.episode,
        text=f"an episode that {ended}, with {tools}",
        score=each.likeness,
        why="its task is like this one, in meaning and in words",
        evidence=cited([each.episode]),
    )
