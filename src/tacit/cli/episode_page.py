"""One episode on a page: what the agent was to do, what it did, how it ended, what that was worth and what it tells."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.cli.output import Output, brief, counted, moment
from tacit.cli.waiting import catch_up
from tacit.experience.episode import Episode, Outcome, Step
from tacit.learning.assessment.reflection import Reflection, reflect_by_rule
from tacit.learning.assessment.reward import Reward

if TYPE_CHECKING:
    from tacit.mind import Mind

LONGEST = 300
"""Characters that are shown of a long text unless all of it is asked for."""


class Page(msgspec.Struct, frozen=True):
    """An episode with what was learned from it. There is no reward while it is open, nor of a past moment."""

    episode: Episode
    reward: Reward | None
    reflection: Reflection


def told(mind: Mind, id: str, when: datetime | None) -> Page:
    """The page of an episode, now or as of a moment."""
    if when is not None:
        episode = mind.at(when).get(id)
        return Page(episode, None, reflect_by_rule(episode))
    catch_up(mind)  # the reward compares the episode with the others of its domain
    return Page(mind.get(id), mind.reward(id), mind.reflection(id))


def show_episode(out: Output, page: Page, *, full: bool) -> None:
    """Write the page for people."""
    view = _View(out, full=full)
    view.task(page.episode)
    view.steps(page.episode)
    view.outcome(page.episode.outcome)
    view.reward(page.reward)
    view.reflection(page.reflection)


class _View:
    """Writes the parts of a page."""

    def __init__(self, out: Output, *, full: bool) -> None:
        self._out = out
        self._full = full

    def _text(self, value: Any) -> str:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return text if self._full else brief(text, LONGEST)

    def task(self, episode: Episode) -> None:
        task, out = episode.task, self._out
        out.facts(
            ("episode", episode.id),
            ("task", self._text(task.description)),
            ("status", episode.status),
            ("started", moment(episode.started_at_micros)),
            ("ended", moment(episode.ended_at_micros)),
            ("task type", task.task_type),
            ("domain", task.domain),
            ("language", task.language),
            ("framework", task.framework),
            ("complexity", task.complexity),
            ("agent", task.agent),
            ("tags", ", ".join(task.tags)),
            ("metadata", self._text(task.metadata) if task.metadata else None),
            ("source", task.source_id),
        )
        for relation in episode.relations:
            out.facts((relation.kind, relation.target))

    def steps(self, episode: Episode) -> None:
        self._out.heading(f"Steps ({len(episode.steps):,})")
        for number, step in enumerate(episode.steps, start=1):
            evidence = episode.step_events[number - 1] if number <= len(episode.step_events) else ""
            self._step(number, step, evidence)

    def _step(self, number: int, step: Step, evidence: str) -> None:
        measured: list[str] = [step.status or "status unknown"]
        measured += [f"{step.latency_ms:.4g} ms"] if step.latency_ms is not None else []
        measured += [counted(step.tokens, "token")] if step.tokens is not None else []
        self._out.line(f"{number:>3}. {step.tool or '(no tool)'}  [{', '.join(measured)}]")
        parts = (
            ("thought", step.thought),
            ("action", step.action),
            ("parameters", step.parameters or ""),
            ("observation", "" if step.observation is None else step.observation),
            ("error", step.error),
            ("metadata", step.metadata or ""),
            ("evidence", evidence),
        )
        for name, value in parts:
            if value != "":
                self._out.line(f"     {name}: {self._text(value)}")

    def outcome(self, outcome: Outcome | None) -> None:
        self._out.heading("Outcome")
        if outcome is None:
            self._out.line("none yet: the episode is open")
            return
        self._out.facts(
            ("kind", outcome.kind),
            ("score", outcome.score),
            ("verdict", self._text(outcome.verdict)),
            ("reason", self._text(outcome.reason)),
            ("details", self._text(outcome.details) if outcome.details else None),
            ("done", self._text("; ".join(outcome.done))),
            ("failed", self._text("; ".join(outcome.failed))),
            ("signals", self._text("; ".join(outcome.signals))),
        )
        for artifact in outcome.artifacts:
            where = f" at {artifact.uri}" if artifact.uri else ""
            size = counted(len(artifact.content.encode()), "byte")
            self._out.line(f"artifact  {artifact.name} ({artifact.media_type}, {size}){where}")

    def reward(self, reward: Reward | None) -> None:
        if reward is None:
            return
        self._out.heading(f"Reward {reward.total:+.3f}")
        rows = [
            (each.name, f"{each.contribution:+.3f}", f"{each.value:+.3f}", f"{each.weight:.2f}", each.why)
            for each in reward.factors
        ]
        self._out.table(("factor", "contributes", "value", "weight", "why"), rows)

    def reflection(self, reflection: Reflection) -> None:
        remarks = (
            ("went well", reflection.successes),
            ("could be better", reflection.improvements),
            ("tells", reflection.insights),
        )
        if any(found for _, found in remarks):
            self._out.heading(f"Reflection (by {reflection.model or reflection.source})")
        for name, found in remarks:
            for remark in found:
                cited = ", ".join(str(number) for number in remark.steps)
                self._out.line(f"{name}: {remark.text} [step {cited}]")
