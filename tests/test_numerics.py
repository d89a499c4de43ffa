"""Where there is no room for threads, numerical libraries are loaded to work without them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.requirement("LE-08")
PROGRAM = """
import os, sys, threading
from tacit import numerics
start, room = threading.Thread.start, int(sys.argv[1])
def refuse(thread):
    if thread.name == "tacit-room" and sum(each.name == "tacit-room" for each in threading.enumerate()) >= room:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refuse
before = dict(os.environ)
numerics.prepare()
assert dict(os.environ) == before
assert not [each for each in threading.enumerate() if each.name == "tacit-room"]
print("numpy" in sys.modules)
import numpy, scipy.special
from threadpoolctl import threadpool_info
print(sorted({each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}))
"""


def loaded(room: int, **environment: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(room)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=True,
        timeout=120,
    )
    return run.stdout.splitlines()


@pytest.mark.parametrize("room", [0, 1])
def test_without_room_they_are_loaded_at_once_and_have_one_thread(room: int) -> None:
    assert loaded(room) == ["True", "[1]"]


def test_with_room_they_are_left_to_be_loaded_as_the_agent_wants_them() -> None:
    assert loaded(10_000, OPENBLAS_NUM_THREADS="2") == ["False", "[2]"]
