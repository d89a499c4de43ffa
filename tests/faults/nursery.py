"""Children that are born quickly: a program is imported once, and every child to be killed is a fork of it.

``kill.kill_runs`` starts Python anew for each child, which for Tacit takes half a second; two hundred kills would take
minutes. The program is a module with ``main(child, arguments)``; what it acknowledges, and how, is said in ``kill``.

    with Nursery("faults.journal_writer", environment) as nursery:
        for run in nursery.kill_runs(["agent.db"], runs=200, seed=1): ...
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from . import kill
from .kill import TESTS, Child, ChildError, InFlight, KillRun


class Nursery:
    """A process that has imported ``module`` and forks children from itself, one at a time."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        own = dict(os.environ if environment is None else environment)
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TESTS), own.get("PYTHONPATH"))))
        self._socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the nursery
        command = [sys.executable, "-m", "faults.nursery", module, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command, env=own, pass_fds=[theirs.fileno()], stderr=self._errors, start_new_session=True
            )

    def kill_runs(
        self, arguments: Sequence[str], runs: int, *, seed: int, longest_s: float = 0.05, patience_s: float = 30.0
    ) -> Iterator[KillRun]:
        """Forks and kills a child ``runs`` times, as ``kill.kill_runs`` does."""
        moments = random.Random(seed)
        for _ in range(runs):
            yield self._kill_once(arguments, moments.uniform(0.0, longest_s), patience_s)

    def _kill_once(self, arguments: Sequence[str], after_s: float, patience_s: float) -> KillRun:
        with tempfile.TemporaryDirectory() as folder:
            counters = Path(folder) / "counters"
            in_flight = InFlight.create(counters)
            reader, writer = os.pipe()
            order = json.dumps({"counters": str(counters), "arguments": list(arguments)}).encode()
            socket.send_fds(self._socket, [order], [writer])
            os.close(writer)
            child = int(self._answer())
            with open(reader, "rb", buffering=0) as acknowledgements:  # noqa: PTH123, a descriptor has no path
                try:
                    received = kill.listen(acknowledgements, after_s, patience_s, lambda: "ended by itself")
                    os.killpg(child, signal.SIGKILL)
                except ChildError as error:
                    raise kill.with_standard_error(error, self._errors) from None
                self._answer()
                received += acknowledgements.readall()
            return KillRun(kill.tokens_in(received), in_flight.now, in_flight.begun)

    def _answer(self) -> bytes:
        answer = self._socket.recv(64)
        if not answer:
            raise kill.with_standard_error(ChildError("the nursery ended by itself"), self._errors)
        return answer

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()


def _serve(module: str, control: socket.socket) -> None:
    """In the nursery: fork a child for each order, say its process id, and again when it is dead."""
    program = importlib.import_module(module)
    while True:
        order, (pipe, *_), _, _ = socket.recv_fds(control, 65_536, 1)
        if not order:
            return
        wanted = json.loads(order)
        process = os.fork()
        if process == 0:
            control.close()
            os.setsid()
            program.main(Child(pipe, InFlight(Path(wanted["counters"]))), wanted["arguments"])
            os._exit(0)
        os.close(pipe)
        control.sendall(b"%d" % process)
        os.waitpid(process, 0)
        control.sendall(b"dead")


if __name__ == "__main__":
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
