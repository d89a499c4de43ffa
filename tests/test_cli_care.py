"""The care of a store by the command line: journal, backups, settings, migration, doctor, benches."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from sqlcipher3 import dbapi2

from command_line import CommandLine, at_a_terminal, run_here, write_traces
from tacit.ids import parse_id
from tacit.journal import merkle
from tacit.journal.mark import Checkpoint
from tacit.journal.node import is_signed_by
from tacit.stores.migrate import MigrationReport
from trials import copy_store


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with six episodes."""
    folder = tmp_path_factory.mktemp("imported")
    line = CommandLine(folder / "a.db")
    assert line("import", str(write_traces(folder / "traces.jsonl", good=6))).code == 0
    assert line.json("stats")["lag"] == {}  # so that the consumers have come to the end
    return line.store


@pytest.fixture
def cli(imported: Path, tmp_path: Path) -> CommandLine:
    copy_store(imported, tmp_path / "a.db")
    return CommandLine(tmp_path / "a.db")


def change(store: Path, statement: str) -> None:
    connection = dbapi2.connect(str(store))
    connection.execute(statement)
    connection.commit()
    connection.close()


# ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("JR-01", "AP-04")
def test_a_sound_store_verifies_and_is_not_changed_by_it(cli: CommandLine) -> None:
    before = cli.store.read_bytes()
    told = cli.json("journal", "verify")
    assert told["ok"] is True
    assert (told["journal"]["events"], told["journal"]["anchored"]) == (7, 1)
    assert (told["database"], told["views"], told["views_skipped"]) == ([], [], "")
    assert cli.store.read_bytes() == before
    assert cli("journal", "verify").out.endswith("The views are what the journal says.\nok\n")


