"""A child that logs episodes to a store until it is killed: three threads (or as many as told), each acknowledging
what has returned to it. Run by ``nursery`` with the arguments FILE and THREADS.

Each acknowledgement is ``kind:id``: ``episode:`` and ``step:`` name the event that is durable, ``end:`` the episode
whose completion is.
"""

from __future__ import annotations

import itertools
import os
import threading
import traceback
from collections.abc import Sequence

import tacit
import tacit.opening
from faults.kill import Child
from tacit.ops.settings import load

STEPS = 7
"""Steps of one episode; few, so that kills also land on beginnings and ends."""


def main(child: Child, arguments: Sequence[str]) -> None:
    """Write until the end."""
    file, threads = arguments[0], int(arguments[1])
    mind = tacit.open(file, mind="crash", settings=load(environ={}).settings)
    workers = [threading.Thread(target=_work, args=(mind, child, slot)) for slot in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(mind: tacit.Mind, child: Child, slot: int) -> None:
    try:
        for number in itertools.count():
            _log_episode(mind, child, slot, number)
    except BaseException:  # noqa: BLE001 - a thread's end would go unseen, and the test would wait
        traceback.print_exc()
        os._exit(1)


def _log_episode(mind: tacit.Mind, child: Child, slot: int, number: int) -> None:
    with child.attempt(slot):
        episode = mind.episode(f"task {slot} of {number}", domain="crash", tags=[f"slot {slot}"])
    child.acknowledge(f"episode:{episode.id}")
    for step in range(STEPS):
        with child.attempt(slot):
            event = episode.step(tool=f"tool {step}", observation="x" * 100 * step, success=step % 3 > 0)
        child.acknowledge(f"step:{event}")
    with child.attempt(slot):
        episode.complete("success" if number % 2 else "failure")
    child.acknowledge(f"end:{episode.id}")
