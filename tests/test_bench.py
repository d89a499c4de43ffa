"""Every bench in a tiny size: it finishes, counts truly, and says all that a bench must say."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import msgspec
import pytest

from tacit.bench import bulk, closed_loop, command, demotion, intervals, soak
from tacit.bench.command import BENCHES, Options
from tacit.bench.episodes import STEPS, records, write_messages
from tacit.bench.gate import compare, passed, read
from tacit.bench.live import together
from tacit.bench.raw import connect, read_commits, write_commits
from tacit.bench.report import Report, to_json
from tacit.bench.soak import slope_with_interval
from tacit.bench.store import WatchedStore, count_episodes, count_finished, count_steps, open_default
from tacit.errors import InvalidInput, NotFound
from tacit.stores.sqlite import SqliteStore

pytestmark = pytest.mark.disk  # figures from memory mean nothing, and are refused

TINY = {"ingest": 8, "read": 30, "startup": 1, "verify": 40, "backup": 20, "soak": 1}


def measured(name: str, folder: Path, **options: object) -> Report:
    """One bench in its tiny size; nothing that it wrote is left behind."""
    given = {"size": TINY[name], "rounds": 1, "seconds": 0.5, "folder": folder, **options}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bulk, "_WARM_UP", 5)
        report = command.run(name, msgspec.convert(given, Options, strict=False))
    assert list(folder.iterdir()) == []
    assert report.bench == name
    assert report.machine.processor
    assert report.versions.sqlite
    return report


@pytest.fixture(scope="module")
def ingest() -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return measured("ingest", Path(folder))


@pytest.mark.requirement("QU-04", "JR-13")
def test_the_ingest_bench_tells_rates_beside_their_baselines(ingest: Report) -> None:
    rates = ("disk_fsync", "bulk_ingest", "bulk_record", "bulk_ingest_without_consumers", "bulk_raw_loop")
    live = ("live_1_threads", "live_8_threads", "live_64_threads", "live_asyncio", "bare_group_commit_8_threads")
    assert all(ingest.figures[name].value > 0 for name in (*rates, *live, "import_generated"))
    assert ingest.figures["live_8_threads_without_consumers"].unit == "steps/s"
    assert not {f"live_{threads}_threads_without_consumers" for threads in (1, 64)} & set(ingest.figures)
    assert ingest.figures["bulk_ingest"].unit == "episodes/s"
    assert set(ingest.ratios) == {
        "bulk_share_of_raw_loop",
        "bulk_record_share_of_raw_loop",
        "live_share_of_bare_1_threads",
        "live_share_of_bare_8_threads",
        "live_share_of_bare_64_threads",
    }


@pytest.mark.requirement("QU-04")
def test_every_call_of_a_live_step_is_in_its_timing(ingest: Report) -> None:
    steps = TINY["ingest"] * 4
    assert ingest.timings["live_step_8_threads"].n == steps
    assert ingest.timings["bare_write_8_threads"].n == steps
    assert ingest.timings["live_step_asyncio"].n == steps == ingest.figures["live_asyncio_callers"].value
    assert ingest.timings["live_step_8_threads"].p50_ms <= ingest.timings["live_step_8_threads"].p99_ms


@pytest.mark.requirement("JR-13")
def test_no_acknowledged_step_is_lost_by_threads_or_by_asyncio(ingest: Report) -> None:
    assert ingest.figures["live_lost"].value == 0


@pytest.mark.requirement("JR-13")
def test_the_traces_of_a_data_folder_are_imported_under_their_names(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "work"
    (data / "tau_bench").mkdir(parents=True)
    folder.mkdir()
    conversations = write_messages(data / "tau_bench" / "gpt-4o-airline.json", 20_000)
    report = measured("ingest", folder, data=data)
    assert report.figures["import_tau_airline_episodes"].value == conversations
    assert "import_generated" not in report.figures


@pytest.mark.requirement("QU-04")
def test_the_read_bench_reads_what_it_built(tmp_path: Path) -> None:
    report = measured("read", tmp_path)
    assert report.figures["read_episodes"].value == TINY["read"]
    assert report.timings["read_episode"].n == report.timings["read_bare_payload"].n
    assert report.ratios["read_episode_over_bare"].better == "lower"
    assert {"list_page", "search_common_words", "search_one_episode"} <= set(report.timings)


@pytest.mark.requirement("QU-04")
def test_the_startup_bench_starts_real_processes(tmp_path: Path) -> None:
    report = measured("startup", tmp_path)
    assert {name: one.n for name, one in report.timings.items()} == {
        "python_alone": 1,
        "import_tacit": 1,
        "tacit_version": 1,
    }
    assert report.ratios["tacit_version_over_python"].value > 1


@pytest.mark.requirement("QU-04")
def test_the_verify_bench_verifies_every_event_that_it_wrote(tmp_path: Path) -> None:
    report = measured("verify", tmp_path)
    assert report.figures["verify_events"].value >= TINY["verify"]
    assert report.ratios["verify_share_of_reading"].value > 0


@pytest.mark.requirement("QU-04")
def test_the_backup_bench_restores_what_it_backed_up(tmp_path: Path) -> None:
    report = measured("backup", tmp_path)
    assert report.figures["backup"].unit == "MB/s"
    assert report.figures["restore"].value > 0
    assert report.timings["backup_record_meanwhile"].n >= 1


@pytest.mark.requirement("QU-04", "JR-13")
def test_the_soak_keeps_its_pace_and_tells_memory_lag_and_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "_SAMPLES_A_RUN", 30)
    report = measured("soak", tmp_path, burst_seconds=0.04)
    assert report.timings["soak_record"].n == 50  # half a second at 100 a second
    assert report.timings["burst_record"].n == 40
    assert report.figures["soak_errors"].value == report.figures["burst_errors"].value == 0
    low, slope, high = (report.figures[f"soak_memory_slope{end}"].value for end in ("_low", "", "_high"))
    assert low <= slope <= high
    assert {"soak_processor_share", "soak_lag_at_end", "burst_drain", "burst_lag_at_end"} <= set(report.figures)


@pytest.mark.requirement("QU-04")
def test_a_report_is_one_json_document_that_the_gate_can_read(ingest: Report, tmp_path: Path) -> None:
    path = tmp_path / "ingest.json"
    path.write_text(to_json(ingest), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))["bench"] == "ingest"
    assert passed(compare(read(path), ingest.ratios))


@pytest.mark.requirement("QU-04")
def test_the_gate_has_a_baseline_for_every_ratio_of_the_quick_benches(ingest: Report) -> None:
    baseline = read(Path(__file__).resolve().parent.parent / "bench" / "baseline.json")
    assert set(ingest.ratios) <= set(baseline)


def test_an_unknown_bench_and_impossible_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="choose from ingest"):
        command.run("speed", Options(folder=tmp_path))
    with pytest.raises(InvalidInput, match="size 0"):
        command.run("startup", Options(folder=tmp_path, size=0))
    with pytest.raises(NotFound, match="does not exist"):
        command.run("startup", Options(folder=tmp_path / "nowhere"))
    with pytest.raises(NotFound, match="data"):
        command.run("ingest", Options(folder=tmp_path, data=tmp_path / "nowhere"))


def test_a_folder_in_memory_is_refused() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("this system has no file system in memory")
    with pytest.raises(InvalidInput, match="lies in memory"):
        command.run("startup", Options(folder=memory, size=1))


def test_only_what_takes_long_is_left_out_of_the_quick_look() -> None:
    long = {"recall", "closed-loop", "peers", "scale", "soak"}
    assert {name for name, bench in BENCHES.items() if not bench.in_all} == long


@pytest.mark.requirement("LE-11")
def test_without_data_learning_is_measured_on_a_made_up_world_with_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "DRAWS", 200)
    figures = {name: figure.value for name, figure in command.run("learning", Options(folder=tmp_path)).figures.items()}
    ours, trigram = figures["made_up_next_tool_tacit"], figures["made_up_next_tool_trigram"]
    assert ours > trigram > figures["made_up_next_tool_majority"]
    assert figures["made_up_success_after_2_skill_over_kind_low"] > 0
    for name in figures:
        if f"{name}_low" in figures:
            assert figures[f"{name}_low"] <= figures[name] <= figures[f"{name}_high"]


@pytest.mark.requirement("LE-10", "LE-11")
def test_the_simulated_agent_is_measured_with_every_sort_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_loop, "LEARNING_TASKS", 40)
    monkeypatch.setattr(demotion, "_AGENTS", 60)
    found = command.run("closed-loop", Options(folder=tmp_path, size=1))
    sorts = ("off", "on", "random", "shuffled", "stale", "poisoned")
    assert {f"simulated_success_memory_{sort}" for sort in sorts} <= found.figures.keys()
    assert all(0 <= found.figures[f"simulated_success_memory_{sort}"].value <= 1 for sort in sorts)
    assert found.figures["simulated_harmful_demoted"].value > 90
    assert found.figures["simulated_exposures_until_demoted"].value < 60
    assert found.figures["simulated_false_demotions"].value <= 5
    assert found.figures["simulated_useless_lift_low"].value < 0 < found.figures["simulated_useless_lift_high"].value


@pytest.mark.requirement("LE-12", "JR-05")
def test_the_speed_of_learning_and_advice_is_measured_now_and_in_the_past(tmp_path: Path) -> None:
    found = command.run("advice", Options(folder=tmp_path, size=40, rounds=1))
    asked = {"advise_at_start", "advise_after_four_steps", "advise_in_the_past", "learn_long_episode"}
    assert asked <= found.timings.keys()
    assert found.figures["advice_learner_lessons"].value >= found.figures["advice_learner_vectors"].value
    assert found.figures["advice_learner_vectors"].value >= found.figures["advice_learner"].value > 0


def test_the_same_seed_gives_the_same_episodes_of_the_stated_shape() -> None:
    first, again, other = list(records(20)), list(records(20)), list(records(20, seed=8))
    assert first == again
    assert first != other
    assert all(len(record.steps) == STEPS for record in first)
    steps = [step for record in first for step in record.steps]
    assert {len(step.parameters) for step in steps} == {3}
    mean = sum(len(str(step.observation)) for step in steps) / len(steps)
    assert 200 < mean < 400


def test_the_raw_loop_writes_the_very_rows_that_tacit_wrote(tmp_path: Path) -> None:
    store = WatchedStore(tmp_path / "source.db")
    with open_default(store) as opened:
        mind = opened.mind()
        for record in records(15):
            mind.record(record)
        mind.settle()
        ends = list(store.ends)
    commits, heads = read_commits(tmp_path / "source.db", ends, ends[-1])
    assert len(commits) == len(heads) == len(ends) > 15
    connection = connect(tmp_path / "raw.db")
    write_commits(connection, commits, heads)
    connection.execute('ATTACH DATABASE ? AS "source"', (str(tmp_path / "source.db"),))
    for table in ("event", "payload", "episode", "step", "tag", "contribution", "statistic", "mind"):
        difference = f'SELECT * FROM "source"."{table}" EXCEPT SELECT * FROM "main"."{table}"'
        assert connection.execute(difference).fetchall() == [], table
    connection.close()


def test_counts_tell_open_episodes_from_finished_ones(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "count.db")
    with open_default(store) as opened:
        episode = opened.mind().episode("still open")
        episode.step(tool="look")
        opened.mind().record(next(records(1)))
        assert (count_episodes(store), count_finished(store), count_steps(store)) == (2, 1, STEPS + 1)


def test_what_a_thread_raises_is_raised_to_whoever_measures() -> None:
    def broken() -> tuple[list[int], object]:
        raise ValueError("cannot prepare")

    with pytest.raises(ValueError, match="cannot prepare"):
        together([lambda: ([1], print), broken])  # type: ignore[list-item]


def test_the_slope_is_found_and_its_interval_holds_it_while_noise_follows_itself() -> None:
    chance, noise, inside = random.Random(1), 0.0, 0
    for _ in range(100):
        x = [at / 60 for at in range(300)]
        y = []
        for at in x:
            noise = 0.7 * noise + chance.gauss(0, 1)
            y.append(100 + 0.5 * at + noise)
        slope, low, high = slope_with_interval(x, y)
        assert low < slope < high
        inside += low <= 0.5 <= high
    assert inside >= 85
    assert slope_with_interval([0, 1, 2, 3], [1, 3, 5, 7]) == (2.0, 2.0, 2.0)
