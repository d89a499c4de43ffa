"""What can be said about an episode by rule: each remark is a plain fact that the steps it cites show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import median

import msgspec

from tacit.experience.episode import Data, Episode, Json, Step
from tacit.learning.assessment.recovery import Recovery, has_failed, recoveries
from tacit.learning.assessment.signature import error_text, step_signature

SLOW_TIMES_MEDIAN = 3
SLOW_SHARE = 0.2
"""A step is slow when it took three times the median of the episode's steps and a fifth of the time of all."""
LEAST_TIMED_STEPS = 4
LEAST_FRUITLESS = 3
"""So many different calls of a tool with one and the same answer are a search that led nowhere."""
LONGEST_PATH = 12
"""Steps of the way that is told."""
LONGEST_QUOTE = 120
LONGEST_NAME = 60
"""Characters."""
_EMPTY_RESULTS = ("[]", "{}", "null")
"""Answers of a search that found nothing. Having no text at all is not one: many tools work in silence."""


class Remark(Data, frozen=True):
    """One thing said about an episode, with the steps (from 1) it rests on and the ids of the events behind them."""

    text: str
    steps: tuple[int, ...]
    evidence: tuple[str, ...] = ()


def remark(episode: Episode, text: str, steps: Iterable[int]) -> Remark:
    """A remark with the events of the steps that it cites; each event once, in order."""
    cited = tuple(sorted(set(steps)))
    events = (episode.step_events[number - 1] for number in cited if number <= len(episode.step_events))
    return Remark(text=text, steps=cited, evidence=tuple(dict.fromkeys(events)))


def name_of(step: Step) -> str:
    """How a step is called in a sentence: its tool, or else what it did."""
    return step.tool or quote(step.action or step.thought, LONGEST_NAME) or "a step without a name"


def call_of(step: Step) -> str:
    """The name of a step with what it was called with."""
    given = _text(step.parameters) if step.parameters else step.action if step.tool else ""
    return f"{name_of(step)} {quote(given, LONGEST_NAME)}" if given else name_of(step)


