"""Settings: which source wins, where each value came from, what a wrong one says, and that secrets stay hidden."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from pydantic import ValidationError

from tacit.errors import InvalidInput, InvalidSetting
from tacit.experience.limits import Limits
from tacit.journal.minds import NAME_RULE, check_name
from tacit.ops.setting_groups import LimitSettings
from tacit.ops.settings import Loaded, Settings, definitions, describe, load

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "settings.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refused(**given: Any) -> InvalidSetting:
    with pytest.raises(InvalidSetting) as raised:
        load(**{"environ": {}, **given})
    assert raised.value.exit_code == 2
    return raised.value


def everything_shown(loaded: Loaded) -> str:
    return "\n".join([repr(loaded), str(loaded.settings), repr(loaded.rows()), loaded.settings.model_dump_json()])


@pytest.mark.requirement("OP-01")
def test_without_any_source_every_value_is_the_default_and_says_so() -> None:
    loaded = load(environ={})
    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.warnings == ()


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(
    ("key", "lowest", "middle", "highest"),
    [
        ("mind", "from-file", "from-environment", "from-flag"),
        ("store", "file.db", "environment.db", "flag.db"),
        ("journal.group_events", 11, 12, 13),
        ("retry.first_delay_seconds", 0.25, 0.5, 0.75),
        ("log.format", "json", "text", "json"),
        ("limits.name_bytes", 100, 200, 300),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    key: str, lowest: Any, middle: Any, highest: Any
) -> None:
    name = definitions()[key].environment
    file = written(yaml.safe_dump({key: lowest}))
    environ = {name: str(middle)}
    expected = [
        (load(environ={}), definitions()[key].default, "default"),
        (load(environ={}, file=file), lowest, f"file {file}"),
        (load(environ=environ, file=file), middle, f"environment {name}"),
        (load({key: highest}, file=file, environ=environ), highest, "flag"),
    ]
    for loaded, value, source in expected:
        row = next(row for row in loaded.rows() if row.key == key)
        assert (row.value, row.source) == (value, source)
        assert loaded.sources[key] == source


@pytest.mark.requirement("OP-01")
def test_the_sources_are_merged_setting_by_setting_within_a_group() -> None:
    file = written("retry:\n  attempts: 7\n  factor: 3\n")
    loaded = load({"retry.attempts": 9}, file=file, environ={"TACIT_RETRY__MAX_DELAY_SECONDS": "8.5"})
    retry = loaded.settings.retry
    assert (retry.attempts, retry.factor, retry.max_delay_seconds, retry.first_delay_seconds) == (9, 3, 8.5, 0.1)


@pytest.mark.requirement("OP-01")
def test_a_flag_that_is_none_was_not_given() -> None:
    assert load({"mind": None}, environ={"TACIT_MIND": "support"}).settings.mind == "support"


@pytest.mark.requirement("OP-01")
def test_the_real_environment_is_read_when_none_is_handed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_BUFFER__STEPS", "77")
    assert load().settings.buffer.steps == 77


@pytest.mark.requirement("OP-01")
def test_the_file_is_the_given_one_else_that_of_the_environment_else_the_one_in_the_working_directory() -> None:
    here, named, given = written("mind: here", "tacit.yaml"), written("mind: named", "n.yaml"), written("mind: given")
    environ = {"TACIT_CONFIG": str(named)}
    assert load(environ={}).settings.mind == "here"
    assert load(environ={}).sources["mind"] == f"file {here}"
    assert load(environ=environ).settings.mind == "named"
    assert load(environ=environ, file=given).settings.mind == "given"


@pytest.mark.requirement("OP-01")
def test_no_file_is_looked_up_in_a_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ".config", tmp_path / ".config" / "tacit"):
        folder.mkdir(exist_ok=True)
        (folder / "tacit.yaml").write_text("mind: from-home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load().settings.mind == "default"


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize("text", ["", "# nothing yet\n", "journal:\n  # group_events: 5\n"])
def test_a_file_with_nothing_in_it_changes_nothing(text: str) -> None:
    assert load(environ={}, file=written(text)).settings == Settings()


BAD_VALUES: dict[str, list[Any]] = {
    "store": ["", "mysql://host/db", 5, None],
    "mind": ["", "x" * 101, " a", "a/b", True],
    "tenant": ["", "x" * 101, "a\tb", ["acme"]],
    "encryption.passphrase": ["", 12345],
    "encryption.key_file": ["no/such/file", 5],
    "masking.enabled": ["perhaps", 2],
    "learning.embedder": ["", "word2vec", "openai:model", 5],
    "learning.former_embedder": ["word2vec", "openai:model", 5],
    "log.level": ["LOUD", 10],
    "log.format": ["xml"],
    "log.file": [3],
    "journal.anchor": [3],
    "backup.directory": [False],
}


def bad_values() -> list[tuple[str, Any]]:
    """For each setting what it cannot be; for each number: below and above its range, not a number, a boolean."""
    found: list[tuple[str, Any]] = [(key, value) for key, values in BAD_VALUES.items() for value in values]
    for key, definition in definitions().items():
        bounds = re.match(r"(?:whole )?number from ([\d.,]+) to ([\d.,]+)", definition.allowed)
        if bounds:
            low, high = (float(bound.replace(",", "")) for bound in bounds.groups())
            wrong: list[Any] = [low - 1, high + 1, "many", "", True, float("nan"), float("inf"), []]
            found += [(key, value) for value in wrong]
        if definition.allowed.startswith("whole"):
            found.append((key, "1.5"))
        if definition.allowed.startswith("`true`"):
            found.append((key, "perhaps"))
    return found


@pytest.mark.requirement("OP-01")
def test_every_setting_has_a_value_that_it_refuses() -> None:
    assert {key for key, _ in bad_values()} == set(definitions())


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(("key", "value"), bad_values())
def test_a_wrong_value_is_refused_by_its_key_its_value_and_its_source(key: str, value: Any) -> None:
    file = written(yaml.safe_dump({key: value}))
    error = refused(file=file)
    assert error.context["key"] == key
    assert error.message.startswith(f"{key} is ")
    assert f"(from file {file})" in error.message
    assert error.context["source"] == f"file {file}"
    if key != "encryption.passphrase":
        assert repr(value)[:100] in error.message


@pytest.mark.requirement("OP-01")
def test_a_wrong_value_from_the_environment_or_a_flag_says_which_and_what_is_allowed() -> None:
    error = refused(environ={"TACIT_JOURNAL__GROUP_EVENTS": "lots"})
    assert error.message == (
        "journal.group_events is 'lots' (from environment TACIT_JOURNAL__GROUP_EVENTS): "
        "allowed is whole number from 1 to 100,000"
    )
    assert (
        "log.level is 'loud' (from flag): allowed is one of DEBUG, INFO" in refused(flags={"log.level": "loud"}).message
    )


@pytest.mark.requirement("OP-01")
def test_the_name_of_a_mind_is_what_a_mind_can_be_called() -> None:
    longest = "x" * 100
    assert load({"mind": longest}, environ={}).settings.mind == longest
    check_name(longest, "mind")
    with pytest.raises(InvalidInput):
        check_name(longest + "x", "mind")
    assert refused(environ={"TACIT_MIND": longest + "x"}).message.endswith(f": must be {NAME_RULE}")


@pytest.mark.requirement("OP-01")
def test_all_wrong_values_are_told_at_once() -> None:
    error = refused(environ={"TACIT_MIND": "", "TACIT_LOG__FILES": "x"}, flags={"retry.attempts": 0})
    assert sorted(error.context["keys"]) == ["log.files", "mind", "retry.attempts"]
    assert len(error.message.splitlines()) == 3


@pytest.mark.requirement("OP-01")
def test_a_number_or_yes_and_no_where_text_is_meant_says_to_use_quotes() -> None:
    assert "put it in quotes" in refused(file=written("mind: no")).message
    assert "put it in quotes" in refused(file=written("tenant: 0123")).message
    assert load(environ={}, file=written("mind: 'no'")).settings.mind == "no"


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(
    ("key", "other", "flags"),
    [
        ("postgres.pool_max", "postgres.pool_min", {"postgres.pool_min": 20, "postgres.pool_max": 19}),
        ("postgres.pool_max", "postgres.pool_min", {"postgres.pool_min": 101}),
        ("retry.max_delay_seconds", "retry.first_delay_seconds", {"retry.first_delay_seconds": 3}),
    ],
)
def test_settings_that_contradict_each_other_are_refused_naming_both(
    key: str, other: str, flags: Mapping[str, Any]
) -> None:
    error = refused(flags=flags)
    assert error.context["key"] == key
    assert other in error.message
    assert load({"postgres.pool_min": 20, "postgres.pool_max": 20}, environ={}).settings.postgres.pool_max == 20


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(
    ("text", "unknown", "meant"),
    [
        ("journal:\n  checkpoint_event: 5", "journal.checkpoint_event", "journal.checkpoint_events"),
        ("group_events: 5", "group_events", "journal.group_events"),
        ("passphrase: x", "passphrase", "encryption.passphrase"),
        ("jurnal:\n  group_events: 5", "jurnal.group_events", "journal.group_events"),
        ("Mind: x", "Mind", "mind"),
        ("store: {path: x}", "store.path", "store"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_nearest_known_one(text: str, unknown: str, meant: str) -> None:
    error = refused(file=written(text))
    assert error.message == f"unknown setting {unknown!r} (from file settings.yaml); did you mean {meant!r}?"


@pytest.mark.requirement("OP-01")
def test_an_unknown_flag_is_refused_and_nothing_far_away_is_suggested() -> None:
    assert refused(flags={"zzzzzzzz": 1}).message == "unknown setting 'zzzzzzzz' (from flag)"


@pytest.mark.requirement("OP-01")
def test_an_unknown_variable_is_a_warning_that_suggests_a_name_and_does_not_repeat_the_value() -> None:
    loaded = load(environ={"TACIT_STORES": SECRET, "TACIT_JOURNAL_GROUP_EVENTS": "5", "OTHER_STORE": "x"})
    assert loaded.settings == Settings()
    assert loaded.warnings == (
        "unknown environment variable TACIT_JOURNAL_GROUP_EVENTS has no effect; "
        "did you mean 'TACIT_JOURNAL__GROUP_EVENTS'?",
        "unknown environment variable TACIT_STORES has no effect; did you mean 'TACIT_STORE'?",
    )


@pytest.mark.requirement("OP-01")
def test_the_variables_of_tests_and_the_name_of_the_file_are_no_unknown_settings() -> None:
    environ = {"TACIT_BENCH_DATA": "x", "TACIT_FAULT_CRASH": "1", "TACIT_CONFIG": str(written("mind: a"))}
    assert load(environ=environ).warnings == ()


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mind: a\nmind: b", "'mind' is set a second time in file settings.yaml, line 2"),
        ("journal: {anchor: a, anchor: b}", "'anchor' is set a second time"),
        ("journal.anchor: a\njournal: {anchor: b}", "journal.anchor is set twice"),
        ("journal: 5", "journal in file settings.yaml is a group of settings"),
        ("- mind", "must hold settings as 'name: value' lines"),
        ("mind: [a", "is not valid YAML at line 1"),
        ("mind: \x00", "is not valid YAML"),
        ("mind: 2026-13-45", "is not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_says_where(text: str, says: str) -> None:
    assert says in refused(file=written(text)).message


@pytest.mark.requirement("OP-01")
def test_a_file_that_cannot_be_read_is_refused() -> None:
    assert "gone.yaml cannot be read: No such file" in refused(file=Path("gone.yaml")).message
    assert "gone.yaml cannot be read" in refused(environ={"TACIT_CONFIG": "gone.yaml"}).message
    Path("latin.yaml").write_bytes("mind: café".encode("latin-1"))
    assert "is not UTF-8" in refused(file=Path("latin.yaml")).message


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize("source", ["flag", "environment", "file", "key file"])
def test_a_passphrase_reaches_the_program_and_is_shown_nowhere(source: str) -> None:
    key_file = written(f"{SECRET}\n", "key")
    loaded = {
        "flag": lambda: load({"encryption.passphrase": SECRET}, environ={}),
        "environment": lambda: load(environ={"TACIT_ENCRYPTION__PASSPHRASE": SECRET}),
        "file": lambda: load(environ={}, file=written(f"encryption: {{passphrase: {SECRET}}}")),
        "key file": lambda: load({"encryption.key_file": str(key_file)}, environ={}),
    }[source]()
    passphrase = loaded.settings.encryption.passphrase
    assert passphrase is not None
    assert passphrase.get_secret_value() == SECRET
    assert SECRET not in everything_shown(loaded)
    row = next(row for row in loaded.rows() if row.key == "encryption.passphrase")
    assert row.value == "********"
    assert (
        row.source
        == {
            "flag": "flag",
            "environment": "environment TACIT_ENCRYPTION__PASSPHRASE",
            "file": "file settings.yaml",
            "key file": "file key",
        }[source]
    )


@pytest.mark.requirement("OP-01")
def test_without_a_passphrase_none_is_shown() -> None:
    rows = {row.key: row.value for row in load(environ={}).rows()}
    assert rows["encryption.passphrase"] is None


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize("address", [f"postgresql://u:{SECRET}@h/d", f"postgresql://h/d?user=u&password={SECRET}"])
def test_the_password_of_a_store_address_reaches_the_program_and_is_shown_nowhere(address: str) -> None:
    address = address.replace(" ", "-")
    loaded = load(environ={"TACIT_STORE": address})
    assert loaded.settings.store == address
    shown = "\n".join([repr(loaded), str(loaded.settings), repr(loaded.rows())])
    assert SECRET.replace(" ", "-") not in shown
    assert "postgresql://" in shown


@pytest.mark.requirement("OP-01")
@pytest.mark.parametrize(
    "given",
    [
        {"flags": {"encryption.passphrase": [SECRET]}},
        {"flags": {"encryption.passphrase": SECRET, "encryption.key_file": "key"}},
        {"flags": {"encryption.passphrase": SECRET, "mind": ""}},
        {"environ": {"TACIT_STORE": f"mysql://u:{SECRET}@h/d"}},
        {"flags": {"store": [f"postgresql://u:{SECRET}@h/d"]}},
        {"environ": {"TACIT_LOG__LEVEL": f"postgresql://u:{SECRET}@h/d"}},
        *[
            {"text": f"encryption:\n  passphrase: {value}"}
            for value in ("!correct horse", "*correct horse", "&a *correct", "%correct", "'correct", "{correct: horse}")
        ],
    ],
)
def test_no_error_shows_a_secret_nor_carries_one_along(given: dict[str, Any]) -> None:
    written(SECRET, "key")
    if "text" in given:
        given = {"file": written(given["text"])}
    error = refused(**given)
    assert "correct" not in f"{error} {error!r} {error.as_dict()}"
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.requirement("OP-01")
def test_a_direct_construction_shows_no_secret_either() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"encryption": {"passphrase": [SECRET]}, "unknown": SECRET})
    assert SECRET not in str(raised.value)


@pytest.mark.requirement("OP-01")
def test_a_key_file_is_named_when_it_cannot_serve() -> None:
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe\x00")
    for name, says in (("empty", "is empty"), ("binary", "UTF-8"), ("missing", "No such file"), (".", "directory")):
        error = refused(flags={"encryption.key_file": name})
        assert error.context["key"] == "encryption.key_file"
        assert says in error.message


@pytest.mark.requirement("OP-01")
def test_a_key_file_that_others_can_read_is_a_warning() -> None:
    key = written(SECRET, "key")
    key.chmod(0o644)
    assert "can be read by other users" in load({"encryption.key_file": "key"}, environ={}).warnings[0]
    key.chmod(0o600)
    assert load({"encryption.key_file": "key"}, environ={}).warnings == ()


@pytest.mark.requirement("OP-01")
def test_settings_cannot_be_changed_after_loading() -> None:
    settings = load(environ={}).settings
    with pytest.raises(ValidationError):
        settings.mind = "other"
    with pytest.raises(ValidationError):
        settings.journal.group_events = 5


@pytest.mark.requirement("OP-01")
def test_the_limits_are_those_of_experience_with_the_same_defaults() -> None:
    assert set(LimitSettings.model_fields) == {field.name for field in msgspec.structs.fields(Limits)}
    assert Settings().limits.to_limits() == Limits()
    assert load({"limits.json_depth": 9}, environ={}).settings.limits.to_limits() == Limits(json_depth=9)


@pytest.mark.requirement("OP-01")
def test_the_configuration_page_is_what_the_definitions_say() -> None:
    command = "python -c \"from tacit.ops.settings import describe; print(describe(), end='')\" > docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == describe(), f"make it again: {command}"


@pytest.mark.requirement("OP-01")
def test_the_configuration_page_names_every_setting_with_its_variable_and_meaning() -> None:
    for key, definition in definitions().items():
        assert f"| `{key}` | `{definition.environment}` |" in describe()
        assert definition.description.endswith(".")


@pytest.mark.requirement("OP-01")
def test_the_example_on_the_configuration_page_is_a_valid_file() -> None:
    example = re.search(r"```yaml\n(.*?)```", describe(), re.DOTALL)
    assert example
    written("x", "key").chmod(0o600)
    text = example[1].replace("/run/secrets/tacit", "key")
    loaded = load(environ={}, file=written(text))
    assert loaded.settings.log.format == "json"
    assert loaded.settings.journal.checkpoint_seconds == 10


@pytest.mark.requirement("OP-01")
def test_importing_tacit_does_not_import_what_settings_need() -> None:
    program = "import sys, tacit; print([name for name in ('pydantic', 'yaml') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
