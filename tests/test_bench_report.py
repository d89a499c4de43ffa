"""What every bench says about itself."""

from __future__ import annotations

import io
import json
import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tacit.bench.gate import read
from tacit.bench.report import Figure, Ratio, Report, percentile, report, show, timing, to_json
from tacit.errors import InvalidInput


@pytest.fixture
def measured(tmp_path: Path) -> Report:
    return report(
        "journal",
        folder=tmp_path,
        durations={"append": [0.001 * number for number in range(1, 101)]},
        figures={"bulk": Figure(value=1234.5, unit="episodes/s")},
        ratios={"group_commit_speedup": Ratio(value=3.0)},
    )


@pytest.mark.requirement("QU-04")
def test_percentiles_are_values_that_were_measured() -> None:
    summary = timing([0.001 * number for number in range(100, 0, -1)])
    assert (summary.n, summary.p50_ms, summary.p95_ms, summary.p99_ms) == (100, 50.0, 95.0, 99.0)
    assert timing([0.25]).p50_ms == timing([0.25]).p99_ms == 250.0


@given(
    values=st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300).map(sorted),
    share=st.integers(min_value=1, max_value=100),
)
def test_a_percentile_has_its_share_at_or_below_it_and_no_smaller_value_has(values: list[float], share: int) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) * 100 >= share * len(values)
    assert sum(value < found for value in values) * 100 < share * len(values)


def test_no_measurement_is_refused() -> None:
    with pytest.raises(InvalidInput, match="measured nothing"):
        timing([])


@pytest.mark.requirement("QU-04")
def test_the_report_names_the_machine_and_the_versions(measured: Report) -> None:
    assert measured.versions.python == platform.python_version()
    assert measured.versions.sqlite.startswith("3.")
    assert measured.versions.tacit
    assert measured.machine.cores >= 1
    assert measured.machine.memory_gib > 0
    assert measured.machine.processor
    assert platform.system() in measured.machine.system


@pytest.mark.requirement("QU-04")
def test_the_json_can_be_read_by_the_gate_and_by_anybody(measured: Report, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(to_json(measured), encoding="utf-8")
    assert read(path) == measured.ratios
    assert json.loads(path.read_text(encoding="utf-8"))["timings"]["append"]["p95_ms"] == 95.0


@pytest.mark.requirement("QU-04")
def test_the_table_shows_counts_percentiles_figures_and_ratios(measured: Report) -> None:
    page = io.StringIO()
    show(measured, Console(file=page, width=120))
    text = page.getvalue()
    for shown in ("append", "100", "50.000", "95.000", "99.000", "1,234.5 episodes/s", "group_commit_speedup: 3"):
        assert shown in text
    assert measured.machine.processor in text.replace("\n", " ")
    assert f"SQLite {measured.versions.sqlite}" in text