def quote(text: str, longest: int = LONGEST_QUOTE) -> str:
    """One line of a text, shortened with a mark."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _listed(numbers: Iterable[int]) -> str:
    texts = [str(number) for number in numbers]
    return f"Step {texts[0]}" if len(texts) == 1 else f"Steps {', '.join(texts[:-1])} and {texts[-1]}"


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else _encode(value).decode()


_encode = msgspec.json.Encoder(order="sorted").encode


# ── what went well ───────────────────────────────────────────────────────────────────────────────────────────────────


def first_productive(episode: Episode) -> Iterator[Remark]:
    """The first step that worked and brought an answer."""
    for number, step in enumerate(episode.steps, start=1):
        if step.status == "success" and _text(step.observation) not in ("", *_EMPTY_RESULTS):
            yield remark(episode, f"Step {number} ({name_of(step)}) was the first that worked and answered.", [number])
            return


def overcome(episode: Episode) -> Iterator[Remark]:
    """Errors that a later step got past; those of one signature that one step ended are told together."""
    grouped: dict[tuple[str, int], list[Recovery]] = defaultdict(list)
    for recovery in recoveries(episode.steps):
        grouped[recovery.signature, recovery.worked].append(recovery)
    for (_, worked), group in grouped.items():
        failed = [recovery.failed for recovery in group]
        before, after, just_before = (episode.steps[number - 1] for number in (failed[-1], worked, worked - 1))
        between = "" if has_failed(just_before) else f", right after {name_of(just_before)}"
        yield remark(
            episode,
            f"{_listed(failed)} ({call_of(before)}) failed with '{quote(error_text(before))}'; "
            f"step {worked} ({call_of(after)}) then worked{_what_changed(before, after)}{between}.",
            [*failed, worked],
        )


def _what_changed(before: Step, after: Step) -> str:
    if before.tool != after.tool:
        return ", with another tool"
    old, new = before.parameters, after.parameters
    names = sorted(
        name for name in old.keys() | new.keys() if (name in old, old.get(name)) != (name in new, new.get(name))
    )
    if names:
        return f" with a different {', '.join(names)}"
    return " with the same call" if before.action == after.action else " with a different action"


def good_end(episode: Episode) -> Iterator[Remark]:
    """The last step that worked before a success."""
    if episode.status != "success":
        return
    known = [number for number, step in enumerate(episode.steps, start=1) if step.status == "success"]
    failed = [number for number, step in enumerate(episode.steps, start=1) if has_failed(step)]
    if known and len(known) == len(episode.steps):
        yield remark(episode, f"All {len(known)} steps worked.", known)
    if known:
        last = known[-1]
        text = f"The last step that worked before the success was {last} ({name_of(episode.steps[last - 1])})"
        yield remark(episode, text + (f", after {len(failed)} that failed." if failed else "."), [last])


# ── what could be better ─────────────────────────────────────────────────────────────────────────────────────────────


def loops(episode: Episode) -> Iterator[Remark]:
    """The same call with the same answer, more than once."""
    seen: dict[bytes, list[int]] = defaultdict(list)
    for number, step in enumerate(episode.steps, start=1):
        if step.tool or step.action:
            seen[_encode([step.tool, step.action, step.parameters, step.observation, step.error])].append(number)
    for numbers in seen.values():
        if len(numbers) > 1:
            step = episode.steps[numbers[0] - 1]
            yield remark(
                episode,
                f"{_listed(numbers)} made the same call ({call_of(step)}) and got the same answer: "
                "repeating it brought nothing new.",
                numbers,
            )


def repeated_errors(episode: Episode) -> Iterator[Remark]:
    """Several failures of one signature."""
    seen: dict[str, list[int]] = defaultdict(list)
    for number, step in enumerate(episode.steps, start=1):
        if has_failed(step):
            seen[step_signature(step)].append(number)
    for numbers in seen.values():
        if len(numbers) > 1:
            yield remark(
                episode,
                f"{_listed(numbers)} failed alike: '{quote(error_text(episode.steps[numbers[0] - 1]))}'.",
                numbers,
            )


def unresolved(episode: Episode) -> Iterator[Remark]:
    """Failures that no later step got past."""
    resolved = {recovery.failed for recovery in recoveries(episode.steps)}
    for number, step in enumerate(episode.steps, start=1):
        if has_failed(step) and number not in resolved:
            what = "timed out" if step.status == "timeout" else "failed"
            yield remark(
                episode,
                f"Step {number} ({call_of(step)}) {what} with '{quote(error_text(step))}', "
                "and no later step got past it.",
                [number],
            )


def slow_steps(episode: Episode) -> Iterator[Remark]:
    """Steps that took much of the time."""
    timed = [(number, step.latency_ms) for number, step in enumerate(episode.steps, start=1) if step.latency_ms]
    if len(timed) < LEAST_TIMED_STEPS:
        return
    whole, typical = sum(latency for _, latency in timed), median(latency for _, latency in timed)
    for number, latency in timed:
        if latency >= SLOW_TIMES_MEDIAN * typical and latency >= SLOW_SHARE * whole:
            yield remark(
                episode,
                f"Step {number} ({name_of(episode.steps[number - 1])}) took {latency / 1_000:.3g} s, "
                f"{latency / whole:.0%} of the time of all steps.",
                [number],
            )


def fruitless_searches(episode: Episode) -> Iterator[Remark]:
    """Runs of different calls of one tool that all got the same answer; and empty answers that nobody followed up."""
    numbered = list(enumerate(episode.steps, start=1))
    last_use = {step.tool: number for number, step in numbered}
    for tool, run in groupby(numbered, key=lambda item: item[1].tool):
        steps = list(run) if tool else []
        for answer, same in groupby(steps, key=lambda item: _text(item[1].observation)):
            yield from _fruitless(episode, tool, answer, list(same), last_use)


def _fruitless(
    episode: Episode, tool: str, answer: str, same: list[tuple[int, Step]], last_use: dict[str, int]
) -> Iterator[Remark]:
    if any(has_failed(step) for _, step in same):
        return
    numbers = [number for number, _ in same]
    different = len({_encode([step.action, step.parameters]) for _, step in same})
    is_empty = answer in _EMPTY_RESULTS
    if different >= LEAST_FRUITLESS and answer:
        told = "an empty answer" if is_empty else f"the same answer ('{quote(answer)}')"
        text = f"{_listed(numbers)} called {tool} in {different} ways and got {told} each time."
        yield remark(episode, text, numbers)
    elif is_empty and last_use[tool] == numbers[-1] < len(episode.steps):
        yield remark(episode, f"{_listed(numbers)} ({tool}) came back empty, and {tool} was not tried again.", numbers)


# ── what it tells ────────────────────────────────────────────────────────────────────────────────────────────────────


def how_it_ended(episode: Episode) -> Iterator[Remark]:
    """The last step before an outcome that is not a success, with the reason that was given."""
    outcome, number = episode.outcome, len(episode.steps)
    if outcome is None or outcome.kind == "success" or not number:
        return
    last = episode.steps[-1]
    given = quote(outcome.reason or outcome.verdict)
    reason = f" The reason given: {given}" if given else ""
    ended = f"The attempt ended as {outcome.kind} after step {number} ({name_of(last)})"
    if has_failed(last):
        yield remark(episode, f"{ended}, which failed with '{quote(error_text(last))}'.{reason}", [number])
    elif not any(has_failed(step) for step in episode.steps):
        yield remark(episode, f"{ended}, although no step reported an error.{reason}", [number])
    else:
        yield remark(episode, f"{ended}.{reason}", [number])


def the_way(episode: Episode) -> Iterator[Remark]:
    """The calls, without repetitions, as a sequence of names; other steps when none is a call. Of a success only those
    that did not fail: that is the way to go. Otherwise also the others, marked: there it went wrong."""
    if all(map(has_failed, episode.steps)):
        numbers = range(1, len(episode.steps) + 1)
        if episode.steps:
            yield remark(episode, f"None of the {len(episode.steps)} steps worked.", numbers)
        return
    succeeded = episode.status == "success"
    numbered = enumerate(episode.steps, start=1)
    told = [(number, step) for number, step in numbered if not (succeeded and has_failed(step))]
    calls = [(number, step) for number, step in told if step.tool]
    way = [(number, name_of(step) + (" (failed)" if has_failed(step) else "")) for number, step in calls or told]
    distinct = [next(group) for _, group in groupby(way, key=lambda item: item[1])]
    shown = distinct[:LONGEST_PATH]
    more = f" and {len(distinct) - len(shown)} more" if len(distinct) > len(shown) else ""
    verb = "The way that succeeded" if succeeded else "The way taken"
    yield remark(
        episode, f"{verb}: {' → '.join(name for _, name in shown).rstrip('.')}{more}.", [number for number, _ in shown]
    )


SUCCESSES = (first_productive, overcome, good_end)
IMPROVEMENTS = (loops, repeated_errors, unresolved, slow_steps, fruitless_searches)
INSIGHTS = (how_it_ended, the_way)
