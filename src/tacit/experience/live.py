"""An episode while it happens: the object that an agent logs its steps with."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, get_args

import msgspec

from tacit.errors import Closed, Conflict, ForkedStore, InvalidInput, NotFound, TacitError, shown
from tacit.experience import entrance
from tacit.experience.episode import Artifact, Json, Outcome, OutcomeKind, Step, StepStatus
from tacit.experience.recorder import LiveFit, Recorder, write_steps
from tacit.ids import format_id
from tacit.journal.append import Prepared
from tacit.journal.journal import Journal


class OpenEpisodeWarning(UserWarning):
    """An episode was left without saying how it ended; it stays open, resumable and outside of learning."""


class Buffering(msgspec.Struct, frozen=True, kw_only=True):
    """Hold steps back and write several at once: after that many, or when the oldest is that many seconds old."""

    steps: int = 50
    seconds: float = 5.0


def make_step(
    *,
    tool: str,
    action: str,
    parameters: Mapping[str, Json] | None,
    observation: Json,
    success: bool | None,
    status: StepStatus | None,
    **rest: Any,
) -> Step:
    """A step from the SDK's keywords; ``success`` True or False is short for the status success or error."""
    if success is not None and not isinstance(success, bool):
        raise InvalidInput(f"success must be True, False or None, not {shown(success)}", field="success")
    if status is None and success is not None:
        status = "success" if success else "error"
    entrance.check_status(status)
    fields = {name: value for name, value in rest.items() if value is not None}
    step: Step = entrance.build(
        Step,
        {
            "tool": tool,
            "action": action,
            "parameters": entrance.object_of(parameters, "parameters"),
            "observation": observation,
            "status": status,
            **fields,
        },
        "step",
    )
    return step


def make_outcome(kind: OutcomeKind, fields: dict[str, Any]) -> Outcome:
    """An outcome from the SDK's keywords."""
    entrance.check_outcome_kind(kind)
    given = {name: value for name, value in fields.items() if value is not None}
    outcome: Outcome = entrance.build(Outcome, {"kind": kind, **given}, "outcome")
    return outcome


