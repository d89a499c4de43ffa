"""The same minds for asyncio.

Writes are queued to the same writing thread and awaited as futures, so a thousand waiting tasks need no thread each.
Reads and rare operations run in a small pool of threads. Every method of :class:`tacit.Mind` is here under the same
name, with the same arguments; a test compares the two.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from tacit import mind as blocking
from tacit.errors import TacitError, beside
from tacit.experience.episode import Json, Outcome, Step
from tacit.experience.handoff import HandOff
from tacit.experience.live import (
    LiveEpisode,
    OpenEpisodeWarning,
    failure_of,
    note_open,
    note_unrecorded,
    note_unwritten,
)
from tacit.experience.memory.check import said_from
from tacit.experience.memory.memory import Memory
from tacit.experience.memory.remember import Rememberer
from tacit.experience.recorder import LiveFit
from tacit.ids import format_id, parse_id
from tacit.opening import open_mind_alone
from tacit.verbs.memories import as_memory

P = ParamSpec("P")
T = TypeVar("T")
_READERS = 4  # SQLite reads rarely wait; more threads would only queue for the interpreter


def _awaited(told: Callable[Concatenate[LiveEpisode, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The async twin of a method of the blocking episode: the same keywords and the same body.

    The body hands what it made to ``log`` or ``_end``, which are an ``AsyncEpisode``'s own here, and to be awaited.
    """

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        waiting: Any = told(self, *args, **kwargs)
        result: T = await waiting
        return result

    functools.update_wrapper(method, told)
    return method


class AsyncEpisode:
    """An open episode for asyncio: ``async with mind.episode(…) as episode: await episode.step(…)``.

    Cancellation leaves the episode open and resumable; an exception records a failure; leaving without ``complete()``
    warns.
    """

    def __init__(self, mind: Mind, begin: Callable[[], LiveEpisode]) -> None:
        self._mind = mind
        self._begin = begin
        self._episode: LiveEpisode | None = None

    @property
    def live(self) -> LiveEpisode:
        """The blocking handle underneath; there once the block has been entered or the episode awaited."""
        if self._episode is None:
            raise RuntimeError("enter the episode first: async with mind.episode(…) as episode")
        return self._episode

    @property
    def id(self) -> str:
        return self.live.id

    @property
    def completed(self) -> bool:
        return self.live.completed

    @property
    def buffered(self) -> bool:
        return self.live.buffered

    @property
    def fit(self) -> LiveFit:
        return self.live.fit

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncEpisode:
        if self._episode is None:
            self._episode = await self._mind.in_thread(self._begin)
        return self

    step = _awaited(LiveEpisode.step)

    async def log(self, step: Step, *, key: str | None = None) -> str | None:
        """Log a step that was made before; see :meth:`LiveEpisode.log`."""
        if self.buffered:
            return await self._mind.in_thread(self.live.log, step, key=key)
        appended = await asyncio.wrap_future(self._mind.recorder.step(parse_id(self.id), step, key=key, fit=self.fit))
        return format_id(appended.event.id)

    async def flush(self) -> None:
        await self._mind.in_thread(self.live.flush)

    async def end_buffering(self) -> None:
        """Write what is buffered and hold nothing back any more."""
        await self._mind.in_thread(self.live.end_buffering)

    complete = _awaited(LiveEpisode.complete)

    async def _end(self, outcome: Outcome, ended_at: int | None) -> None:
        if self.buffered:
            await self.flush()
        await asyncio.wrap_future(self._mind.recorder.complete(parse_id(self.id), outcome, ended_at=ended_at))
        self.live.completed = True

    async def tag(self, *tags: str) -> None:
        await self._mind.in_thread(self.live.tag, *tags)

    async def relate(self, kind: str, target: str) -> None:
        await self._mind.in_thread(self.live.relate, kind, target)

    async def checkpoint(self, note: str = "", state: Mapping[str, Json] | None = None) -> str:
        return await self._mind.in_thread(self.live.checkpoint, note, state)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end_buffering_beside(error)
        if isinstance(error, TacitError) and not self.completed:
            note_open(error, self.id)
        elif isinstance(error, Exception) and not self.completed:
            await self._record_failure(error)
        elif error is None and not self.completed:
            warnings.warn(
                f"episode {self.id} was left without complete(); it stays open and nothing is learned from it",
                OpenEpisodeWarning,
                stacklevel=2,
            )

    async def _end_buffering_beside(self, error: BaseException | None) -> None:
        try:
            await self.end_buffering()
        except TacitError as problem:
            if error is None:
                raise
            note_unwritten(error, problem)

    async def _record_failure(self, error: Exception) -> None:
        try:
            await asyncio.wrap_future(self._mind.recorder.complete(parse_id(self.id), failure_of(error)))
        except TacitError as problem:
            note_unrecorded(error, problem)
            return
        self.live.completed = True


class _Threaded:
    """Runs a blocking object's methods in a pool of threads."""

    def __init__(self, blocking_mind: blocking.PastMind, pool: ThreadPoolExecutor) -> None:
        self._blocking = blocking_mind
        self._pool = pool

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in the pool and await it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    @property
    def id(self) -> str:
        return self._blocking.id

    @property
    def name(self) -> str:
        return self._blocking.name

    @property
    def tenant(self) -> str:
        return self._blocking.tenant


