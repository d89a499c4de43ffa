"""Every Python example in the documents runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^```python\n(.*?)^```(?:\n\nIt prints\n\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
_CHANCES = re.compile(r"\d+ %|\(\d+ … \d+\)")
"""How long learning took before it was waited for can change the last digit of a chance."""
EXAMPLES = [
    pytest.param(found[1], found[2], id=f"{document.stem}-{number}")
    for document in DOCUMENTS
    for number, found in enumerate(_BLOCK.finditer(document.read_text(encoding="utf-8")), start=1)
]


@pytest.mark.requirement("AP-01")
@pytest.mark.parametrize(("example", "printed"), EXAMPLES)
def test_the_example_runs_as_it_stands_and_prints_what_stands_under_it(
    example: str, printed: str | None, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "agent.db").exists()
    if printed is not None:
        assert _CHANCES.sub("", ran.stdout) == _CHANCES.sub("", printed)


@pytest.mark.requirement("QU-03")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    broken = [link for link in links if not (document.parent / link).exists()]
    assert not broken


def test_there_are_examples_for_both_ways_of_calling() -> None:
    texts = [str(example.values[0]) for example in EXAMPLES]
    assert any("async with" in text for text in texts)
    assert any("with tacit.open(" in text for text in texts)
