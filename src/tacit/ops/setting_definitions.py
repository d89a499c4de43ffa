"""The list of settings by dotted key, read off the classes in ``setting_groups``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tacit.ops.setting_groups import Group, Settings, hide_passwords

MASK = "********"


@dataclass(frozen=True)
class Definition:
    """One setting: its dotted key, default, what it may be (in words), its meaning, and whether it is a secret."""

    key: str
    default: Any
    allowed: str
    description: str
    secret: bool

    @property
    def environment(self) -> str:
        """The environment variable: ``journal.group_events`` is ``TACIT_JOURNAL__GROUP_EVENTS``."""
        return "TACIT_" + self.key.replace(".", "__").upper()

    def shown(self, value: Any) -> Any:
        """The value as it may be shown: secrets and passwords masked, numbers and booleans as they are."""
        if self.secret:
            return None if value is None else MASK
        return hide_passwords(value) if isinstance(value, str) else value


@cache
def definitions() -> dict[str, Definition]:
    """Every setting by its key, in the order of the configuration page."""
    found: dict[str, Definition] = {}
    for name, field in Settings.model_fields.items():
        group = group_of(name)
        if group is None:
            found[name] = _define(name, field)
        else:
            found |= {f"{name}.{leaf}": _define(f"{name}.{leaf}", inner) for leaf, inner in group.model_fields.items()}
    return found


def group_of(name: str) -> type[Group] | None:
    """The class of the group with that name; None if it is a plain setting or unknown."""
    field = Settings.model_fields.get(name)
    annotation = None if field is None else field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Group) else None


def group_names() -> list[str]:
    """The groups, in the order of the configuration page."""
    return [name for name in Settings.model_fields if group_of(name) is not None]


def suggestion(name: str, known: list[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known name, or nothing if none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    if not near:
        leaves = {item.rpartition(".")[2]: item for item in known}
        near = [leaves[leaf] for leaf in difflib.get_close_matches(name.rpartition(".")[2], leaves, n=1)]
    return f"; did you mean {near[0]!r}?" if near else ""


def _define(key: str, field: FieldInfo) -> Definition:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Definition(
        key=key,
        default=field.default,
        allowed=str(extra.get("allowed") or _allowed(field)),
        description=field.description or "",
        secret=SecretStr in (field.annotation, *get_args(field.annotation)),
    )


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true` or `false`"
    bounds = {name: getattr(item, name) for item in field.metadata for name in _bounds_of(item)}
    kind = "whole number" if field.annotation is int else "number"
    return f"{kind} from {bounds['ge']:,} to {bounds['le']:,}"


def _bounds_of(constraint: Any) -> list[str]:
    """The names of the bounds that a constraint of ``annotated_types`` carries, such as ``ge``."""
    return [name for name in ("ge", "le") if hasattr(constraint, name)]
