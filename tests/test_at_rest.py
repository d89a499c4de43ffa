"""What lies on the disk: no secret that was masked, and of an encrypted store nothing at all without its passphrase."""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2 as driver

import tacit
from tacit.ops.backup import verify_backup
from tacit.ops.logging import configure, unconfigure
from trials import assert_sound, open_mind, settings

ALPHABET = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z"
# put together from parts, so that nobody's scanner takes this file for a leak
SECRETS = {
    "github": "gh" + "p_" + (ALPHABET * 2)[:36],
    "aws": "AK" + "IA" + "ABCD2345EFGH6789",
    "openai": "sk-" + "proj-" + (ALPHABET * 2)[:60],
    "slack": "xox" + "b-123456789012-1234567890123-" + ALPHABET[:24],
    "password": "correct-horse-battery-staple-9",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE" + ALPHABET + "\n-----END RSA " + "PRIVATE KEY-----",
}
MARKER = "zyzzyva-the-marker-93071"


def spoken(kind: str) -> str:
    """A sentence in which the secret stands."""
    secret = SECRETS[kind]
    return f"export DB_PASSWORD={secret} && run" if kind == "password" else f"the key is {secret} (keep it)"


def core(kind: str) -> bytes:
    """A part of the secret that no mark and no other text holds."""
    return (SECRETS[kind].split("\n")[1] if "\n" in SECRETS[kind] else SECRETS[kind]).encode()


