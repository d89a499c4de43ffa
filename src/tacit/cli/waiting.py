"""Waiting for the consumers, so that what one command wrote is counted in what the next one shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.output import Output, counted
from tacit.errors import NotSettled

if TYPE_CHECKING:
    from tacit.mind import Mind

LONGEST_WAIT = 10.0
"""Seconds that a command waits for the consumers before it shows what there is."""
PATIENCE = 5.0
"""The same for what has to be learned first, unless ``--wait`` says otherwise."""
AFTER_IMPORT = 60.0
"""The same after an import, so that the next command can answer at once."""
LongestWait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, max=1e9, help="Wait so long for learning; then answer with what is known."
    ),
]

WaitForVectors = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, max=1e9, help="Wait so long for vectors; then find the rest by its words."
    ),
]
_VECTORS, _TASK_VECTORS = "memory-vectors", "vectors"


def catch_up(mind: Mind, timeout: float = LONGEST_WAIT, *, only: str = "tally") -> dict[str, int]:
    """Let a consumer (all, if empty) reach the head, but do not wait longer than that; how far each is still behind."""
    try:
        mind.settle(timeout, only=only)
    except NotSettled as error:
        lag: dict[str, int] = error.context["lag"]
        return {name: count for name, count in lag.items() if count}
    return {}


def learn_imported(out: Output, mind: Mind, seconds: float) -> None:
    """Wait until what was imported has been learned from, so that the next command can answer at once; not where
    another process does the learning. Memories among it get their vectors first."""
    if mind.recorder.journal.options.background:
        started = time.monotonic()
        embed_imported(out, mind, seconds)
        left = max(0.0, seconds - (time.monotonic() - started))
        learn(out, mind, left, meanwhile="That goes on whenever the store is open")


def learn(out: Output, mind: Mind, seconds: float, *, meanwhile: str = "This is what is known without them") -> int:
    """Let learning catch up, but do not wait longer than that; how many finished episodes it has yet to see.

    It says that it waits, and when it had to stop, and then also what there is ``meanwhile``.
    """
    if not any(mind.lag().values()):
        return 0
    before = _ahead(mind)
    if not before:  # nothing that there is to learn from
        learned(mind, seconds)
        return 0
    if mind.recorder.journal.store.read_only:
        out.note(f"not learned: {counted(before, 'episode')}, because the store can only be read")
        return before
    with out.waiting(f"learning from {counted(before, 'episode')} …"):
        behind = learned(mind, seconds)
    left = _ahead(mind) if behind else 0
    if left:
        out.note(f"not learned yet: {counted(left, 'episode')}. {meanwhile}; '--wait {_longer(seconds)}' waits longer")
    return left


def learned(mind: Mind, seconds: float) -> dict[str, int]:
    """Let those consumers catch up that advice stands on, which memories have no part in, each in its turn; how far
    each is still behind. Without its embedder learning goes on by words."""
    deadline, behind = time.monotonic() + seconds, dict[str, int]()
    for name, lag in mind.lag().items():
        if name != _VECTORS and not (name == _TASK_VECTORS and lag and _in_vain(mind)):
            behind |= catch_up(mind, max(0.0, deadline - time.monotonic()), only=name)
    return behind


def _in_vain(mind: Mind) -> bool:
    """Whether waiting for vectors of tasks is: there are tasks, and the embedder is away."""
    return bool(mind.statistics().totals.episodes) and not mind.embedder_answers()


def embed(out: Output, mind: Mind, seconds: float) -> None:
    """Let the vectors of memories catch up, but do not wait longer than that: what none has is found by words alone.

    A command ends before the background has begun with them, so without this they would never be made. It says that
    it waits, and when it had to stop. It does not wait where the embedder is away.
    """
    behind = mind.lag().get(_VECTORS, 0)
    if not behind or not seconds or mind.recorder.journal.store.read_only or not mind.embedder_answers():
        return
    with out.waiting(f"making vectors: {counted(behind, 'event')} to go …"):
        left = catch_up(mind, seconds, only=_VECTORS)
    if left:
        out.note(f"'--wait {_longer(seconds)}' waits longer for vectors")


def embed_imported(out: Output, mind: Mind, seconds: float) -> None:
    """The same for what was just imported; not where another process makes the vectors."""
    if not mind.recorder.journal.options.background:
        return
    if seconds and mind.lag().get(_VECTORS, 0) and not mind.embedder_answers():
        out.note("the embedder is away: vectors are made whenever the store is open and it is back")
        return
    embed(out, mind, seconds)


def lag_note(lag: dict[str, int]) -> str:
    """How far the consumers are behind, in words."""
    return "not counted yet: " + ", ".join(f"{count:,} events by {name}" for name, count in lag.items())


def _ahead(mind: Mind) -> int:
    from tacit.learning.studying.backlog import unstudied_episodes

    with mind.recorder.journal.store.snapshot() as snapshot:
        return unstudied_episodes(snapshot, mind.recorder.mind.id)


def _longer(seconds: float) -> int:
    """A wait that is worth trying after one that was too short."""
    return max(60, round(seconds * 4))
