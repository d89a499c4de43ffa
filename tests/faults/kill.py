"""Killing a busy child at a random moment, knowing what it had acknowledged and whether writes were in flight.

The child is a Python program that does this in each of its threads::

    child = kill.Child.from_environment()
    with child.attempt(slot):          # one slot per thread, from 0
        commit()                       # the call that promises to be durable when it returns
    child.acknowledge(token)           # a text without spaces: a number, an id

The parent does ``for run in kill_runs(command, runs=200, seed=1, environment=...)`` and after each run looks at the
store: everything in ``run.acknowledged`` must be there.
"""

from __future__ import annotations

import mmap
import os
import random
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SLOTS = 256
"""The most threads, over all processes of one child, that may write at a time."""

_PIPE = "TACIT_KILL_PIPE"
_COUNTERS = "TACIT_KILL_COUNTERS"
TESTS = Path(__file__).parents[1]
_READ_BYTES = 1 << 16


class ChildError(RuntimeError):
    """The child ended or said nothing before it could be killed; the message holds its standard error."""


class InFlight:
    """Counts of begun and ended attempts per slot in a shared file, which outlive a killed child.

    Each slot belongs to one thread, so no lock is needed; a count is one aligned word and is never seen half written.
    """

    def __init__(self, path: Path) -> None:
        """Maps the counters at ``path``, made with ``create``."""
        with path.open("r+b") as file:
            self._counts = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")

    @classmethod
    def create(cls, path: Path) -> InFlight:
        """New counters, all zero."""
        path.write_bytes(bytes(SLOTS * 16))
        return cls(path)

    def begin(self, slot: int) -> None:
        """The attempt of this slot begins."""
        self._counts[2 * slot] += 1

    def end(self, slot: int) -> None:
        """The attempt of this slot has returned or raised."""
        self._counts[2 * slot + 1] += 1

    @property
    def begun(self) -> int:
        """Attempts that began, over all slots."""
        return sum(self._counts[::2].tolist())

    @property
    def now(self) -> int:
        """Attempts that began and did not end, over all slots."""
        return self.begun - sum(self._counts[1::2].tolist())


class Child:
    """The child's side: says what is in flight and what is acknowledged. Safe for threads, each with its own slot."""

    def __init__(self, pipe: int, counters: InFlight) -> None:
        self._pipe = pipe
        self._counters = counters

    @classmethod
    def from_environment(cls) -> Child:
        """The child that ``kill_once`` or ``kill_runs`` has started."""
        return cls(int(os.environ[_PIPE]), InFlight(Path(os.environ[_COUNTERS])))

    @contextmanager
    def attempt(self, slot: int) -> Iterator[None]:
        """Around the call that promises durability."""
        self._counters.begin(slot)
        try:
            yield
        finally:
            self._counters.end(slot)

    def acknowledge(self, token: object) -> None:
        """Tells the parent that what ``token`` names is durable. A pipe takes so short a line whole or not at all."""
        os.write(self._pipe, f"ack {token}\n".encode())


@dataclass(frozen=True)
class KillRun:
    """One killed child."""

    acknowledged: tuple[str, ...]
    """The tokens that reached the pipe, in their order."""
    in_flight: int
    """How many attempts had begun and not ended when the child died."""
    begun: int
    """How many attempts had begun at all."""


def kill_runs(
    command: Sequence[str],
    runs: int,
    *,
    seed: int,
    environment: Mapping[str, str] | None = None,
    longest_s: float = 0.05,
    patience_s: float = 30.0,
) -> Iterator[KillRun]:
    """Starts and kills a child ``runs`` times, each at a moment drawn from ``seed``; see ``kill_once``.

    The moment is uniform between the first acknowledgement and ``longest_s`` seconds after it. Between two runs the
    caller may check the store, cut its power, or replace it.
    """
    moments = random.Random(seed)
    for _ in range(runs):
        yield kill_once(command, moments.uniform(0.0, longest_s), environment=environment, patience_s=patience_s)


def kill_once(
    command: Sequence[str],
    after_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    patience_s: float = 30.0,
) -> KillRun:
    """Starts a child and kills it and its children by SIGKILL ``after_s`` seconds after its first acknowledgement.

    ``environment`` is the whole environment of the child (this process's own by default); the tests' folder is put
    in front of its PYTHONPATH.

    Raises:
        ChildError: it ended by itself, or acknowledged nothing within ``patience_s`` seconds.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        counters = Path(folder) / "counters"
        in_flight = InFlight.create(counters)
        child, pipe = _start(command, environment, counters, errors)
        with open(pipe, "rb", buffering=0) as acknowledgements:  # noqa: PTH123, a descriptor has no path
            try:
                received = listen(acknowledgements, after_s, patience_s, lambda: f"ended with code {_exit_code(child)}")
            except ChildError as error:
                raise with_standard_error(error, errors) from None
            finally:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            received += acknowledgements.readall()
        return KillRun(tokens_in(received), in_flight.now, in_flight.begun)


def _start(
    command: Sequence[str], environment: Mapping[str, str] | None, counters: Path, errors: IO[bytes]
) -> tuple[subprocess.Popen[bytes], int]:
    own = dict(os.environ if environment is None else environment)
    search = os.pathsep.join(filter(None, (str(TESTS), own.get("PYTHONPATH"))))
    reader, writer = os.pipe()
    own |= {_PIPE: str(writer), _COUNTERS: str(counters), "PYTHONPATH": search}
    try:
        child = subprocess.Popen(command, env=own, pass_fds=[writer], stderr=errors, start_new_session=True)
    finally:
        os.close(writer)
    return child, reader


def listen(pipe: IO[bytes], after_s: float, patience_s: float, ended: Callable[[], str]) -> bytes:
    """What the child says until ``after_s`` seconds after its first word; ``ended`` says how it ended by itself."""
    received = b""
    moment = time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, moment - time.monotonic())):
            chunk = pipe.read(_READ_BYTES)
            if not chunk:
                raise ChildError(f"the child {ended()} before it was killed")
            if not received:
                moment = time.monotonic() + after_s
            received += chunk
            if time.monotonic() >= moment:
                break
    if not received:
        raise ChildError(f"the child acknowledged nothing in {patience_s} s")
    return received


def _exit_code(child: subprocess.Popen[bytes]) -> int:
    """Waits for the end but leaves the zombie, so that its process group is still there to be killed."""
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return ended.si_status if ended else 0


def with_standard_error(error: ChildError, errors: IO[bytes]) -> ChildError:
    """The same error, with what the child had to say about it."""
    errors.seek(0)
    return ChildError(f"{error}; its standard error was:\n{errors.read().decode(errors='replace')}")


def tokens_in(received: bytes) -> tuple[str, ...]:
    """A line cut short was not acknowledged."""
    lines = received.decode().split("\n")[:-1]
    return tuple(line.removeprefix("ack ") for line in lines)