def files_with(folder: Path, needle: bytes) -> list[str]:
    """Every file below the folder in which the bytes stand."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if needle in path.read_bytes()]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """The file that Tacit logs everything to."""
    path = tmp_path / "tacit.log"
    configure(settings(log__level="DEBUG", log__file=str(path)).log)
    yield path
    unconfigure()


def live_with(mind: tacit.Mind, text: str, password: str) -> str:
    """The text at every place of an episode; its id."""
    episode = mind.episode(f"use it: {text}", tags=["t"], metadata={"note": [text]}, source_id=text)
    episode.step(tool="shell", action=text, thought=text, parameters={"command": text, "deep": [{"x": text}]})
    episode.step(tool="login", parameters={"password": password}, observation=text, success=True)
    episode.step(tool="json", observation={"out": text}, error=text, status="error")
    episode.step(tool="text", observation=json.dumps({"quoted": text}))
    mind.handoff(episode.id, note=text, state={"text": text})
    episode.complete("failure", reason=text, details={"d": text}, artifacts=[{"name": "n", "content": text}])
    mind.update(episode.id, description=f"used: {text}")
    return episode.id


def transcript_with(path: Path, text: str) -> None:
    """A recorded chat of a foreign format, with the text in a tool call and in its answer."""
    call = {"id": "1", "type": "function", "function": {"name": "shell", "arguments": json.dumps({"command": text})}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": f"please: {text}"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": text},
    ]
    path.write_text(json.dumps([{"messages": messages}]), encoding="utf-8")


@pytest.mark.requirement("JR-18")
@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_secret_is_in_no_file_whichever_way_it_came(
    tmp_path: Path, log_file: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    text, folder, inbox = spoken(kind), tmp_path / "store", tmp_path / "inbox"
    folder.mkdir()
    inbox.mkdir()
    transcript_with(inbox / "chat.json", text)
    with open_mind(folder / "agent.db") as mind:
        id = live_with(mind, text, SECRETS[kind])
        with pytest.raises(RuntimeError), mind.episode("an exception"):
            raise RuntimeError(text)
        mind.record({"task": {"description": text}, "steps": [{"tool": "t", "observation": text}]})
        report = mind.ingest(inbox / "chat.json", format="openai-messages")
        assert (report.imported, report.rejected) == (1, [])
        assert report.masked >= 2
        mind.export(folder / "export.jsonl")
        mind.settle()
        while_open = files_with(tmp_path / "store", core(kind))
        mind.backup(folder / "copy.db")
        assert "[masked: " in str(mind.get(id))
    assert while_open == []
    assert files_with(folder, core(kind)) == []
    assert core(kind) not in log_file.read_bytes()
    assert files_with(folder, b"[masked: "), "the marks are there instead"


@pytest.mark.requirement("JR-18")
def test_how_many_secrets_were_masked_is_logged_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tacit")
    path = tmp_path / "traces.jsonl"
    secrets = [spoken("github"), spoken("aws")]
    steps = [{"tool": "t", "observation": secret} for secret in secrets]
    path.write_text(json.dumps({"task": {"description": "d"}, "steps": steps}) + "\n", encoding="utf-8")
    with open_mind(tmp_path / "agent.db") as mind:
        assert mind.ingest(path).masked == 2
        assert mind.ingest(path).masked == 0, "nothing was imported, so nothing was masked"
        caplog.clear()
        episode = mind.episode("nothing to hide")
        assert [record for record in caplog.records if hasattr(record, "masked")] == []
        episode.step(observation=" ".join(secrets))
        assert [record.masked for record in caplog.records if hasattr(record, "masked")] == [2]


@pytest.mark.requirement("JR-18")
def test_only_the_explicit_setting_turns_masking_off(tmp_path: Path) -> None:
    text = spoken("github")
    with open_mind(tmp_path / "agent.db", masking__enabled=False) as mind:
        id = mind.record({"task": {"description": "d"}, "steps": [{"observation": text}]})
        assert mind.get(id).steps[0].observation == text
    assert files_with(tmp_path, core("github"))


# ── encryption ───────────────────────────────────────────────────────────────────────────────────────────────────────

PASSPHRASE = "open sesame, twice"


def fill(mind: tacit.Mind) -> str:
    id = live_with(mind, MARKER, MARKER)
    mind.settle()
    return id


@pytest.mark.requirement("SE-05")
def test_nothing_of_an_encrypted_store_can_be_read_from_any_file_while_it_is_open_or_closed(
    tmp_path: Path, log_file: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    path = folder / "agent.db"
    with open_mind(path, "private-mind", passphrase=PASSPHRASE) as mind:
        id = fill(mind)
        stop, seen = threading.Event(), set[str]()
        watcher = threading.Thread(target=lambda: watch(folder, stop, seen))
        watcher.start()
        mind.backup(folder / "copy.db")
        mind.backup(folder)
        stop.set()
        watcher.join()
        open_files = sorted(found.name for found in folder.iterdir())
        assert "agent.db-wal" in open_files
        assert seen == set()
        for needle in (MARKER.encode(), b"private-mind", b"CREATE TABLE", PASSPHRASE.encode()):
            assert files_with(folder, needle) == []
    for needle in (MARKER.encode(), b"private-mind", b"CREATE TABLE", PASSPHRASE.encode()):
        assert files_with(folder, needle) == []
    assert MARKER.encode() not in log_file.read_bytes()
    assert verify_backup(folder / "copy.db", PASSPHRASE).ok
    for file in ("agent.db", "copy.db"):
        with open_mind(folder / file, "private-mind", passphrase=PASSPHRASE) as mind:
            assert MARKER in mind.get(id).task.description
            assert mind.statistics().totals.episodes == 1
    assert_sound(path, PASSPHRASE)


def watch(folder: Path, stop: threading.Event, seen: set[str]) -> None:
    """Look into every file again and again, as a thief of temporary files would."""
    while not stop.is_set():
        for path in list(folder.iterdir()):
            try:
                if path.is_file() and MARKER.encode() in path.read_bytes():
                    seen.add(path.name)
            except FileNotFoundError:
                continue


@pytest.mark.requirement("SE-05")
def test_a_plain_store_shows_the_marker_so_the_search_would_find_it(tmp_path: Path) -> None:
    with open_mind(tmp_path / "agent.db") as mind:
        fill(mind)
    assert files_with(tmp_path, MARKER.encode())


@pytest.mark.requirement("SE-05")
@pytest.mark.parametrize("wrong", ["", "open sesame", PASSPHRASE + " ", "☃"])
def test_a_wrong_passphrase_is_refused_and_changes_nothing(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "agent.db"
    with open_mind(path, passphrase=PASSPHRASE) as mind:
        fill(mind)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(tacit.PermissionDenied, match="passphrase") as caught:
        open_mind(path, passphrase=wrong)
    assert wrong not in str(caught.value) or not wrong
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.requirement("SE-05")
def test_an_encrypted_store_without_a_passphrase_and_a_plain_one_with_one_are_refused(tmp_path: Path) -> None:
    open_mind(tmp_path / "encrypted.db", passphrase=PASSPHRASE).close()
    open_mind(tmp_path / "plain.db").close()
    with pytest.raises(tacit.NotAStore, match="passphrase"):
        open_mind(tmp_path / "encrypted.db")
    with pytest.raises(tacit.PermissionDenied, match="not encrypted"):
        open_mind(tmp_path / "plain.db", passphrase=PASSPHRASE)


@pytest.mark.requirement("SE-05")
def test_an_empty_passphrase_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(tacit.InvalidInput, match="empty passphrase"):
        open_mind(tmp_path / "agent.db", passphrase="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("SE-05")
@pytest.mark.parametrize("name", ["argument", "setting", "passphrase setting"])
def test_the_key_may_lie_in_a_file_or_in_the_settings(tmp_path: Path, name: str) -> None:
    path, key = tmp_path / "agent.db", tmp_path / "key"
    key.write_text(PASSPHRASE + "\n", encoding="utf-8")
    key.chmod(0o600)
    ways: dict[str, Callable[[], tacit.Mind]] = {
        "argument": lambda: tacit.open(path, key_file=key, settings=settings()),
        "setting": lambda: open_mind(path, encryption__key_file=str(key)),
        "passphrase setting": lambda: open_mind(path, encryption__passphrase=PASSPHRASE),
    }
    with ways[name]() as mind:
        id = fill(mind)
    with open_mind(path, passphrase=PASSPHRASE) as mind:
        assert MARKER in mind.get(id).task.description
    assert files_with(tmp_path, MARKER.encode()) == []


@pytest.mark.requirement("SE-05")
def test_the_file_opens_with_the_usual_tools_for_its_format(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with open_mind(path, passphrase=PASSPHRASE) as mind:
        id = fill(mind)
    connection = driver.connect(str(path))
    connection.execute(f"PRAGMA key='{PASSPHRASE}'")
    (count,) = connection.execute("SELECT count(*) FROM episode WHERE until IS NULL").fetchone()
    connection.close()
    assert (count, len(id)) == (1, 36)


@pytest.mark.requirement("SE-05")
def test_two_stores_with_one_passphrase_share_no_page(tmp_path: Path) -> None:
    """Each file has a salt of its own, so equal contents do not look equal."""
    for name in ("one.db", "two.db"):
        open_mind(tmp_path / name, passphrase=PASSPHRASE).close()
    one, two = (set(re.findall(rb"(?s).{4096}", (tmp_path / name).read_bytes())) for name in ("one.db", "two.db"))
    assert one.isdisjoint(two)


@pytest.mark.requirement("SE-05", "JR-02")
def test_an_encrypted_store_that_was_cut_off_in_use_is_recovered_with_its_passphrase(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with open_mind(tmp_path / "agent.db", passphrase=PASSPHRASE, consumers__enabled=False) as mind:
        id = live_with(mind, MARKER, MARKER)
        for file in list(tmp_path.glob("agent.db*")):
            shutil.copy(file, tmp_path / "copy")
    assert files_with(tmp_path / "copy", MARKER.encode()) == []
    with open_mind(tmp_path / "copy" / "agent.db", passphrase=PASSPHRASE) as mind:
        assert mind.get(id).status == "failure"
