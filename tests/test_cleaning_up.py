"""When something fails, and cleaning up after it fails as well, the first error is the one that is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tacit
from tacit import aio
from tacit.cli.failure import report
from tacit.stores.leftovers import remove, removed_at_the_end
from trials import open_mind, settings

pytestmark = pytest.mark.requirement("AP-07")


def test_what_a_block_raised_is_not_hidden_by_a_store_that_cannot_be_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    def work() -> None:
        with open_mind(path) as mind:
            mind.episode("kept")
            path.unlink()
            raise ZeroDivisionError("what went wrong")

    with pytest.raises(ZeroDivisionError) as raised:
        work()
    assert "closing the store failed, too" in raised.value.__notes__[0]
    assert "was deleted" in raised.value.__notes__[0]


@pytest.mark.requirement("AP-01")
def test_the_same_holds_for_a_mind_that_is_awaited(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        async with aio.open(path, settings=settings()) as mind:
            await mind.episode("kept")
            path.unlink()
            raise ZeroDivisionError("what went wrong")

    with pytest.raises(ZeroDivisionError) as raised:
        asyncio.run(main())
    assert "closing the store failed, too" in raised.value.__notes__[0]


def test_a_store_that_cannot_be_closed_is_an_error_when_nothing_else_was_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    mind = open_mind(path)
    mind.episode("kept")
    path.unlink()
    with pytest.raises(tacit.StoreError, match="was deleted"), mind:
        pass


def test_the_command_line_tells_both(capsys: pytest.CaptureFixture[str]) -> None:
    error = tacit.StoreError("what went wrong")
    error.add_note("closing the store failed, too: it was gone")
    assert report(error, as_json=False) == 7
    assert capsys.readouterr().err == "error: what went wrong\nclosing the store failed, too: it was gone\n"


def test_files_that_are_left_behind_are_deleted_whatever_happens(tmp_path: Path) -> None:
    draft, never_made = tmp_path / "draft", tmp_path / "never made"
    with removed_at_the_end(draft, never_made):
        draft.touch()
    assert not draft.exists()
    draft.touch()
    with pytest.raises(ZeroDivisionError), removed_at_the_end(draft, never_made):
        raise ZeroDivisionError
    assert not draft.exists()
    remove(draft)


def test_a_file_that_cannot_be_deleted_is_a_note_on_the_error_and_else_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "in the way"
    folder.mkdir()
    with pytest.raises(ZeroDivisionError) as raised, removed_at_the_end(folder):
        raise ZeroDivisionError
    assert f"deleting {folder} failed, too" in raised.value.__notes__[0]
    with pytest.raises(OSError, match="in the way"), removed_at_the_end(folder):
        pass
