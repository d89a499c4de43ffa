"""A mind: what one agent has been through, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tacit.clock import to_micros
from tacit.errors import Conflict, InvalidInput, ModelError, ReadOnly, beside, shown
from tacit.experience import entrance
from tacit.experience.episode import Episode, Json, OutcomeKind, Record, Step, Task
from tacit.experience.handoff import HandOff, read_handoff
from tacit.experience.importers import Fit, Format, importer_for
from tacit.experience.ingest import IngestReport, Progress, ingest, options_of
from tacit.experience.live import LiveEpisode
from tacit.experience.recorder import LiveFit, Recorder, plain
from tacit.experience.views import EpisodeFilter, EpisodeSummary, check_filter, list_episodes, load_episode
from tacit.ids import format_id, parse_id
from tacit.journal.read import position_at
from tacit.learning.advising.advice import Advice, Tool
from tacit.learning.advising.book import Book, read_book
from tacit.learning.asking import question_of
from tacit.learning.assessment.baseline import read_baseline
from tacit.learning.assessment.reflection import LanguageModel, Reflection, reflect_by_model, reflect_by_rule
from tacit.learning.assessment.reward import Reward, reward
from tacit.learning.assessment.statistics import Statistics, read_statistics
from tacit.learning.counsel import judge_exposure
from tacit.learning.studying.forecasts import Quality, read_quality
from tacit.learning.trials.report import AdviceTrial, read_trials
from tacit.ops.logging import operation
from tacit.stores.paths import path_of
from tacit.stores.port import Snapshot
from tacit.verbs.base import Shared
from tacit.verbs.episodes import PastEpisodes
from tacit.verbs.erasing import Erasing
from tacit.verbs.exports import Exports
from tacit.verbs.imports import MemoryImports
from tacit.verbs.memories import Memories, PastMemories
from tacit.verbs.recall import Recalls
from tacit.verbs.upkeep import Upkeep
from tacit.verbs.warming import Warming

if TYPE_CHECKING:
    from tacit.ops.backup_catalog import BackupInfo


class PastMind(PastMemories, PastEpisodes, Recalls):
    """A read-only view of a mind: as it was at a moment, or (as the base of :class:`Mind`) as it is."""

    def episodes(
        self,
        text: str = "",
        *,
        status: str = "",
        task_type: str = "",
        domain: str = "",
        tag: str = "",
        tool: str = "",
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        limit: int = 20,
        after: str = "",
    ) -> list[EpisodeSummary]:
        """Episodes that match all that is given, newest first.

        Args:
            text: words that must all stand in the description, in small or capital letters of any script.
            limit: how many at most, 1 … 1,000. ``after``: the id of the last one of the page before.
        """
        if not isinstance(limit, int) or not 1 <= limit <= 1_000:
            raise InvalidInput(f"limit {shown(limit)} is not a whole number from 1 to 1,000", field="limit")
        wanted = EpisodeFilter(
            text=text,
            status=status,
            task_type=task_type,
            domain=domain,
            tag=tag,
            tool=tool,
            started_after=None if started_after is None else to_micros(started_after),
            started_before=None if started_before is None else to_micros(started_before),
        )
        check_filter(wanted)
        with self._reading("episode.list") as snapshot:
            return self._list(snapshot, wanted, limit, after)

    def _list(self, snapshot: Snapshot, wanted: EpisodeFilter, limit: int, after: str) -> list[EpisodeSummary]:
        return list_episodes(snapshot, self.recorder.mind.id, wanted, limit=limit, after=after, position=self._position)

    # ── advice, and what it rests on ─────────────────────────────────────────────────────────────────────────────────

    def advise(
        self,
        description: str,
        *,
        task_type: str | None = None,
        domain: str | None = None,
        language: str | None = None,
        framework: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Json] | None = None,
        tools: Sequence[Tool | str | Mapping[str, str]] | None = None,
        steps: Sequence[Step | Mapping[str, Any]] | None = None,
        key: str = "",
        record: bool = True,
        fit: LiveFit = "refuse",
    ) -> Advice:
        """How to do a task: chance of success, tools, next steps, pitfalls, heuristics, a playbook, similar episodes.

        Args:
            description: what the agent is about to do.
            task_type, domain, language, framework, tags, metadata: the context, as of an episode.
            tools: those at hand, with what they do; only these are advised when any are given. None: not told.
            steps: what has been done so far, as steps or as keywords of a step.
            key: makes a retry safe: the same question with the same key is one exposure.
            record: write down what was advised, so that its outcome can be told (``feedback``, or ``exposure=`` of an
                episode), and hold back a share if the settings ``advice.*`` say so. True here, where an agent asks; the
                command ``tacit advise`` wants ``--record`` for it. A view of the past never does.
            fit: "truncate" shortens and cleans steps that are over the limits; "refuse" raises.

        Raises:
            InvalidInput: a part has a wrong type, or is larger than an episode's may be; or there is no description.
            Conflict: the key was used for this task with another context, other tools or other steps.
            Erased: the key was used for advice that was erased; use another one, or none.
        """
        limits = self.recorder.limits
        entrance.check_key(key, limits)
        entrance.check_flag(record, "record")
        context = {"task_type": task_type, "domain": domain, "language": language, "framework": framework}
        question = question_of(
            description, context, tags=tags, metadata=metadata, tools=tools, steps=steps, limits=limits, fit=fit
        )
        with operation("advise", mind=self.name):
            return self._shared.counsel.advise(
                self.recorder, self._position, question, key=key, record=self._records(record)
            )

    def _records(self, wanted: bool) -> bool:
        """Whether what is advised is written down: not on a view of the past, whatever was wanted."""
        return False

    def book(self) -> Book:
        """What has been learned: patterns, heuristics with their histories, playbooks. Empty until there is some."""
        with self._reading("book.read") as snapshot:
            return read_book(snapshot, self.recorder.mind.id, self._position)

    def trials(self) -> list[AdviceTrial]:
        """Whether each piece of advice helps: successes and steps per success where it was shown and where withheld."""
        with self._reading("trials.read") as snapshot:
            return read_trials(snapshot, self.recorder.mind.id, self._position)

    def forecasts(self) -> Quality:
        """How good advice has been: what was expected of episodes before they were learned from, and what came."""
        with self._reading("forecasts.read") as snapshot:
            return read_quality(snapshot, self.recorder.mind.id, self._position)

    def __getattr__(self, name: str) -> NoReturn:
        if not name.startswith("_") and hasattr(Mind, name):
            raise ReadOnly(
                f"{name} is not there on a view of the past, which can only be read; use the mind itself", method=name
            )
        raise AttributeError(name)


class Mind(PastMind, Memories, MemoryImports, Exports, Erasing, Upkeep, Warming):
    """The front door: record experience, read it back, and see what was learned.

    Made by ``tacit.open`` or ``OpenStore.mind``. Safe to use from many threads.
    """

    def __init__(self, recorder: Recorder, shared: Shared) -> None:
        super().__init__(recorder, shared)
        self.owned: Any = None
        """The store that closes with this mind, when the mind was opened alone."""

    # ── experience ───────────────────────────────────────────────────────────────────────────────────────────────────

    def episode(
        self,
        description: str,
        *,
        task_type: str = "",
        domain: str = "",
        language: str = "",
        framework: str = "",
        complexity: float | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Json] | None = None,
        agent: str = "",
        source_id: str = "",
        key: str | None = None,
        started_at: datetime | None = None,
        buffered: bool = False,
        exposure: str | None = None,
        fit: LiveFit = "refuse",
    ) -> LiveEpisode:
        """Begin an attempt at a task; durable when it returns.

        Args:
            description: what the agent is trying to do.
            complexity: 0 (trivial) … 1, when somebody judged it.
            key: makes a retry safe: the same key is the same episode.
            buffered: hold steps back and write several at once (settings ``buffer.*``); a buffered step is not
                durable until ``flush()``, ``complete()`` or the end of the block.
            exposure: the ``exposure_id`` of the advice that the agent was given; its outcome is the episode's.
            fit: "truncate" shortens steps over the limits and replaces control characters; "refuse" raises.

        Raises:
            InvalidInput: a bound or a type is broken; nothing was stored.
            Conflict: the key was used for another task, or the advice taken by another episode.
        """
        task = self._task(
            description=description,
            task_type=task_type,
            domain=domain,
            language=language,
            framework=framework,
            complexity=complexity,
            tags=entrance.tags_of(tags),
            metadata=entrance.object_of(metadata, "metadata"),
            agent=agent,
            source_id=source_id,
        )
        started = None if started_at is None else to_micros(started_at)
        appended = self.recorder.start(task, key=key, started_at=started, exposure=exposure).result()
        buffering = self._shared.buffering if buffered else None
        return LiveEpisode(self.recorder, appended.event.id, buffering=buffering, fit=fit)

    def _task(self, **fields: Any) -> Task:
        task: Task = entrance.build(Task, fields, "episode")
        return task

    def record(self, record: Record | Mapping[str, Any]) -> str:
        """Write a whole attempt at once; its episode id. With a ``key`` or ``id`` it is written only once."""
        given = (
            record
            if isinstance(record, Record)
            else entrance.build(Record, entrance.object_of(record, "record"), "record")
        )
        return format_id(self.recorder.record(given).result().event.id)

    def ingest(
        self,
        path: str | Path,
        *,
        format: Format = "auto",
        task_type: str = "",
        domain: str = "",
        tags: Sequence[str] = (),
        agent: str = "",
        fit: Fit = "truncate",
        progress: Progress = lambda done: None,
    ) -> IngestReport:
        """Import recorded traces from a file or folder. Doing it twice adds nothing; a bad record is listed, not fatal.

        Of Tacit's own export, memories come back too. Chat logs become memories with :meth:`import_memories`.

        Args:
            format: one of ``tacit.experience.importers.FORMATS``; "auto" looks at the content.
            task_type, domain, tags, agent: hold for every record; tags are added to its own. An episode that is there
                already keeps what it had, and the report tells how many do.
            fit: what to do with texts beyond the limits: "truncate" (with a visible mark), "split" or "refuse".
            progress: called with the number of records done so far.
        """
        path = path_of(path, "the path")
        entrance.check_progress(progress)
        limits = self.recorder.limits
        options = options_of(limits, task_type=task_type, domain=domain, tags=tags, agent=agent, fit=fit)
        return ingest(self.recorder, importer_for(format, path).read(path, options), progress)

    def update(
        self, id: str, *, add_tags: Sequence[str] = (), remove_tags: Sequence[str] = (), **changes: Any
    ) -> Episode:
        """Change fields of an episode's task (description, task_type, domain, …, metadata), or its tags."""
        unknown = sorted(set(changes) - set(Task.__struct_fields__))
        if unknown:
            raise InvalidInput(f"an episode has no field {unknown[0]!r}", field=unknown[0])
        if "tags" in changes:
            changes["tags"] = entrance.tags_of(changes["tags"])
        add, remove = entrance.tags_of(add_tags), entrance.tags_of(remove_tags)
        self.recorder.update(parse_id(id), changes, add=add, remove=remove).result()
        return self.get(id)

    def relate(self, id: str, kind: str, target: str) -> None:
        """Say how an episode stands to another: parent, depends_on, blocks, follows, duplicates, refers.

        Raises:
            InvalidInput: it would close a circle where none may be.
            Conflict: it holds already.
        """
        self.recorder.relate(parse_id(id), kind, target).result()

    def unrelate(self, id: str, kind: str, target: str) -> None:
        """Take a relation back."""
        self.recorder.relate(parse_id(id), kind, target, holds=False).result()

    # ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────

    def handoff(self, id: str, *, note: str = "", state: Mapping[str, Json] | None = None) -> HandOff:
        """Mark where an episode stands, and make a pack with which another agent can go on, here or elsewhere."""
        appended = self.recorder.checkpoint(parse_id(id), note=note, state=entrance.object_of(state, "state")).result()
        return self.read_handoff(format_id(appended.event.id))

    def read_handoff(self, checkpoint: str) -> HandOff:
        """The pack of a checkpoint that was made before, with the episode as it stood then."""
        with self._reading("handoff.read") as snapshot:
            return read_handoff(snapshot, self.recorder.mind.id, parse_id(checkpoint))

    def resume(
        self, given: HandOff | str, *, agent: str = "", buffered: bool = False, fit: LiveFit = "refuse"
    ) -> LiveEpisode:
        """Go on with an open episode.

        Args:
            given: an episode's id, or a hand-off pack. A pack from elsewhere brings its episode with it, or the steps
                that are not here yet.
            agent: who goes on. ``buffered``, ``fit``: see :meth:`episode`.

        Raises:
            Conflict: the episode is completed, or went on differently here.
        """
        checkpoint = ""
        if isinstance(given, HandOff):
            checkpoint = given.checkpoint
            if given.mind != self.id:
                self.recorder.take_over(given.record).result()
            id = given.record.id
        else:
            id = given
        if self.get(id).status != "open":
            raise Conflict(f"episode {id} is completed; there is nothing to resume", episode=id)
        self.recorder.resume(parse_id(id), agent=agent, checkpoint=checkpoint).result()
        buffering = self._shared.buffering if buffered else None
        return LiveEpisode(self.recorder, parse_id(id), buffering=buffering, fit=fit)

    # ── what was learned ─────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, timeout: float = 60.0, *, only: str = "") -> None:
        """Wait until everything that is computed in the background has seen all that was written.

        Args:
            only: wait for nothing but that consumer, one of those that ``lag()`` names: ``tally`` for statistics.

        Raises:
            NotSettled: not within ``timeout`` seconds (0 or more); the context holds the lag.
        """
        entrance.check_seconds(timeout, "timeout")
        if not isinstance(only, str) or (only and only not in self.lag()):
            raise InvalidInput(f"there is no consumer {shown(only)}; lag() names those that there are", field="only")
        self.recorder.journal.settle(self.recorder.mind.id, timeout, only=only)

    def lag(self) -> dict[str, int]:
        """For each consumer, how many events it has yet to see."""
        return self.recorder.journal.lag(self.recorder.mind.id)

    def statistics(self) -> Statistics:
        """Episodes by task kind with success rates, tools by speed and failures, error signatures."""
        with self._reading("statistics.read") as snapshot:
            return read_statistics(snapshot, self.recorder.mind.id)

    def _records(self, wanted: bool) -> bool:
        return wanted

    def feedback(self, exposure: str, *, outcome: OutcomeKind) -> None:
        """Tell how that turned out for which advice was given; the same again is nothing.

        Raises:
            NotFound: no advice of that id was recorded.
            Conflict: another outcome was told before.
        """
        judge_exposure(self.recorder, exposure, outcome)

    def reward(self, id: str) -> Reward | None:
        """How good an episode was, with every factor; None while it is open."""
        with self._reading("reward.read") as snapshot:
            episode = load_episode(snapshot, self.recorder.mind.id, parse_id(id))
            return reward(episode, read_baseline(snapshot, self.recorder.mind.id, episode))

    def reflection(self, id: str, *, model: LanguageModel | None = None) -> Reflection:
        """A look back at an episode: what went well, what could be better, what follows, each citing steps.

        Without a model it is computed by rule. With one, the model's reflection is kept in the journal; an answer
        that cites what does not exist is rejected as a whole, and the rule's reflection is returned, labelled "rule".
        """
        episode = self.get(id)
        if model is None:
            return reflect_by_rule(episode)
        try:
            found = reflect_by_model(episode, model)
        except ModelError:
            return reflect_by_rule(episode)
        remarks = (*found.successes, *found.improvements, *found.insights)
        sources = sorted({event for remark in remarks for event in remark.evidence})
        self.recorder.reflection(
            parse_id(id), {"reflection": plain(found), "model": found.model, "sources": sources}
        ).result()
        return found

    # ── time, copies, the end ────────────────────────────────────────────────────────────────────────────────────────

    def at(self, moment: datetime) -> PastMind:
        """The mind as it was at a moment: what had been recorded by then, and nothing else."""
        with self._reading("mind.at") as snapshot:
            position = position_at(snapshot, self.recorder.mind.id, to_micros(moment))
        return PastMind(self.recorder, self._shared, position)

    def backup(self, target: str | Path) -> BackupInfo:
        """A verified copy of the whole store, while it is in use. See ``OpenStore.backup``."""
        return self._shared.backups.create(path_of(target, "the target"))

    def close(self) -> None:
        """Let go; closes the store too when this mind was opened alone."""
        if self.owned is not None:
            self.owned.close()

    def __enter__(self) -> Mind:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with beside(error, "closing the store"):
            self.close()


def as_data(value: Any) -> Any:
    """Anything that Tacit returns, as plain JSON data."""
    return msgspec.to_builtins(value)
