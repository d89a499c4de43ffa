"""Forking while the store is busy, and programs that end without closing."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import tacit
from tacit.stores.forking import FreshLock
from trials import assert_sound, open_mind


def _tell(path: Path, number: int) -> None:
    with open_mind(path) as mind, mind.episode(f"child {number}") as episode:
        episode.complete("success")


@pytest.mark.requirement("JR-04")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_children_that_are_forked_while_the_store_is_busy_can_open_it_themselves(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_mind(path) as mind:
        for number in range(20):
            with mind.episode(f"parent {number}") as episode:
                episode.complete("success")
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_tell, args=(path, number)) for number in range(8)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 8
        assert len(mind.episodes(limit=100)) == 28
    assert_sound(path)


@pytest.mark.requirement("JR-04")
@pytest.mark.parametrize("begun", ["numpy", "onnxruntime", "tacit_minilm"])
def test_a_child_that_is_forked_while_the_embedder_loads_can_embed(begun: str) -> None:
    program = f"""
        import os, signal, sys, threading, time
        from tacit.opening import shared_embedder
        embedder = shared_embedder("minilm")
        thread = threading.Thread(target=embedder.embed, args=(["in the parent"],))
        thread.start()
        while {begun!r} not in sys.modules:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            signal.alarm(40)  # should it hang, it must not outlive the test
            embedder.embed(["in the child"])
            os._exit(0)
        thread.join()
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


@pytest.mark.requirement("JR-04")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    lock, held, over = FreshLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = multiprocessing.get_context("fork").Process(target=lock.__enter__)
    child.start()
    child.join(30)
    over.set()
    thread.join()
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0


@pytest.mark.requirement("EP-08")
def test_a_program_that_ends_without_closing_still_writes_its_buffered_steps(tmp_path: Path) -> None:
    program = f"""
        import tacit
        mind = tacit.open({str(tmp_path / "a.db")!r})
        episode = mind.episode("forgotten", buffered=True)
        episode.step(tool="find")
        print(episode.id)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    with open_mind(tmp_path / "a.db") as mind:
        assert [step.tool for step in mind.get(done.stdout.strip()).steps] == ["find"]


@pytest.mark.requirement("EP-08")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_is_forked_while_buffered_steps_are_written_ends(tmp_path: Path) -> None:
    program = f"""
        import os, signal, sys, threading, time
        import tacit
        mind = tacit.open({str(tmp_path / "a.db")!r})
        episode = mind.episode("busy", buffered=True)
        held = episode._buffer
        held._lock.acquire()  # as a thread of the parent's does for as long as it waits for its commit
        episode.step(tool="find")
        def fork():
            child = os.fork()
            if not child:
                signal.alarm(30)
                for use in (lambda: episode.step(tool="lost"), episode.flush, lambda: episode.complete("success")):
                    try:
                        use()
                    except tacit.ForkedStore:
                        pass
                    else:
                        os._exit(3)
                sys.exit()
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        forking = threading.Thread(target=fork)
        forking.start()
        forking.join()
        held._lock.release()
        mind.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0\n"
    assert "not written" not in done.stderr
    with open_mind(tmp_path / "a.db") as mind:
        assert [step.tool for step in mind.get(mind.episodes()[0].id).steps] == ["find"]


@pytest.mark.requirement("JR-01")
def test_a_damaged_anchor_keeps_nobody_from_the_store_and_verification_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _tell(path, 1)
    anchor = tmp_path / "a.db.anchor"
    anchor.write_bytes(anchor.read_bytes() + b"rubbish\n")
    _tell(path, 2)
    with open_mind(path) as mind:
        assert len(mind.episodes()) == 2
    from tacit.journal.verify import verify

    with tacit.open_store(path) as store:
        found = verify(store.store, anchor)
    assert not found.ok
    assert found.first is not None
    assert found.first.what == "anchor"
