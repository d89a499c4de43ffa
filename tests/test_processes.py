"""Many processes and many threads on one file: nothing lost, nothing locked out, everything done once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tacit
from tacit.stores.processes import Processes, meet
from trials import assert_sound, events_of, kinds_of, open_mind

pytestmark = pytest.mark.requirement("JR-04")

PROCESSES, THREADS, WRITES = 8, 4, 250


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """Started once: each has to import everything."""
    with Processes(PROCESSES) as started:
        yield started


def log_a_thousand_steps(path: str, process: int) -> tuple[int, dict[str, int]]:
    """In a process: one episode of a thousand steps from four threads; then what can be read after all have written."""
    with open_mind(path, "shared", consumers__enabled=False) as mind:
        episode = mind.episode(f"process {process}", tags=[f"process {process}"])

        def log(thread: int) -> None:
            for number in range(WRITES):
                episode.step(tool=f"{process}-{thread}", parameters={"number": number})

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(log, range(THREADS)))
        episode.complete("success")
        meet()
        steps = Counter(step.tool for summary in mind.episodes() for step in mind.get(summary.id).steps)
        return kinds_of(mind).count("step.logged"), dict(steps)


@pytest.mark.requirement("JR-01", "JR-02")
def test_eight_processes_that_start_together_write_a_thousand_steps_each_and_every_one_reads_all(
    tmp_path: Path, processes: Processes
) -> None:
    path = tmp_path / "agent.db"
    seen = processes.run(log_a_thousand_steps, [(str(path), number) for number in range(PROCESSES)])
    whole = {f"{process}-{thread}": WRITES for process in range(PROCESSES) for thread in range(THREADS)}
    assert seen == [(PROCESSES * THREADS * WRITES, whole)] * PROCESSES
    assert assert_sound(path) == 1 + PROCESSES * (1 + THREADS * WRITES + 1)
    with open_mind(path, "shared") as mind:
        for summary in mind.episodes():
            for thread in range(THREADS):
                steps = [step for step in mind.get(summary.id).steps if step.tool.endswith(f"-{thread}")]
                assert [step.parameters["number"] for step in steps] == list(range(WRITES)), "a thread's own order"
    assert not list(tmp_path.glob("*.new*")), "whoever came second took its draft away"


def open_together(path: str, process: int) -> str:
    with tacit.open_store(path) as store:
        return store.mind("shared").id + store.journal.node.origin.hex()


def test_processes_that_make_a_store_together_find_one_store_one_key_and_one_mind(
    tmp_path: Path, processes: Processes
) -> None:
    for number in range(3):
        path = tmp_path / f"{number}.db"
        found = processes.run(open_together, [(str(path), process) for process in range(PROCESSES)])
        assert len(set(found)) == 1
        assert assert_sound(path) == 1


def record_with_consumers(path: str, process: int, count: int) -> int:
    with open_mind(path, "shared", consumers__poll_seconds=0.02, consumers__batch_events=7) as mind:
        for number in range(count):
            outcome = {"kind": "success" if number % 3 else "failure"}
            steps = [{"tool": f"tool {number % 5}", "status": "success", "latency_ms": number}]
            mind.record({"task": {"description": "count me", "domain": "d"}, "steps": steps, "outcome": outcome})
        meet()
        mind.settle(60)
        return mind.statistics().totals.episodes


def test_what_consumers_of_several_processes_compute_is_applied_exactly_once(tmp_path: Path) -> None:
    path, count = tmp_path / "agent.db", 120
    with Processes(3) as processes:
        assert processes.run(record_with_consumers, [(str(path), number, count) for number in range(3)]) == [360] * 3
    with open_mind(path, "shared") as mind:
        mind.settle()
        statistics = mind.statistics()
    assert statistics.totals.outcomes == {"success": 240, "failure": 120}
    assert {tool.name: tool.calls for tool in statistics.tools} == {f"tool {number}": 72 for number in range(5)}
    assert_sound(path)


def test_readers_see_only_whole_transactions_while_others_write(tmp_path: Path) -> None:
    """Two buffered steps are one transaction: whoever reads finds an even number, and never fewer than before."""
    path = tmp_path / "agent.db"
    with open_mind(path, buffer__steps=2, buffer__seconds=3600) as writer, open_mind(path) as reader:
        episode = writer.episode("pairs", buffered=True)
        seen: list[list[int]] = [[], [], []]
        done = threading.Event()

        def read(counts: list[int]) -> None:
            while not done.is_set():
                counts.append(len(reader.get(episode.id).steps))

        threads = [threading.Thread(target=read, args=(counts,)) for counts in seen]
        for thread in threads:
            thread.start()
        for _ in range(200):
            episode.step(tool="t")
        done.set()
        for thread in threads:
            thread.join()
        assert len(reader.get(episode.id).steps) == 200
    for counts in seen:
        assert counts == sorted(counts)
        assert all(count % 2 == 0 for count in counts)


def test_what_one_process_wrote_the_next_read_of_another_finds(tmp_path: Path) -> None:
    with open_mind(tmp_path / "agent.db") as one, open_mind(tmp_path / "agent.db") as other:
        for number in range(20):
            writer, reader = (one, other) if number % 2 else (other, one)
            id = writer.record({"task": {"description": f"task {number}"}})
            assert reader.get(id).task.description == f"task {number}"
            assert reader.episodes(limit=1)[0].id == id


def test_the_minds_of_one_store_have_chains_of_their_own_and_do_not_see_each_other(tmp_path: Path) -> None:
    with tacit.open_store(tmp_path / "agent.db") as store:
        minds = [store.mind(name, tenant=tenant) for tenant in ("acme", "zeta") for name in ("one", "two")]

        def write(mind: tacit.Mind) -> None:
            for _ in range(50):
                mind.record({"task": {"description": mind.name}})

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, minds))
        for mind in minds:
            assert {summary.description for summary in mind.episodes(limit=100)} == {mind.name}
            assert [recorded.event.sequence for recorded in events_of(mind)] == list(range(1, 52))
            for other in minds:
                if other is not mind:
                    with pytest.raises(tacit.NotFound):
                        other.get(mind.episodes(limit=1)[0].id)
        assert {(info.tenant, info.name) for info in store.minds()} == {(mind.tenant, mind.name) for mind in minds}
    assert_sound(tmp_path / "agent.db")


def test_a_consumer_moves_to_another_process_when_its_holder_closes(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    first = open_mind(path, consumers__lease_seconds=3600)
    first.record({"task": {"description": "one"}, "outcome": {"kind": "success"}})
    first.settle()
    with open_mind(path, consumers__lease_seconds=3600, consumers__poll_seconds=0.01) as second:
        second.record({"task": {"description": "two"}, "outcome": {"kind": "success"}})
        first.settle()  # only the first may count it while it holds the lease
        first.close()
        second.record({"task": {"description": "three"}, "outcome": {"kind": "success"}})
        second.settle(30)  # the lease was given back: waiting for its end would take an hour
        assert second.statistics().totals.episodes == 3
