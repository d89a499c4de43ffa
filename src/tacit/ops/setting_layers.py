"""The places a setting can come from: flags, the environment, a YAML file. Each is read into one flat layer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tacit.errors import InvalidSetting
from tacit.ops.setting_definitions import definitions, group_of, suggestion

PREFIX = "TACIT_"
CONFIG_VARIABLE = "TACIT_CONFIG"
_LARGEST_FILE = 1_000_000
_FOR_TESTS = ("TACIT_BENCH_DATA", "TACIT_FAULT_")


class Given(NamedTuple):
    """A value as it was given, and where."""

    value: Any
    source: str


Layer = dict[str, Given]


def from_flags(flags: Mapping[str, Any]) -> Layer:
    """Flags by dotted key. A flag that is None was not given."""
    layer = {key: Given(value, "flag") for key, value in flags.items() if value is not None}
    _refuse_unknown(layer)
    return layer


def from_environment(environ: Mapping[str, str]) -> tuple[Layer, list[str]]:
    """The known ``TACIT_…`` variables, and a warning for each unknown one (its value is not repeated: it may be
    a secret under a misspelt name)."""
    variables = {definition.environment: key for key, definition in definitions().items()}
    layer = {key: Given(environ[name], f"environment {name}") for name, key in variables.items() if name in environ}
    unknown = sorted(name for name in environ if _is_ours(name) and name not in variables)
    known = [*variables, CONFIG_VARIABLE]
    return layer, [f"unknown environment variable {name} has no effect{suggestion(name, known)}" for name in unknown]


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name != CONFIG_VARIABLE and not name.startswith(_FOR_TESTS)


def from_file(path: Path) -> Layer:
    """The settings of a YAML file, nested by group or by dotted key."""
    source = f"file {path}"
    content = _parse(path, source)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidSetting(f"{source} must hold settings as 'name: value' lines", source=source)
    layer: Layer = {}
    for name, value in content.items():
        for key, leaf in _leaves(str(name), value, source):
            if key in layer:
                raise InvalidSetting(f"{key} is set twice in {source}; remove one", key=key, source=source)
            layer[key] = Given(leaf, source)
    _refuse_unknown(layer)
    return layer


def _leaves(name: str, value: Any, source: str) -> list[tuple[str, Any]]:
    if group_of(name) is not None and not isinstance(value, dict | None):
        message = f"{name} in {source} is a group of settings; write its settings indented below it"
        raise InvalidSetting(message, key=name, source=source)
    if isinstance(value, dict):
        return [(f"{name}.{leaf}", inner) for leaf, inner in value.items()]
    return [] if group_of(name) is not None else [(name, value)]


def _refuse_unknown(layer: Layer) -> None:
    known = definitions()
    for key, given in layer.items():
        if key not in known:
            message = f"unknown setting {key!r} (from {given.source}){suggestion(key, list(known))}"
            raise InvalidSetting(message, key=key, source=given.source)


def _parse(path: Path, source: str) -> Any:
    """The content of the file. An error gives the place only: YAML's own messages quote the text around it."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Like YAML's safe loader, which takes the last of two equal keys in silence; this one refuses."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            seen: list[Any] = []
            for key, _ in node.value:
                if key.value in seen:
                    place = f"{source}, line {key.start_mark.line + 1}"
                    message = f"{key.value!r} is set a second time in {place}; remove one"
                    raise InvalidSetting(message, key=key.value, source=source)
                seen.append(key.value)
            return super().construct_mapping(node, deep)

    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise InvalidSetting(f"{source} is larger than {_LARGEST_FILE:,} bytes; it is no settings", source=source)
        return yaml.load(raw.decode("utf-8"), Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        problem = f"is not valid YAML{place}; put values with special characters in quotes"
    except (yaml.YAMLError, ValueError, RecursionError):
        problem = "is not valid YAML"
    raise InvalidSetting(f"{source} {problem}", source=source)
