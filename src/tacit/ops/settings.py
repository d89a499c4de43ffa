"""Settings: flags > environment (``TACIT_…``) > YAML file > defaults, and every value knows where it came from.

Import this module where settings are loaded, not at the top of ``tacit``: it brings pydantic. Rooms below ``ops``
never import it; they are handed plain values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tacit.errors import InvalidSetting
from tacit.ops.setting_definitions import Definition, definitions
from tacit.ops.setting_groups import LogSettings, SettingRuleError, Settings, hide_passwords
from tacit.ops.setting_layers import CONFIG_VARIABLE, Layer, from_environment, from_file, from_flags
from tacit.ops.setting_page import describe

__all__ = ["DEFAULT_FILE", "Definition", "Loaded", "LogSettings", "Row", "Settings", "definitions", "describe", "load"]

DEFAULT_FILE = Path("tacit.yaml")
"""Read from the working directory if it is there. No other place is looked at."""

_LONGEST_SHOWN = 100


class Row(NamedTuple):
    """One line of ``tacit config show``; the value of a secret is masked."""

    key: str
    value: str | int | float | bool | None
    source: str
    description: str


@dataclass(frozen=True)
class Loaded:
    """Settings with their sources: "flag", "environment TACIT_X", "file PATH" or "default", by dotted key.

    ``warnings`` holds what is odd but not wrong, such as an unknown ``TACIT_…`` variable: show them to the user.
    """

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def rows(self) -> list[Row]:
        """Every setting as it may be shown, in the order of the configuration page."""
        return [
            Row(key, definition.shown(_value(self.settings, key)), self.sources[key], definition.description)
            for key, definition in definitions().items()
        ]


def load(
    flags: Mapping[str, Any] | None = None, file: Path | None = None, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Settings from all four sources, fully checked.

    ``flags`` are by dotted key, None meaning "not given". The file is ``file``, else the one that ``TACIT_CONFIG``
    names, else ``tacit.yaml`` in the working directory if there is one. ``environ`` is the process's own by default.
    InvalidSetting names each setting that is wrong, its value (masked if secret), where it came from, and what it
    may be.
    """
    environ = os.environ if environ is None else environ
    path = _file(file, environ)
    from_env, warnings = from_environment(environ)
    given = {**(from_file(path) if path else {}), **from_env, **from_flags(flags or {})}
    settings = _validate(given)
    sources = {key: given[key].source if key in given else "default" for key in definitions()}
    if settings.encryption.key_file:
        sources["encryption.passphrase"] = f"file {settings.encryption.key_file}"
        warnings += _readable_by_others(Path(settings.encryption.key_file))
    return Loaded(settings, sources, tuple(warnings))


def _file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    if file is not None:
        return file
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _validate(given: Layer) -> Settings:
    nested: dict[str, Any] = {}
    for key, (value, _) in given.items():
        group, _, leaf = key.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[leaf] = value
    try:
        return Settings.model_validate(nested)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # Raised outside the except block, so that pydantic's error, which holds the values, is not chained to it.
    raise _invalid([_explain(fault, given) for fault in faults])


class _Fault(NamedTuple):
    key: str
    message: str
    source: str


def _explain(fault: Any, given: Layer) -> _Fault:
    own = fault.get("ctx", {}).get("error")
    key = own.key if isinstance(own, SettingRuleError) else ".".join(str(part) for part in fault["loc"][:2])
    definition = definitions()[key]
    value, source = given.get(key, (definition.default, "default"))
    rule = (
        str(own) if own is not None else f"allowed is {definition.allowed.replace('`', '')}{_quote(definition, value)}"
    )
    shown = hide_passwords(repr(definition.shown(value)))
    shown = shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…"
    return _Fault(key, f"{key} is {shown} (from {source}): {rule}", source)


def _quote(definition: Definition, value: Any) -> str:
    is_text = definition.default is None or isinstance(definition.default, str)
    return "; put it in quotes" if is_text and isinstance(value, bool | int | float) else ""


def _invalid(faults: list[_Fault]) -> InvalidSetting:
    first = faults[0]
    message = "\n".join(fault.message for fault in faults)
    return InvalidSetting(message, key=first.key, source=first.source, keys=[fault.key for fault in faults])


def _readable_by_others(path: Path) -> list[str]:
    if path.stat().st_mode & 0o077 == 0:
        return []
    return [f"encryption.key_file {path} can be read by other users; 'chmod 600' keeps it private"]


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value
