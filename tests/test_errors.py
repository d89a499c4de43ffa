"""One tree of errors: stable codes, exit codes, plain data; and the command line exits with them for real causes."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

import tacit
from command_line import Ran, run_here, run_program
from tacit import errors
from tacit.errors import TacitError

PROMISED = {
    # class: (code, exit code, worth retrying)
    "TacitError": ("tacit_error", 1, False),
    "InvalidInput": ("invalid_input", 2, False),
    "LimitExceeded": ("limit_exceeded", 2, False),
    "InvalidSetting": ("invalid_setting", 2, False),
    "NotFound": ("not_found", 3, False),
    "Conflict": ("conflict", 4, False),
    "AlreadyCompleted": ("already_completed", 4, False),
    "Erased": ("erased", 11, False),
    "Expired": ("expired", 3, False),
    "PermissionDenied": ("permission_denied", 5, False),
    "ReadOnly": ("read_only", 5, False),
    "QuotaExceeded": ("quota_exceeded", 6, False),
    "RateLimitExceeded": ("rate_limit_exceeded", 6, True),
    "StoreError": ("store_error", 7, False),
    "StoreBusy": ("store_busy", 7, True),
    "StoreFull": ("store_full", 7, False),
    "StoreUnavailable": ("store_unavailable", 7, True),
    "NotAStore": ("not_a_store", 7, False),
    "SchemaMismatch": ("schema_mismatch", 7, False),
    "ForkedStore": ("forked_store", 7, False),
    "IntegrityError": ("integrity_error", 8, False),
    "ModelError": ("model_error", 9, False),
    "NotSettled": ("not_settled", 10, True),
    "Closed": ("closed", 7, False),
}
"""Programs depend on these: they may grow, and never change."""

Spoil = Callable[[Path], None]


def classes() -> dict[str, type[TacitError]]:
    found = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    return {name: kind for name, kind in found.items() if issubclass(kind, TacitError)}


def made(kind: type[TacitError]) -> TacitError:
    if kind is errors.RateLimitExceeded:
        return errors.RateLimitExceeded("too fast", retry_after=2.5)
    return kind("what was wrong", path=Path("x"), number=3)


@pytest.mark.requirement("AP-07")
def test_codes_exit_codes_and_retryability_are_as_promised() -> None:
    assert {name: (kind.code, kind.exit_code, kind.retryable) for name, kind in classes().items()} == PROMISED


@pytest.mark.requirement("AP-07")
def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in classes().values()]
    assert len(codes) == len(set(codes))


@pytest.mark.requirement("AP-07")
def test_no_error_exits_like_success_or_like_a_fault() -> None:
    assert all(0 < kind.exit_code < 64 for kind in classes().values())


@pytest.mark.requirement("AP-07")
def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for branches, name in re.findall(r"^    ([│├└─ ]*)(\w+)(?=$|  )", errors.__doc__ or "", re.MULTILINE):
        depth = len(branches) // 4
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else None
    real = {name: kind.__bases__[0].__name__ for name, kind in classes().items() if kind is not TacitError}
    assert drawn == {"TacitError": None, **real}


@pytest.mark.requirement("AP-07", "AP-01")
def test_every_error_is_a_public_name() -> None:
    assert [name for name, kind in classes().items() if getattr(tacit, name) is not kind] == []


@pytest.mark.requirement("AP-07")
@pytest.mark.parametrize("name", PROMISED)
def test_an_error_is_plain_data_with_code_context_and_cause(name: str) -> None:
    error = made(classes()[name])
    error.__cause__ = OSError("disk on fire")
    told = json.loads(json.dumps(error.as_dict()))
    assert told["code"] == PROMISED[name][0]
    assert told["retryable"] is PROMISED[name][2]
    assert told["message"] == str(error) == error.message
    assert told["cause"] == "OSError: disk on fire"
    assert set(told["context"]) == set(error.context) != set()


# ── real causes on the command line ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with tacit.open(path) as mind:
        mind.record({"task": {"description": "Buy a cup"}, "outcome": {"kind": "success"}})
    return path


@contextlib.contextmanager
def raw(store: Path) -> Iterator[dbapi2.Connection]:
    connection = dbapi2.connect(str(store), isolation_level=None)
    yield connection
    connection.close()


def damaged_view(store: Path) -> None:
    with raw(store) as connection:
        connection.execute("UPDATE episode SET description = 'Buy a plate'")


def newer_schema(store: Path) -> None:
    with raw(store) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def something_else(store: Path) -> None:
    store.write_text("Dear diary", encoding="utf-8")


def cut_short(store: Path) -> None:
    store.write_bytes(store.read_bytes()[:5_000])


def left_alone(_store: Path) -> None:
    """Nothing needs to be wrong with the store."""


MISSING = "0190b7c2-6e1f-7a52-9d3c-000000000000"


@pytest.mark.requirement("AP-07", "AP-04")
@pytest.mark.parametrize(
    ("spoil", "arguments", "name"),
    [
        (left_alone, ["episode", "list", "--as-of", "yesterday"], "InvalidInput"),
        (left_alone, ["episode", "show", "the last one"], "InvalidInput"),
        (left_alone, ["episode", "list", "--status", "done"], "InvalidInput"),
        (left_alone, ["episode", "start", "long " * 5_000], "LimitExceeded"),
        (left_alone, ["episode", "list", "--log-level", "LOUD"], "InvalidSetting"),
        (left_alone, ["episode", "show", MISSING], "NotFound"),
        (left_alone, ["episode", "list", "--mind", "nobody"], "NotFound"),
        (left_alone, ["export", __file__], "Conflict"),
        (left_alone, ["episode", "list", "--key-file", __file__], "PermissionDenied"),
        (damaged_view, ["journal", "verify"], "IntegrityError"),
        (newer_schema, ["episode", "list"], "SchemaMismatch"),
        (newer_schema, ["migrate"], "SchemaMismatch"),
        (something_else, ["episode", "list"], "NotAStore"),
        (cut_short, ["episode", "list"], "NotAStore"),
    ],
)
def test_the_command_line_exits_with_the_code_of_what_went_wrong(
    store: Path, spoil: Spoil, arguments: list[str], name: str
) -> None:
    spoil(store)
    code, exit_code, retryable = PROMISED[name]
    said = run_here("--store", str(store), *arguments)
    assert said.code == exit_code
    told = run_here("--store", str(store), *arguments, "--json")
    assert told.code == exit_code
    if name != "IntegrityError":  # there the findings are the result
        assert said.err.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in said.err
        assert (said.out, told.out) == ("", "")
        assert (told.error["code"], told.error["retryable"]) == (code, retryable)


@pytest.mark.requirement("AP-07")
def test_another_completion_of_an_episode_is_a_conflict_of_its_own(store: Path) -> None:
    at = ("--store", str(store))
    id = run_here(*at, "episode", "start", "Buy a spoon").out.strip()
    assert run_here(*at, "episode", "complete", id).code == 0
    assert run_here(*at, "episode", "complete", id).code == 0  # the same again is nothing
    other = run_here(*at, "episode", "fail", id, "out of stock", "--json")
    assert (other.code, other.error["code"]) == (4, "already_completed")


@pytest.mark.requirement("AP-07")
def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for path in (right, wrong):
        path.write_text(path.name, encoding="utf-8")
        path.chmod(0o600)
    at = ("--store", str(tmp_path / "secret.db"))
    assert run_here(*at, "--key-file", str(right), "episode", "start", "Buy a cup").code == 0
    refused = run_here(*at, "--key-file", str(wrong), "episode", "list", "--json")
    assert (refused.code, refused.error["code"]) == (5, "permission_denied")
    assert run_here(*at, "--key-file", str(right), "episode", "list").code == 0


def unwritable_folder(tmp_path: Path) -> Path:
    """A folder in which this user cannot make files; for root, who may do so anywhere, one that the kernel keeps."""
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(0o500)
    return Path("/proc") if os.access(folder, os.W_OK) else folder


@pytest.mark.requirement("AP-07")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = unwritable_folder(tmp_path) / "a.db"
    refused = run_here("--store", str(path), "episode", "start", "Buy a cup", "--json")
    assert (refused.code, refused.error["code"]) == (5, "permission_denied")
    assert str(path) in refused.error["message"]


@pytest.mark.requirement("AP-07")
def test_a_store_that_another_process_holds_locked_is_busy_and_worth_retrying(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_JOURNAL__BUSY_TIMEOUT_SECONDS", "0")
    monkeypatch.setenv("TACIT_RETRY__ATTEMPTS", "1")
    with raw(store) as connection:
        connection.execute("BEGIN IMMEDIATE")
        told = run_here("--store", str(store), "episode", "start", "Buy a cup", "--json", "--log-level", "CRITICAL")
        connection.execute("ROLLBACK")
    assert (told.code, told.error["code"], told.error["retryable"]) == (7, "store_busy", True)


@pytest.mark.requirement("AP-07")
def test_an_unexpected_exception_exits_with_70_and_shows_its_traceback_only_when_debugging(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("tacit.journal.minds.list_minds", broken)

    def listed(*options: str) -> Ran:
        return run_here("--store", str(store), "mind", "list", *options)

    assert (listed().code, "Traceback" in listed().err) == (70, False)
    assert "ZeroDivisionError: a fault" in listed().err
    assert listed("--json").error["code"] == "internal_error"
    assert "Traceback" in listed("--log-level", "DEBUG").err


@pytest.mark.requirement("AP-07", "AP-04")
def test_the_installed_program_exits_with_the_same_code(tmp_path: Path) -> None:
    ran = run_program("--store", str(tmp_path / "none.db"), "episode", "list", "--json")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert json.loads(ran.stderr)["code"] == "not_found"
