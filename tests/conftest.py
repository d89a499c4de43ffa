"""What every test shares: repeatable property tests, a clean environment, and the requirement ids in the report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from memory_folder import MEMORY

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")  # tests run side by side: more threads would only wait
"""Read when numpy is first imported. The models of a test are too small to be worth a second thread."""

if MEMORY is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))  # where pytest makes the folders of `tmp_path`

pytest_plugins = ("postgres_fixture", "embedding_provider")

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile("ci")  # `pytest --hypothesis-profile=explore` searches anew, and for longer


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """The settings of whoever runs the tests change nothing; TACIT_BENCH_DATA is where data for tests may be."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("TACIT_") and name != "TACIT_BENCH_DATA"]:
            patched.delenv(name)
        yield


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own: in memory, or on a disk for a test that is marked so."""
    if MEMORY is None or request.node.get_closest_marker("disk") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tacit-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the ids that a test proves into its report (``pytest --junit-xml``)."""
    for item in items:
        for marker in item.iter_markers("requirement"):
            item.user_properties.extend(("requirement", name) for name in marker.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logged or printed may hold half a pair of surrogates, which cannot be sent to another process."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
