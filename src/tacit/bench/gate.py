"""The regression gate: ratios of a bench run against the baseline kept in the repository.

A ratio that is worse than its baseline by 10 % warns; by 25 %, or missing, fails. Exit codes: 0 passed (perhaps with
warnings), 1 regressed, 2 the files cannot be compared.

    python -m tacit.bench.gate build/bench/*.json --baseline bench/baseline.json
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from rich.console import Console
from rich.table import Table

from tacit.bench.report import Ratio
from tacit.errors import InvalidInput, NotFound, TacitError

WARN_AT = 0.10
FAIL_AT = 0.25

Verdict: TypeAlias = Literal["ok", "new", "warn", "fail", "missing"]
_COLOURS: dict[Verdict, str] = {"ok": "green", "new": "cyan", "warn": "yellow", "fail": "red", "missing": "red"}


class Ratios(msgspec.Struct, frozen=True):
    """The part of a result, or of the baseline, that the gate reads."""

    ratios: dict[str, Ratio]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One ratio now and in the baseline. ``regression`` is the share by which it got worse; negative is better."""

    name: str
    verdict: Verdict
    baseline: float | None = None
    measured: float | None = None
    regression: float | None = None


def read(path: Path) -> dict[str, Ratio]:
    """The ratios in a file. Raises NotFound, or InvalidInput if they cannot be compared with others."""
    try:
        ratios = msgspec.json.decode(path.read_bytes(), type=Ratios).ratios
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; run the bench first", path=str(path)) from error
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{path} is not a bench result: {error}", path=str(path)) from error
    for name, ratio in ratios.items():
        if not (math.isfinite(ratio.value) and ratio.value > 0):
            raise InvalidInput(f"{name} in {path} is {ratio.value}; a ratio is above 0", path=str(path), ratio=name)
    return ratios


def read_all(paths: Sequence[Path]) -> dict[str, Ratio]:
    """The ratios of several results together. Raises InvalidInput if two of them use the same name."""
    together: dict[str, Ratio] = {}
    for path in paths:
        ratios = read(path)
        if twice := sorted(together.keys() & ratios.keys()):
            raise InvalidInput(f"{twice[0]} in {path} was measured before; rename it", path=str(path), ratio=twice[0])
        together |= ratios
    return together


def compare(measured: dict[str, Ratio], baseline: dict[str, Ratio]) -> list[Comparison]:
    """Every ratio of either side, by name."""
    return [_compare(name, measured.get(name), baseline.get(name)) for name in sorted({*measured, *baseline})]


def _compare(name: str, now: Ratio | None, before: Ratio | None) -> Comparison:
    if now is None:
        return Comparison(name=name, verdict="missing", baseline=before.value if before else None)
    if before is None:
        return Comparison(name=name, verdict="new", measured=now.value)
    if now.better != before.better:
        raise InvalidInput(
            f"{name}: {now.better} is better in the result, {before.better} in the baseline; make them agree",
            ratio=name,
        )
    worse = before.value - now.value if now.better == "higher" else now.value - before.value
    regression = round(worse / before.value, 9)  # so that 1.0 → 0.9 is exactly 10 %
    return Comparison(
        name=name, verdict=_verdict(regression), baseline=before.value, measured=now.value, regression=regression
    )


def _verdict(regression: float) -> Verdict:
    if regression >= FAIL_AT:
        return "fail"
    return "warn" if regression >= WARN_AT else "ok"


def passed(comparisons: Sequence[Comparison]) -> bool:
    """Whether nothing failed and nothing is missing."""
    return all(comparison.verdict not in {"fail", "missing"} for comparison in comparisons)


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print the comparison as a table, and in one line what it means."""
    table = Table("ratio")
    for heading in ("baseline", "measured", "worse by", "verdict"):
        table.add_column(heading, justify="right")
    for one in comparisons:
        verdict = f"[{_COLOURS[one.verdict]}]{one.verdict}[/]"
        table.add_row(one.name, _number(one.baseline), _number(one.measured), _share(one.regression), verdict)
    console.print(table)
    warned = sum(one.verdict == "warn" for one in comparisons)
    console.print(f"gate {'passed' if passed(comparisons) else 'failed'}: {len(comparisons)} ratios, {warned} warnings")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _share(regression: float | None) -> str:
    return "-" if regression is None else f"{regression:+.1%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two files and return the exit code."""
    parser = argparse.ArgumentParser(prog="tacit.bench.gate", description="Hold bench results against the baseline.")
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--baseline", type=Path, default=Path("bench/baseline.json"))
    given = parser.parse_args(arguments)
    try:
        comparisons = compare(read_all(given.results), read(given.baseline))
    except TacitError as error:
        Console(stderr=True).print(f"{error.code}: {error.message}", markup=False, soft_wrap=True)
        return 2
    show(comparisons, Console())
    return 0 if passed(comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
