"""The configuration page, made from the definitions so that it cannot disagree with them."""

from __future__ import annotations

from typing import Any

from tacit.ops.setting_definitions import Definition, definitions, group_names, group_of

_INTRODUCTION = """\
# Configuration

This page is made from the program's own definitions; do not edit it by hand.

A setting can be given in four places. The first of them that has it wins:

1. a flag of the command line, or an argument in Python;
2. an environment variable: `TACIT_` and the key in capitals, with two underscores for the dot
   (`journal.group_events` is `TACIT_JOURNAL__GROUP_EVENTS`);
3. a YAML file: the one that the flag `--config` or the variable `TACIT_CONFIG` names, otherwise `tacit.yaml` in the
   working directory, if it is there. No other place is looked at;
4. the default.

`tacit config show` prints every setting with its value and where it came from; `tacit config check` checks them all.
A wrong value, or an unknown name in the file, ends the program with exit code 2 and names the setting. An unknown
`TACIT_…` variable is a warning. Secrets are masked wherever settings are shown, and so is the password in a store
address.

A file that changes a few settings:

```yaml
store: postgresql://tacit@localhost/tacit
mind: support
encryption:
  key_file: /run/secrets/tacit
journal:
  checkpoint_seconds: 10
log:
  level: DEBUG
  format: json
```
"""

_HEADER = "| key | environment | default | range | meaning |\n|---|---|---|---|---|\n"


def describe() -> str:
    """The whole of ``docs/configuration.md`` as Markdown, ending with a line end."""
    plain = [definition for key, definition in definitions().items() if "." not in key]
    sections = [_INTRODUCTION, "## General\n\n" + _table(plain), *(_section(name) for name in group_names())]
    return "\n".join(sections)


def _section(name: str) -> str:
    group = group_of(name)
    introduction = "" if group is None else (group.__doc__ or "").strip()
    members = [definition for key, definition in definitions().items() if key.startswith(f"{name}.")]
    return f"## {name}\n\n{introduction}\n\n{_table(members)}"


def _table(members: list[Definition]) -> str:
    return _HEADER + "".join(
        f"| `{item.key}` | `{item.environment}` | {_default(item.default)} | {item.allowed} | {item.description} |\n"
        for item in members
    )


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