class LiveEpisode:
    """An open episode. Each ``step`` is durable when it returns, unless buffering was asked for.

    Use it as a context manager: an exception inside records a failure and goes on its way; leaving without
    ``complete()`` leaves the episode open, with a warning. An error of Tacit's own (a step that was refused, a store
    that is down) leaves it open too: it says nothing about the attempt. Safe to use from several threads.

    The bodies of ``step`` and ``complete`` serve ``tacit.aio`` too, so all they do with an episode is to return what
    its ``log`` or ``_end`` returns.
    """

    def __init__(
        self, recorder: Recorder, id: bytes, *, buffering: Buffering | None = None, fit: LiveFit = "refuse"
    ) -> None:
        if fit not in get_args(LiveFit):
            raise InvalidInput(f"fit is {fit!r}; use one of {', '.join(get_args(LiveFit))}", field="fit")
        self._fit: LiveFit = fit
        self.id = format_id(id)
        self._raw = id
        self._recorder = recorder
        self.completed = False
        """Whether the episode was ended through this handle."""
        self._buffer = None if buffering is None else _Buffer(recorder.journal, recorder.mind.id, buffering)

    @property
    def fit(self) -> LiveFit:
        """What is done with a step that cannot be kept as it is."""
        return self._fit

    @property
    def buffered(self) -> bool:
        """Whether steps are held back and written several at once."""
        return self._buffer is not None

    def step(
        self,
        *,
        tool: str = "",
        action: str = "",
        parameters: Mapping[str, Json] | None = None,
        observation: Json = None,
        success: bool | None = None,
        status: StepStatus | None = None,
        error: str | None = None,
        thought: str | None = None,
        latency_ms: float | None = None,
        tokens: int | None = None,
        occurred_at: int | None = None,
        metadata: Mapping[str, Json] | None = None,
        key: str | None = None,
    ) -> str | None:
        """Log one step; the id of its event, or None when it is only buffered so far.

        Args:
            tool: the tool's name; ``action`` says in words what was done with it.
            parameters: what the tool was given. ``observation``: what came back (text or JSON).
            success: True, False, or None when nobody can tell; or give ``status``: success, error or timeout.
            latency_ms: how long it took, in milliseconds. ``tokens``: what it cost.
            occurred_at: µs since 1970 UTC; now when None.
            key: makes a retry safe: the same key in this episode is the same step.

        Raises:
            InvalidInput: a bound or a type is broken; nothing was stored.
            RateLimitExceeded, QuotaExceeded: the mind or its tenant writes too fast, or keeps all that it may.
            Conflict: the episode is completed, or the key was used for another step.
        """
        step = make_step(
            tool=tool,
            action=action,
            parameters=parameters,
            observation=observation,
            success=success,
            status=status,
            error=error,
            thought=thought,
            latency_ms=latency_ms,
            tokens=tokens,
            occurred_at=occurred_at,
            metadata=None if metadata is None else entrance.object_of(metadata, "metadata"),
        )
        return self.log(step, key=key)

    def log(self, step: Step, *, key: str | None = None) -> str | None:
        """Log a step that was made before; see :meth:`step`."""
        self._recorder.admit()
        prepared = self._recorder.prepare_step(self._raw, step, key=key, fit=self.fit)
        if self._buffer is not None:
            self._buffer.add(prepared)
            return None
        return format_id(self._recorder.steps([prepared]).result()[0].event.id)

    def flush(self) -> None:
        """Write what is buffered; durable when it returns. Nothing to do without buffering."""
        if self._buffer is not None:
            self._buffer.flush()

    def end_buffering(self) -> None:
        """Write what is buffered and hold nothing back any more."""
        if self._buffer is not None:
            self._buffer.close()

    def complete(
        self,
        kind: OutcomeKind,
        *,
        score: float | None = None,
        verdict: str | None = None,
        reason: str | None = None,
        details: Mapping[str, Json] | None = None,
        done: Sequence[str] | None = None,
        failed: Sequence[str] | None = None,
        signals: Sequence[str] | None = None,
        artifacts: Sequence[Artifact | Mapping[str, Any]] | None = None,
        ended_at: int | None = None,
    ) -> None:
        """Say how the attempt ended. The same again is nothing; anything else raises AlreadyCompleted."""
        outcome = make_outcome(
            kind,
            {
                "score": score,
                "verdict": verdict,
                "reason": reason,
                "details": None if details is None else entrance.object_of(details, "details"),
                "done": done,
                "failed": failed,
                "signals": signals,
                "artifacts": artifacts,
            },
        )
        return self._end(outcome, ended_at)

    def _end(self, outcome: Outcome, ended_at: int | None) -> None:
        self.flush()
        self._recorder.complete(self._raw, outcome, ended_at=ended_at).result()
        self.completed = True

    def tag(self, *tags: str) -> None:
        """Add tags."""
        self._recorder.update(self._raw, {}, add=entrance.tags_of(tags)).result()

    def relate(self, kind: str, target: str) -> None:
        """Say how this episode stands to another: parent, depends_on, blocks, follows, duplicates, refers."""
        self._recorder.relate(self._raw, kind, target).result()

    def checkpoint(self, note: str = "", state: Mapping[str, Json] | None = None) -> str:
        """Mark where the agent stands; the checkpoint's id, which ``mind.handoff`` makes a pack of."""
        self.flush()
        return format_id(
            self._recorder.checkpoint(self._raw, note=note, state=entrance.object_of(state, "state")).result().event.id
        )

    def __enter__(self) -> LiveEpisode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_buffering_beside(error)
        if isinstance(error, TacitError) and not self.completed:
            note_open(error, self.id)
        elif isinstance(error, Exception) and not self.completed:
            self._record_failure(error)
        elif error is None and not self.completed:
            warnings.warn(
                f"episode {self.id} was left without complete(); it stays open and nothing is learned from it",
                OpenEpisodeWarning,
                stacklevel=2,
            )

    def _end_buffering_beside(self, error: BaseException | None) -> None:
        try:
            self.end_buffering()
        except TacitError as problem:
            if error is None:
                raise
            note_unwritten(error, problem)

    def _record_failure(self, error: Exception) -> None:
        try:
            self._recorder.complete(self._raw, failure_of(error)).result()
        except TacitError as problem:
            note_unrecorded(error, problem)
            return
        self.completed = True


