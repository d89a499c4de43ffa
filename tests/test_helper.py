"""A process that works for this one answers what it is asked, and never outlives its use."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tacit.errors import StoreError
from tacit.journal import helper as helpers
from tacit.journal.helper import Helper, HelperFailed, NoHelper
from tacit.stores import schema
from tacit.stores.forking import GATE
from tacit.stores.port import Store
from tacit.stores.sqlite import SqliteStore
from trials import children

pytestmark = pytest.mark.requirement("LE-04")


def answering(greeting: str, store: Store) -> Callable[[Any], Any]:
    return partial(answer, greeting, store)


def answer(greeting: str, store: Store, question: Any) -> Any:
    if question == "pid":
        return os.getpid()
    if question == "rows":
        with store.snapshot() as snapshot:
            return len(snapshot.rows(schema.revision.select()))
    if question == "write":
        with store.transaction():
            return "written"
    if question == "sleep":
        time.sleep(600)
    if question == "work":
        time.sleep(3)
    if question == "nap":
        time.sleep(1)
    if question == "half an answer":
        send_half()
    if question == "die":
        os._exit(7)
    if question == "print":
        print("what a library prints")
    if question == "environment":
        return sorted(os.environ)
    if question == "raise":
        raise StoreError("it cannot be read")
    return f"{greeting} {question}"


def send_half() -> None:
    """The first bytes of an answer of a thousand, and no more."""
    errors = Path("/proc/self/fd/2").readlink()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if each.readlink() != errors:
                os.write(int(each.name), struct.pack("!i", 1_000) + b"half")
    time.sleep(600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(tmp_path / "t.db")) as opened:
        yield opened


@pytest.fixture
def helper(store: SqliteStore) -> Iterator[Helper]:
    found = Helper.of(store, partial(answering, "hello"))
    assert found is not None
    yield found
    found.end()
    assert not children()


def test_it_answers_from_another_process_that_reads_the_same_database(helper: Helper) -> None:
    assert helper.ask("world") == "hello world"
    assert helper.ask("pid") != os.getpid()
    assert helper.ask("rows") == 1
    assert len(children()) == 1


def test_large_questions_and_answers_go_through(helper: Helper) -> None:
    assert helper.ask(20_000_000 * "é") == "hello " + 20_000_000 * "é"


def test_an_encrypted_store_is_opened_with_its_key(tmp_path: Path) -> None:
    with contextlib.closing(SqliteStore(tmp_path / "t.db", passphrase="correct horse")) as store:
        helper = Helper.of(store, partial(answering, "hello"))
        assert helper is not None
        try:
            assert helper.ask("rows") == 1
            assert "correct horse" not in " ".join(children()[0].cmdline())
        finally:
            helper.end()


def test_a_store_in_memory_has_none() -> None:
    with contextlib.closing(SqliteStore(":memory:")) as store:
        assert Helper.of(store, partial(answering, "hello")) is None


def test_it_cannot_write(helper: Helper) -> None:
    with pytest.raises(HelperFailed, match="read-only"):
        helper.ask("write")


def test_what_goes_wrong_in_it_is_told_and_it_goes_on(helper: Helper) -> None:
    process = helper.ask("pid")
    with pytest.raises(HelperFailed, match="StoreError: it cannot be read"):
        helper.ask("raise")
    assert helper.ask("pid") == process


def test_what_a_library_prints_does_not_get_into_an_answer(helper: Helper) -> None:
    assert helper.ask("print") == "hello print"


def test_a_process_that_ends_is_told_of_and_another_one_takes_its_place(helper: Helper) -> None:
    with pytest.raises(HelperFailed, match="ended with 7"):
        helper.ask("die")
    assert helper.ask("world") == "hello world"


def test_a_process_that_was_killed_between_two_questions_is_replaced(helper: Helper) -> None:
    process = helper.ask("pid")
    os.kill(process, signal.SIGKILL)
    while helper.running:
        time.sleep(0.01)
    assert helper.ask("pid") != process


def test_an_answer_that_is_no_longer_wanted_ends_it_at_once(helper: Helper) -> None:
    class GivenUp(Exception):  # noqa: N818 - as the store's closing is one
        pass

    def check() -> None:
        raise GivenUp

    started = time.monotonic()
    with pytest.raises(GivenUp):
        helper.ask("sleep", check)
    assert not children()
    assert time.monotonic() - started < 60


def test_it_ends_by_itself_when_it_is_asked_nothing(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "IDLE_SECONDS", 0.2)
    process = psutil.Process(helper.ask("pid"))
    assert process.wait(30) == 0
    assert not helper.running
    assert helper.ask("pid") != process.pid


def test_one_that_gives_no_sign_of_life_is_given_up(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    os.kill(helper.ask("pid"), signal.SIGSTOP)
    with monkeypatch.context() as patched:  # only while it is stopped: on a busy machine a start takes longer
        patched.setattr(helpers, "SILENCE_SECONDS", 1.0)
        with pytest.raises(HelperFailed, match="no sign of life"):
            helper.ask("world")
    assert not children()
    assert helper.ask("world") == "hello world"


def test_one_that_works_for_long_gives_signs_of_life(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 * helpers.SIGN_SECONDS < helpers.SILENCE_SECONDS
    monkeypatch.setattr(helpers, "SIGN_SECONDS", 0.1)
    helper.ask("pid")  # it starts, which takes longer on a busy machine
    monkeypatch.setattr(helpers, "SILENCE_SECONDS", 2.0)
    assert helper.ask("work") == "hello work"


def test_one_that_stops_in_the_middle_of_an_answer_holds_up_nobody(helper: Helper) -> None:
    class GivenUp(Exception):  # noqa: N818 - as the store's closing is one
        pass

    helper.ask("world")
    started = time.monotonic()

    def check() -> None:
        if time.monotonic() > started + 1:
            raise GivenUp

    with pytest.raises(GivenUp):
        helper.ask("half an answer", check)
    assert not children()


def test_one_that_ends_before_it_has_begun_is_none(
    helper: Helper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    false = tmp_path / "python-false"
    false.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    false.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(false))
    with pytest.raises(NoHelper, match="ended with 3"):
        helper.ask("world")


@pytest.mark.requirement("SE-05")
def test_it_imports_nothing_unasked_from_the_agents_folder(
    helper: Helper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(9)", encoding="utf-8")
    (tmp_path / "tacit.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    assert helper.ask("world") == "hello world"


@pytest.mark.requirement("SE-05")
def test_it_is_given_no_setting_of_the_stores(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_STORE__PASSPHRASE", "correct horse")
    names = helper.ask("environment")
    assert "PATH" in names
    assert not any(name.startswith("TACIT_") for name in names)


def test_where_no_process_can_be_started_it_says_so(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(NoHelper, match="no more processes"):
        helper.ask("world")


@pytest.mark.parametrize("executable", [None, "", "/usr/sbin/apache2", "/opt/agent/bin/agent"])
def test_a_program_with_an_interpreter_inside_is_not_started_again(
    executable: str | None, monkeypatch: pytest.MonkeyPatch, store: SqliteStore
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert Helper.of(store, partial(answering, "hello")) is None


@pytest.mark.parametrize("odd", [Path("/tmp"), None, 7, b"/tmp"])
def test_what_is_no_text_among_the_places_of_modules_is_passed_over(
    odd: object, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, odd])
    assert helper.ask("world") == "hello world"


def test_whoever_forks_while_it_is_started_does_not_keep_its_pipes(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []
    popen = subprocess.Popen

    def look(*args: object, **options: object) -> subprocess.Popen[bytes]:
        inside.append(bool(GATE._inside))
        return popen(*args, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", look)
    helper.ask("world")
    assert inside == [True], "a fork waits until nobody is inside the gate"


PARENT = """
import sys
sys.path.insert(0, {tests!r})
from functools import partial
from tacit.journal.helper import Helper
from tacit.stores.sqlite import SqliteStore
from test_helper import answering
helper = Helper.of(SqliteStore({path!r}), partial(answering, "hello"))
print(helper.ask("pid"), flush=True)
helper.ask("sleep")
"""


def test_it_ends_with_the_process_that_it_works_for(tmp_path: Path) -> None:
    code = PARENT.format(tests=str(Path(__file__).parent), path=str(tmp_path / "t.db"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        os.kill(parent.pid, signal.SIGKILL)
    assert_gone(worker)


def assert_gone(worker: psutil.Process) -> None:
    deadline = time.monotonic() + 30
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_one_that_was_stopped_ends_with_the_process_that_it_works_for(tmp_path: Path) -> None:
    code = PARENT.format(tests=str(Path(__file__).parent), path=str(tmp_path / "t.db"))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        worker.suspend()
        while worker.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        os.kill(parent.pid, signal.SIGKILL)
    assert_gone(worker)


STOPPED = """
import os, subprocess, sys
sys.path.insert(0, {tests!r})
from functools import partial
from tacit.journal import helper as helpers
from tacit.stores.sqlite import SqliteStore
from test_helper import answering
helper = helpers.Helper.of(SqliteStore({path!r}), partial(answering, "hello"))
helper.ask("world")
helpers.SILENCE_SECONDS = 3.0
me = os.getpid()
with subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -STOP {{me}}; sleep 5; kill -CONT {{me}}"]):
    print(helper.ask("nap"))
