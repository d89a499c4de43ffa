"""The regression gate on files, as `make bench` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.bench.gate import compare, main, passed
from tacit.bench.report import Better, Ratio

ROOT = Path(__file__).parent.parent


def written(path: Path, **ratios: object) -> str:
    path.write_text(json.dumps({"bench": "any", "ratios": ratios}), encoding="utf-8")
    return str(path)


def gate(folder: Path, now: dict[str, object], before: dict[str, object]) -> int:
    result, baseline = written(folder / "result.json", **now), written(folder / "baseline.json", **before)
    return main([result, "--baseline", baseline])


@pytest.mark.requirement("QU-04")
@pytest.mark.parametrize(
    ("better", "value", "verdict", "code"),
    [
        ("higher", 2.0, "ok", 0),
        ("higher", 0.91, "ok", 0),
        ("higher", 0.9, "warn", 0),
        ("higher", 0.76, "warn", 0),
        ("higher", 0.75, "fail", 1),
        ("lower", 0.5, "ok", 0),
        ("lower", 1.09, "ok", 0),
        ("lower", 1.1, "warn", 0),
        ("lower", 1.24, "warn", 0),
        ("lower", 1.25, "fail", 1),
    ],
)
def test_ten_percent_worse_warns_and_twenty_five_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], better: str, value: float, verdict: str, code: int
) -> None:
    now, before = {"value": value, "better": better}, {"value": 1.0, "better": better}
    assert gate(tmp_path, {"speed": now}, {"speed": before}) == code
    row = next(line for line in capsys.readouterr().out.splitlines() if "speed" in line)
    assert verdict in row


@pytest.mark.requirement("QU-04")
def test_a_ratio_that_is_no_longer_measured_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(tmp_path, {}, {"speed": {"value": 1.0}}) == 1
    assert "missing" in capsys.readouterr().out


def test_a_new_ratio_is_listed_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(tmp_path, {"speed": {"value": 1.0}}, {}) == 0
    assert "new" in capsys.readouterr().out


def test_results_of_several_benches_are_gated_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written(tmp_path / "a.json", a={"value": 1.0}), written(tmp_path / "b.json", b={"value": 1.0})
    baseline = written(tmp_path / "baseline.json", a={"value": 1.0}, b={"value": 1.0})
    assert main([first, second, "--baseline", baseline]) == 0
    assert main([first, first, "--baseline", baseline]) == 2
    assert "measured before" in capsys.readouterr().err


def test_one_failure_among_many_fails_the_gate(tmp_path: Path) -> None:
    good, bad = {"value": 1.0}, {"value": 0.1}
    assert gate(tmp_path, {"a": good, "b": bad, "c": good}, {"a": good, "b": good, "c": good}) == 1


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ({"speed": {"value": 0}}, "above 0"),
        ({"speed": {"value": -1}}, "above 0"),
        ({"speed": {"value": "fast"}}, "not a bench result"),
        ({"speed": {"value": 1.0, "better": "bigger"}}, "not a bench result"),
        ({"speed": {"value": 1.0, "better": "lower"}}, "make them agree"),
    ],
)
def test_files_that_cannot_be_compared_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], now: dict[str, object], named: str
) -> None:
    assert gate(tmp_path, now, {"speed": {"value": 1.0}}) == 2
    assert named in capsys.readouterr().err


def test_a_result_that_does_not_exist_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline = written(tmp_path / "baseline.json")
    assert main([str(tmp_path / "absent.json"), "--baseline", baseline]) == 2
    assert "absent.json" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.requirement("QU-04")
def test_the_gate_runs_as_a_command_against_the_baseline_of_the_repository() -> None:
    baseline = str(ROOT / "bench" / "baseline.json")
    command = [sys.executable, "-m", "tacit.bench.gate", baseline, "--baseline", baseline]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "gate passed" in finished.stdout


ratio_values = st.floats(min_value=1e-6, max_value=1e6)


@given(before=ratio_values, now=ratio_values, better=st.sampled_from(["higher", "lower"]))
def test_an_improvement_passes_and_half_as_good_fails_at_any_scale(before: float, now: float, better: Better) -> None:
    baseline = {"speed": Ratio(value=before, better=better)}
    improved = max(now, before) if better == "higher" else min(now, before)
    assert passed(compare({"speed": Ratio(value=improved, better=better)}, baseline))
    halved = before / 2 if better == "higher" else before * 2
    assert not passed(compare({"speed": Ratio(value=halved, better=better)}, baseline))