def note_unwritten(error: BaseException, problem: TacitError) -> None:
    """The agent's own exception matters more than ours, which rides along as a note."""
    error.add_note(f"Tacit could not write the steps that were still buffered: {problem}")


def note_open(error: TacitError, id: str) -> None:
    """What Tacit itself refused or could not do is no failure of the agent's."""
    error.add_note(f"episode {id} stays open: this error says nothing about the attempt. resume() goes on with it")


def note_unrecorded(error: BaseException, problem: TacitError) -> None:
    """The same for a failure that could not be recorded."""
    error.add_note(f"Tacit could not record this failure: {problem}")


def failure_of(error: Exception) -> Outcome:
    """The failure that an exception stands for: its type. Its message may hold anything, so it is not kept."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return Outcome(
        kind="failure", reason=type(error).__qualname__, details={"exception": name, "message": "[redacted]"}
    )


_REFUSALS = (Conflict, InvalidInput, NotFound)
"""What is wrong with a step, and not with the store: trying again changes nothing."""


class _Buffer:
    """Steps that are not written yet. A step that could not be written is reported by the next call.

    One that is refused is reported once and not kept: the others are written without it. When the store cannot write
    at the moment, all are kept, and the next call tries again.

    Its timer refers to it, so it must not refer to the recorder: a store that nobody else uses is closed, and that
    writes what is held here.
    """

    def __init__(self, journal: Journal, mind: bytes, policy: Buffering) -> None:
        self._journal = journal
        self._mind = mind
        self._policy = policy
        self._held: list[Prepared] = []
        self._lock = threading.RLock()  # steps are written in the order in which they were added
        self._timer: threading.Timer | None = None
        self._failure: Exception | None = None
        self._closed = False
        journal.held.add(self)

    def add(self, prepared: Prepared) -> None:
        if self._journal.writer.forked:
            raise _forked()
        with self._lock:
            if self._closed:
                raise Closed("this episode's block has ended; a buffered step would never be written")
            self._raise_failure()
            self._held.append(prepared)
            if len(self._held) >= self._policy.steps:
                self.flush()
            elif self._timer is None:
                timer = threading.Timer(self._policy.seconds, self._flush_in_background)
                timer.daemon = True
                self._timer = timer  # before it starts: a signal handler that adds a step meanwhile starts no other
                timer.start()

    def flush(self) -> None:
        if (
            self._journal.writer.forked
        ):  # a thread of the parent's may have held the lock: nobody would ever give it back
            if self._held:
                raise _forked()
            return
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            self._raise_failure()
            self._write()

    def _write(self) -> None:
        held, self._held = self._held, []  # what a signal handler adds meanwhile comes after it
        refused: list[TacitError] = []
        try:
            try:
                self._write_together(held)
            except _REFUSALS:
                while held:
                    try:
                        self._write_together(held[:1])
                    except _REFUSALS as error:
                        refused.append(error)
                    held = held[1:]
        except BaseException:
            self._held = held + self._held
            self._failure = _told(refused)
            raise
        if (failure := _told(refused)) is not None:
            raise failure

    def _write_together(self, steps: list[Prepared]) -> None:
        if steps:
            write_steps(self._journal, self._mind, steps).result()

    def close(self) -> None:
        if self._journal.writer.forked:
            self.flush()
            return
        with self._lock:
            try:
                self.flush()
            finally:
                self._closed = True

    def _flush_in_background(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 - kept for the caller's next call
            if self._failure is not None:
                error.add_note(str(self._failure))
            self._failure = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def _told(refused: list[TacitError]) -> TacitError | None:
    """The first refusal, with the others as notes on it."""
    if not refused:
        return None
    first, *others = refused
    first.add_note("It was a buffered step; it is not written. What else was buffered is written, if not named here.")
    for other in others:
        first.add_note(f"another buffered step was refused: {other}")
    return first


def _forked() -> ForkedStore:
    return ForkedStore("the process forked after opening the store, so its buffered steps are the parent's to write")