helper.end()
"""


def test_an_agent_that_was_stopped_still_hears_the_answer(tmp_path: Path) -> None:
    code = STOPPED.format(tests=str(Path(__file__).parent), path=str(tmp_path / "t.db"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "hello nap\n", done.stderr


LIMITED = """
import resource, sys
sys.path.insert(0, {tests!r})
from functools import partial
from tacit.journal.helper import Helper, NoHelper
from tacit.stores.sqlite import SqliteStore
from test_helper import answering
helper = Helper.of(SqliteStore({path!r}), partial(answering, "hello"))
def free():
    found = []
    try:
        while True:
            found.append(open("/dev/null"))
    except OSError:
        return len(found)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
room = free()
taken = [open("/dev/null") for _ in range(room)]
refused = 0
while taken:
    try:
        assert helper.ask("world") == "hello world"
        break
    except NoHelper:
        refused += 1
        assert not helper.running
    taken.pop()
helper.end()
taken.clear()
print(refused, room - free())
"""


def test_where_no_more_files_can_be_opened_it_says_so_until_they_can(tmp_path: Path) -> None:
    code = LIMITED.format(tests=str(Path(__file__).parent), path=str(tmp_path / "t.db"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    refused, lost = map(int, done.stdout.split())
    assert refused >= 6, "two pipes, one for errors, and two more"
    assert lost == 0, "every file that was opened is closed"


def test_one_that_may_just_be_ending_is_not_asked(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    process = helper.ask("pid")
    monkeypatch.setattr(helpers, "IDLE_SECONDS", helpers._ENDING_SECONDS)
    assert helper.ask("pid") != process


def test_an_answer_that_there_is_no_memory_for_is_a_failure_at_once(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(helpers.Connection, "recv", no_memory)
        started = time.monotonic()
        with pytest.raises(NoHelper):
            helper.ask("world")
        assert time.monotonic() - started < helpers.SILENCE_SECONDS / 2
    assert helper.ask("world") == "hello world"


@pytest.mark.parametrize("fails_at", [1, 2])
def test_where_others_open_the_last_files_while_it_starts_it_says_so(
    fails_at: int, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def dup(number: int) -> int:
        calls.append(number)
        if len(calls) == fails_at:
            raise OSError(errno.EMFILE, "too many open files")
        return os_dup(number)

    os_dup = os.dup
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup", dup)
        with pytest.raises(NoHelper, match="too many open files"):
            helper.ask("world")
    assert not children()
    assert helper.ask("world") == "hello world"