@pytest.mark.requirement("JR-01", "AP-09")
@pytest.mark.parametrize("command", [["journal", "verify"], ["journal", "replay"], ["doctor"]])
@pytest.mark.parametrize("locked", [False, True])
def test_what_only_looks_leaves_the_folder_as_it_was(tmp_path: Path, command: list[str], locked: bool) -> None:
    (tmp_path / "key").write_text("correct horse\n", encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    options = ["--store", str(tmp_path / "a.db"), *(["--key-file", str(tmp_path / "key")] if locked else [])]
    assert run_here(*options, "import", str(write_traces(tmp_path / "traces.jsonl")), "--wait", "0").code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run_here(*options, *command).code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.requirement("JR-01", "JR-12")
def test_looking_at_a_store_that_was_not_closed_does_not_fold_its_log_into_the_file(cli: CommandLine) -> None:
    log = cli.store.with_name("a.db-wal")
    with contextlib.closing(dbapi2.connect(str(cli.store))) as unclosed:
        unclosed.execute("UPDATE consumer SET expires_at = expires_at + 1")
        unclosed.commit()
        before = (cli.store.read_bytes(), log.read_bytes())
        assert before[1]
        copies = [cli.store.with_name("b.db"), cli.store.with_name("b.db-wal")]  # as after a crash
        for path, content in zip(copies, before, strict=True):
            path.write_bytes(content)
    other = CommandLine(copies[0])
    assert other("journal", "verify", "--chain-only").code == 0
    assert tuple(path.read_bytes() for path in copies) == before


@pytest.mark.requirement("JR-01")
def test_a_changed_payload_is_found_and_its_event_is_named(cli: CommandLine) -> None:
    event = json.loads(cli("journal", "tail", "--json").out.splitlines()[3])
    change(
        cli.store,
        "UPDATE payload SET body = CAST(replace(CAST(body AS TEXT), 'Buy', 'Bug') AS BLOB) "
        f"WHERE position = {event['position']}",
    )
    told = cli("journal", "verify", "--json")
    assert told.code == 8
    assert told.json["journal"]["problems"][0]["id"] == event["id"]
    said = cli("journal", "verify")
    assert (said.code, said.out.splitlines()[-1]) == (8, "NOT OK")
    assert "agree" not in said.out
    assert event["id"] in said.out
    assert "not compared" in said.out


@pytest.mark.requirement("JR-01")
def test_a_tail_that_was_cut_off_is_found_by_the_anchor(cli: CommandLine) -> None:
    for table in ("event", "payload"):
        change(cli.store, f"DELETE FROM {table} WHERE position > 4")
    for view, column in (("episode", "since"), ("step", "position"), ("contribution", "position")):
        change(cli.store, f"DELETE FROM {view} WHERE {column} > 4")
    change(cli.store, "DELETE FROM checkpoint")
    said = cli("journal", "verify", "--chain-only")
    assert said.code == 8
    assert "anchor" in said.out


@pytest.mark.requirement("JR-01")
def test_a_changed_view_is_found_by_its_digest_unless_only_the_chain_is_asked_for(cli: CommandLine) -> None:
    change(cli.store, "UPDATE statistic SET count = count + 1")
    told = cli("journal", "verify", "--json")
    assert (told.code, told.json["views"]) == (8, ["statistic"])
    assert "problem  view: statistic" in cli("journal", "verify").out
    assert cli("journal", "verify", "--chain-only").code == 0


@pytest.mark.requirement("JR-01")
def test_an_anchor_kept_elsewhere_can_be_named(cli: CommandLine, tmp_path: Path) -> None:
    anchor = cli.store.with_name(cli.store.name + ".anchor").rename(tmp_path / "kept")
    assert cli.json("journal", "verify")["journal"]["anchored"] == 0
    assert cli.json("journal", "verify", "--anchor", str(anchor))["journal"]["anchored"] == 1


@pytest.mark.requirement("JR-03", "AP-04")
def test_views_are_rebuilt_to_the_same_digests_twice(cli: CommandLine) -> None:
    told = cli.json("journal", "replay")
    assert told["ok"] is True
    assert told["live"] == told["rebuilt"] == told["again"]
    assert {"episode", "step", "statistic", "contribution"} <= set(told["live"])
    assert len(set(told["live"].values())) == len(told["live"])


@pytest.mark.requirement("JR-03")
def test_a_view_that_differs_from_its_rebuild_is_named(cli: CommandLine) -> None:
    change(cli.store, "UPDATE episode SET description = 'Buy nothing'")
    told = cli("journal", "replay", "--json")
    assert (told.code, told.json["differing"]) == (8, ["episode"])
    assert told.json["live"]["episode"] != told.json["rebuilt"]["episode"] == told.json["again"]["episode"]
    assert [line for line in cli("journal", "replay").out.splitlines() if line.endswith("differs")]


@pytest.mark.requirement("AP-04", "JR-01")
def test_the_tail_shows_the_newest_events_oldest_first_and_can_be_narrowed(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    cli("episode", "step", id, "--tool", "search")
    newest = [json.loads(line) for line in cli("journal", "tail", "-n", "2", "--json").out.splitlines()]
    assert [line["kind"] for line in newest] == ["episode.started", "step.logged"]
    assert (newest[0]["id"], newest[1]["causation"]) == (id, id)
    only = cli("journal", "tail", "--kind", "mind.created").out.splitlines()
    assert len(only) == 1
    assert "mind.created" in only[0]


@pytest.mark.requirement("JR-01", "AP-04")
def test_an_event_is_proved_to_stand_under_a_signed_checkpoint(cli: CommandLine) -> None:
    event = json.loads(cli("journal", "tail", "--json").out.splitlines()[4])
    proof = cli.json("journal", "prove", event["id"])
    signed, header = proof["checkpoint"], proof["event"]
    root, origin = bytes.fromhex(signed["root"]), bytes.fromhex(header["origin"])
    path = [bytes.fromhex(step) for step in proof["path"]]
    assert merkle.verify_inclusion(bytes.fromhex(header["hash"]), proof["index"], proof["size"], path, root)
    checkpoint = Checkpoint(
        mind=parse_id(header["mind"]),
        origin=origin,
        last=signed["last"],
        first=signed["first"],
        head=bytes.fromhex(signed["head"]),
        root=root,
        clock=int(signed["clock"]),
        signed_at=int(signed["signed_at"]),
        signature=bytes.fromhex(signed["signature"]),
    )
    assert is_signed_by(origin, checkpoint.message(), checkpoint.signature)
    assert cli("journal", "prove", "0190b7c2-6e1f-7a52-9d3c-000000000000").code == 3


@pytest.mark.requirement("JR-01")
def test_everything_is_signed_when_a_command_has_ended(cli: CommandLine) -> None:
    assert cli.json("journal", "checkpoint") == []


# ── backups ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-07", "AP-04")
def test_a_backup_is_made_listed_verified_and_restored(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    made = cli.json("backup", "create", f"{folder}/")
    assert (made["events"], made["path"]) == (7, str(next(folder.glob("*.backup"))))
    assert [each["path"] for each in cli.json("backup", "list", str(folder))] == [made["path"]]
    assert cli.json("backup", "verify", made["path"])["ok"] is True
    other = CommandLine(tmp_path / "b.db")
    assert run_here("restore", made["path"], "--to", str(other.store)).code == 0
    assert other("episode", "list").out == cli("episode", "list").out
    assert other.json("journal", "verify")["ok"] is True
    before, after = (line.json("journal", "replay")["live"] for line in (cli, other))
    assert before == after


@pytest.mark.requirement("OP-07")
def test_a_restore_replaces_a_store_only_when_told_to_and_keeps_it(cli: CommandLine, tmp_path: Path) -> None:
    backup = cli("backup", "create", f"{tmp_path / 'backups'}/").out.strip()
    cli("episode", "start", "Came later")
    refused = run_here("restore", backup, "--to", str(cli.store), "--json")
    assert (refused.code, refused.error["code"]) == (4, "conflict")
    assert len(cli.json("episode", "list")) == 7
    said = run_here("restore", backup, "--to", str(cli.store), "--force")
    assert said.code == 0
    assert "1 event came after this backup" in said.out
    assert len(cli.json("episode", "list")) == 6
    kept = next(line.rpartition(" at ")[2] for line in said.out.splitlines() if "kept at" in line)
    assert len(CommandLine(Path(kept)).json("episode", "list")) == 7


@pytest.mark.requirement("OP-07")
def test_a_damaged_backup_is_found_out_and_not_restored(cli: CommandLine, tmp_path: Path) -> None:
    backup = Path(cli("backup", "create", f"{tmp_path / 'backups'}/").out.strip())
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    assert cli("backup", "verify", str(backup)).code == 8
    assert run_here("restore", str(backup), "--to", str(tmp_path / "b.db"), "--json").error["code"] == "integrity_error"
    assert not (tmp_path / "b.db").exists()


@pytest.mark.requirement("OP-07", "SE-05")
def test_the_backup_of_an_encrypted_store_needs_the_same_passphrase(tmp_path: Path) -> None:
    key, folder = tmp_path / "key", tmp_path / "backups"
    key.write_text("a passphrase", encoding="utf-8")
    key.chmod(0o600)
    locked = ("--store", str(tmp_path / "a.db"), "--key-file", str(key))
    run_here(*locked, "episode", "start", "Whisper marmalade")
    backup = run_here(*locked, "backup", "create", f"{folder}/").out.strip()
    assert b"marmalade" not in Path(backup).read_bytes()
    assert run_here("backup", "verify", backup).code != 0
    assert run_here(*locked, "backup", "verify", backup).code == 0
    assert run_here("--key-file", str(key), "restore", backup, "--to", str(tmp_path / "b.db")).code == 0
    unlocked = run_here("--store", str(tmp_path / "b.db"), "--key-file", str(key), "episode", "list", "--json")
    assert [each["description"] for each in unlocked.json] == ["Whisper marmalade"]


# ── settings and schema ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("OP-01", "AP-04")
def test_settings_are_shown_with_value_and_source_and_secrets_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tacit.yaml"
    file.write_text(yaml.safe_dump({"tenant": "acme", "limits": {"name_bytes": 100}}), encoding="utf-8")
    monkeypatch.setenv("TACIT_MIND", "support")
    monkeypatch.setenv("TACIT_ENCRYPTION__PASSPHRASE", "marmalade")
    told = run_here("--config", str(file), "--store", "x.db", "config", "show", "--json").json
    given = ("store", "mind", "tenant", "limits.name_bytes")
    assert {key: (told[key]["value"], told[key]["source"]) for key in given} == {
        "store": ("x.db", "flag"),
        "mind": ("support", "environment TACIT_MIND"),
        "tenant": ("acme", f"file {file}"),
        "limits.name_bytes": (100, f"file {file}"),
    }
    said = run_here("config", "show").out
    assert "marmalade" not in said + json.dumps(told)
    assert "********" in said
    assert "log." not in run_here("config", "show", "limits").out
    assert run_here("config", "show", "colour").code == 3


@pytest.mark.requirement("OP-01")
def test_a_wrong_setting_exits_with_2_and_an_unknown_variable_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_MINT", "support")
    assert "unknown environment variable TACIT_MINT" in run_here("config", "check").err
    assert run_here("config", "check", "--json").json["warnings"]
    monkeypatch.setenv("TACIT_LOG__FILES", "many")
    refused = run_here("config", "check", "--json")
    assert (refused.code, refused.error["context"]["key"]) == (2, "log.files")
    monkeypatch.delenv("TACIT_LOG__FILES")
    monkeypatch.setenv("TACIT_MIND", "x" * 101)
    refused = run_here("config", "check", "--json")
    assert (refused.code, refused.error["context"]["key"]) == (2, "mind")


@pytest.mark.requirement("OP-01")
def test_the_configuration_page_is_printed_from_the_definitions() -> None:
    page = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert run_here("config", "docs").out == page


@pytest.mark.requirement("OP-02", "AP-04")
def test_log_lines_go_to_standard_error_when_they_are_asked_for(cli: CommandLine) -> None:
    nobodys = "0190b7c2-6e1f-7a52-9d3c-000000000000"
    assert cli("episode", "show", nobodys).err.count("\n") == 1
    said = cli("episode", "show", nobodys, "--log-level", "DEBUG")
    assert said.err.count("\n") > 1
    assert "episode.get" in said.err


@pytest.mark.requirement("SE-05", "AP-04")
def test_a_passphrase_can_be_typed(tmp_path: Path) -> None:
    locked = ("--store", str(tmp_path / "a.db"), "--ask-passphrase")
    code, sent = at_a_terminal(*locked, "episode", "start", "Whisper", typed="marmalade")
    assert (code, "marmalade" in sent) == (0, False)
    assert b"Whisper" not in (tmp_path / "a.db").read_bytes()
    assert "Whisper" in at_a_terminal(*locked, "episode", "list", typed="marmalade")[1]
    assert at_a_terminal(*locked, "episode", "list", typed="jam")[0] == 5


@pytest.mark.requirement("JR-08", "AP-04")
def test_migrating_a_store_of_this_schema_changes_nothing_and_can_be_repeated(cli: CommandLine) -> None:
    told = [cli.json("migrate", *option) for option in ([], [], ["--dry-run"])]
    assert [(each["steps"], each["done"]) for each in told] == [([], True)] * 3
    assert "nothing to do" in cli("migrate").out


@pytest.mark.requirement("JR-08", "AP-04")
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_a_migration_does_or_would_do_is_told_step_by_step(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    report = MigrationReport(
        found="0001", target="0002", steps=["0002: add colours"], sql=["ALTER TABLE mind"], done=not dry_run
    )
    asked = []
    monkeypatch.setattr("tacit.stores.migrate.migrate", lambda *given: asked.append(given) or report)
    said = cli("migrate", *(["--dry-run"] if dry_run else [])).out
    assert asked == [(str(cli.store), None, dry_run)]
    assert said.startswith("would migrate from" if dry_run else "migrated from")
    assert "0002: add colours" in said
    assert ("ALTER TABLE mind;" in said) is dry_run


# ── doctor and benches ───────────────────────────────────────────────────────────────────────────────────────────────


def findings(line: CommandLine, *options: str) -> dict[str, tuple[str, str]]:
    ran = line("doctor", "--json", *options)
    assert ran.json["ok"] is (ran.code == 0)
    return {each["about"]: (each["state"], each["detail"]) for each in ran.json["findings"]}


@pytest.mark.requirement("AP-09", "AP-04")
def test_the_doctor_looks_at_machine_and_store(cli: CommandLine) -> None:
    cli.store.chmod(0o600)
    found = findings(cli)
    assert {about for about, (state, _) in found.items() if state == "problem"} == set()
    assert found["permissions"] == ("ok", "0600")
    assert found["journal"][1].startswith("7 events of 1 mind, the newest of 20")
    assert "fsync" in found["writing"][1]
    assert "FTS5" in found["full text"][1]
    assert "SQLCipher" in found["sqlite"][1]
    assert "everything is signed" in found["signatures"][1]
    assert "up to date" in found["anchor"][1]
    assert found["encryption"] == ("ok", "the file is not encrypted")
    assert cli("doctor").code == 0


@pytest.mark.requirement("AP-09")
def test_the_doctor_warns_and_exits_0(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_MINT", "support")
    cli.store.chmod(0o644)
    change(cli.store, "UPDATE event SET recorded_at = recorded_at + 86400000000")
    anchor = cli.store.with_name(cli.store.name + ".anchor")
    anchor.write_text("", encoding="utf-8")
    found = findings(cli)
    states = {about: state for about, (state, _) in found.items()}
    assert {states[about] for about in ("settings", "permissions", "clock", "anchor")} == {"warning"}
    assert "in the future" in found["clock"][1]
    assert "lacks 7 signed events" in found["anchor"][1]
    anchor.write_text("damaged\n", encoding="utf-8")
    assert "damaged" in findings(cli)["anchor"][1]


@pytest.mark.requirement("AP-09")
def test_the_doctor_sees_that_the_end_of_the_journal_was_cut_off(cli: CommandLine) -> None:
    change(cli.store, "DELETE FROM event WHERE position > 4")
    assert "3 events that the store does not hold" in findings(cli)["anchor"][1]


@pytest.mark.requirement("AP-09")
def test_the_doctor_exits_7_when_the_store_cannot_be_used(tmp_path: Path) -> None:
    other = CommandLine(tmp_path / "diary.txt")
    other.store.write_text("Dear diary", encoding="utf-8")
    ran = other("doctor")
    assert ran.code == 7
    assert "[not_a_store]" in ran.out
    assert other.store.read_text(encoding="utf-8") == "Dear diary"
    assert CommandLine(tmp_path / "no" / "a.db")("doctor").code == 7
    missing = CommandLine(tmp_path / "new.db")
    assert findings(missing)["store"][0] == "ok"
    assert not missing.store.exists()


@pytest.mark.requirement("QU-04", "AP-04")
def test_a_bench_writes_its_report_as_a_document_and_as_a_file(tmp_path: Path) -> None:
    ran = run_here("bench", "startup", "--quick", "--size", "1", "--folder", ".", "--output", str(tmp_path), "--json")
    assert ran.code == 0
    assert ran.json["bench"] == "startup"
    assert json.loads((tmp_path / "startup.json").read_text(encoding="utf-8"))["ratios"] == ran.json["ratios"]
    unknown = run_here("bench", "nonsense", "--json")
    assert (unknown.code, unknown.error["code"]) == (3, "not_found")


@pytest.mark.requirement("JR-07", "AP-04", "OP-07")
def test_the_commands_work_on_postgres_too(postgres_url: str, tmp_path: Path) -> None:
    at = ("--store", postgres_url)
    imported = run_here(*at, "import", str(write_traces(tmp_path / "traces.jsonl", good=6)), "--json")
    assert (imported.code, imported.json["imported"]) == (0, 6)
    assert run_here(*at, "stats", "--json").json["statistics"]["totals"]["episodes"] == 6
    for arguments in (["journal", "verify"], ["journal", "replay"], ["doctor"], ["migrate"], ["episode", "list"]):
        assert run_here(*at, *arguments, "--json").code == 0
    backup = run_here(*at, "backup", "create", f"{tmp_path / 'backups'}/").out.strip()
    assert run_here("restore", backup, "--to", str(tmp_path / "a.db")).code == 0
    there, here = (
        run_here("--store", store, "episode", "list").out for store in (postgres_url, str(tmp_path / "a.db"))
    )
    assert there == here