def _threaded(name: str, owner: type) -> Any:
    """An async method that runs the blocking one of the same name."""
    original = getattr(owner, name)

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.in_thread(getattr(self._blocking, name), *args, **kwargs)

    method.__name__, method.__doc__ = name, original.__doc__
    method.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
    return method


def _streamed(name: str) -> Any:
    """An asynchronous generator of what the blocking one of the same name gives, made in a thread of its own."""
    original = getattr(blocking.Mind, name)

    async def method(self: Any) -> AsyncIterator[Any]:
        loop, found = asyncio.get_running_loop(), getattr(self._blocking, name)()
        with ThreadPoolExecutor(1, thread_name_prefix="tacit-aio") as thread:  # a snapshot stays with its thread
            try:
                while (one := await loop.run_in_executor(thread, next, found, None)) is not None:
                    yield one
            finally:
                await loop.run_in_executor(thread, found.close)

    method.__name__, method.__doc__ = name, original.__doc__
    return method


class PastMind(_Threaded):
    """A read-only view of a mind's past, for asyncio."""

    get = _threaded("get", blocking.PastMind)
    episodes = _threaded("episodes", blocking.PastMind)
    advise = _threaded("advise", blocking.PastMind)
    book = _threaded("book", blocking.PastMind)
    forecasts = _threaded("forecasts", blocking.PastMind)
    trials = _threaded("trials", blocking.PastMind)
    memory = _threaded("memory", blocking.PastMind)
    memory_history = _threaded("memory_history", blocking.PastMind)
    memories = _threaded("memories", blocking.PastMind)
    recall = _threaded("recall", blocking.PastMind)
    embedder_answers = _threaded("embedder_answers", blocking.PastMind)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        self._blocking.__getattr__(name)  # says what a view of the past cannot do


class Mind(PastMind):
    """A mind for asyncio, with the methods of :class:`tacit.Mind`."""

    _blocking: blocking.Mind

    @property
    def recorder(self) -> Any:
        return self._blocking.recorder

    def episode(self, description: str, **fields: Any) -> AsyncEpisode:
        """Begin an attempt: ``async with mind.episode(…)``, or ``episode = await mind.episode(…)``."""
        return AsyncEpisode(self, lambda: self._blocking.episode(description, **fields))

    def resume(self, given: HandOff | str, **options: Any) -> AsyncEpisode:
        """Go on with an open episode, as :meth:`tacit.Mind.resume` does."""
        return AsyncEpisode(self, lambda: self._blocking.resume(given, **options))

    async def remember(self, text: str, *, key: str | None = None, **fields: Any) -> Memory:
        """Remember one thing, as :meth:`tacit.Mind.remember` does."""
        said = said_from({"text": text, **fields})
        written = await asyncio.wrap_future(Rememberer(self.recorder).remember(said, key=key))
        return await self.in_thread(as_memory, self.recorder, written)

    async def at(self, moment: datetime) -> PastMind:
        """The mind as it was at a moment."""
        return PastMind(await self.in_thread(self._blocking.at, moment), self._pool)

    all_episodes = _streamed("all_episodes")
    all_memories = _streamed("all_memories")
    export_lines = _streamed("export_lines")

    async def close(self) -> None:
        """Let go, as :meth:`tacit.Mind.close` does."""
        await self.in_thread(self._blocking.close)
        self._pool.shutdown(wait=False)

    async def __aenter__(self) -> Mind:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with beside(error, "closing the store"):
            await self.close()


_THREADED = (
    "record", "ingest", "update", "relate", "unrelate", "handoff", "read_handoff", "settle", "lag", "statistics",
    "reward", "reflection", "export", "backup", "feedback", "remember_many", "import_memories", "correct", "forget",
    "maintain", "forgotten", "erase", "check_receipt", "warm_up",
)  # fmt: skip
for _name in _THREADED:
    setattr(Mind, _name, _threaded(_name, blocking.Mind))
for _name in ("episode", "resume", "remember"):
    getattr(Mind, _name).__signature__ = inspect.signature(getattr(blocking.Mind, _name))


class _Opening:
    """What ``open`` returns: await it, or enter it."""

    def __init__(self, call: Callable[[], blocking.Mind]) -> None:
        self._call = call
        self._mind: Mind | None = None

    async def _open(self) -> Mind:
        pool = ThreadPoolExecutor(_READERS, thread_name_prefix="tacit-aio")
        self._mind = Mind(await asyncio.get_running_loop().run_in_executor(pool, self._call), pool)
        return self._mind

    def __await__(self) -> Any:
        return self._open().__await__()

    async def __aenter__(self) -> Mind:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mind is not None:
            await self._mind.__aexit__(kind, error, trace)


def open(
    location: str | Path | None = None, *, mind: str | None = None, tenant: str | None = None, **options: Any
) -> _Opening:
    """Open a mind: ``async with tacit.aio.open("agent.db") as mind``, or ``mind = await tacit.aio.open(…)``."""
    return _Opening(lambda: open_mind_alone(location, mind=mind, tenant=tenant, **options))
