"""What may be asked of a mind: every part of a question, checked as the same part of an episode is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from tacit.errors import InvalidInput, LimitExceeded, shown
from tacit.experience import entrance
from tacit.experience.episode import Step, Task
from tacit.experience.limits import Limits
from tacit.experience.live import make_step
from tacit.experience.recorder import LiveFit, plain
from tacit.journal import canonical
from tacit.learning.advising.advice import Tool
from tacit.learning.advising.advisor import Question

MOST_TOOLS_AT_HAND = 1_000
"""Of one question; each description is compared with the task."""
_OWN_LEVELS = 2
"""Levels of JSON around what a caller gave: the task or step itself, and the field in it."""
_TOOLS_WANTED = "tools must be a list of names or of objects with name and description, such as ['search']"
_STEPS_WANTED = "steps must be a list of steps or of objects, such as [{'tool': 'search', 'success': True}]"


def question_of(
    description: str,
    context: Mapping[str, str | None],
    *,
    tags: Sequence[str],
    metadata: Mapping[str, Any] | None,
    tools: Sequence[Tool | str | Mapping[str, str]] | None,
    steps: Sequence[Step | Mapping[str, object]] | None,
    limits: Limits,
    fit: LiveFit = "refuse",
) -> Question:
    """The question that a caller asks, checked.

    Args:
        context: the fields of a task that are names, such as its type and domain; None leaves one empty.
        tools: those at hand; None, as none at all, leaves it open which there are.
        steps: those taken so far; None is none.
        limits: the bounds that an episode of this task would have to keep.
        fit: "truncate" shortens and cleans steps that break a bound.

    Raises:
        LimitExceeded: a part is larger than the same part of an episode may be, or there are too many tools.
        InvalidInput: a part has a wrong type or could not be stored, or the description is empty.
    """
    if not isinstance(description, str) or not description.strip():
        raise InvalidInput("advice needs a description: what is the agent about to do?", field="description")
    if fit not in get_args(LiveFit):
        raise InvalidInput(f"fit is {shown(fit)}; use one of {', '.join(get_args(LiveFit))}", field="fit")
    fields = {name: "" if value is None else value for name, value in context.items()}
    more = {"tags": entrance.tags_of(tags), "metadata": entrance.object_of(metadata, "metadata")}
    task: Task = entrance.build(Task, {"description": description, **fields, **more}, "task")
    entrance.check_task(task, limits)
    _check_storable(task, limits)
    at_hand, so_far = () if tools is None else tools, () if steps is None else steps
    return Question(task=task, tools=_tools_of(at_hand, limits), steps=_steps_of(so_far, limits, fit))


def _tools_of(given: object, limits: Limits) -> tuple[Tool, ...]:
    found: dict[str, Tool] = {}
    for each in _listed(given, _TOOLS_WANTED, "tools"):
        tool = _tool_of(each, limits)
        if found.setdefault(tool.name, tool) != tool:
            raise InvalidInput(
                f"the tool {shown(tool.name)} is given twice, with different descriptions; give it once", field="tools"
            )
    if len(found) > MOST_TOOLS_AT_HAND:
        raise LimitExceeded(
            f"{len(found):,} tools are more than the {MOST_TOOLS_AT_HAND:,} of one question; give those that could do",
            field="tools",
            limit=MOST_TOOLS_AT_HAND,
            size=len(found),
        )
    return tuple(found.values())


def _tool_of(given: object, limits: Limits) -> Tool:
    if isinstance(given, str):
        fields: dict[str, Any] = {"name": given}
    elif isinstance(given, Tool):
        fields = {"name": given.name, "description": given.description}
    elif isinstance(given, Mapping):
        fields = _named(given, "a tool", "tools")
    else:
        raise InvalidInput(f"{_TOOLS_WANTED}; {shown(given)} is no tool", field="tools")
    tool: Tool = entrance.build(Tool, fields, "tool")
    if not tool.name.strip():
        raise InvalidInput("a tool needs a name", field="tools")
    entrance.check_text(tool.name, limits.name_bytes, "tool's name", "limits.name_bytes")
    entrance.check_text(tool.description, limits.description_bytes, "tool's description", "limits.description_bytes")
    _check_storable(tool, limits)
    return tool


def _steps_of(given: object, limits: Limits, fit: LiveFit) -> tuple[Step, ...]:
    listed = _listed(given, _STEPS_WANTED, "steps")
    entrance.check_step_count(len(listed), limits)
    return tuple(_numbered_step(each, number, limits, fit) for number, each in enumerate(listed, start=1))


def _numbered_step(given: object, number: int, limits: Limits, fit: LiveFit) -> Step:
    try:
        step = _step_of(given, limits)
        if fit == "truncate":
            from tacit.experience.importers.fit import fit_step

            step = fit_step(step, limits)
        entrance.check_step(step, limits)
        _check_storable(step, limits)
    except InvalidInput as error:
        raise type(error)(f"step {number}: {error.message}", **{**error.context, "step": number}) from error
    return step


def _step_of(given: object, limits: Limits) -> Step:
    if isinstance(given, Step):
        for field in ("parameters", "observation", "metadata"):
            canonical.check_depth(getattr(given, field), limits.json_depth, field)
        step: Step = entrance.build(Step, plain(given), "step")  # nobody has looked at the types of its fields yet
        return step
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{_STEPS_WANTED}; {shown(given)} is no step", field="steps")
    fields = {"tool": "", "action": "", "parameters": None, "observation": None, "success": None, "status": None}
    return make_step(**{**fields, **_named(given, "a step", "steps")})


def _named(given: Mapping[Any, Any], what: str, field: str) -> dict[str, Any]:
    """The fields of an object."""
    found = dict(given)
    for name in found:
        if not isinstance(name, str):
            raise InvalidInput(f"the fields of {what} have names; {shown(name)} is none", field=field)
    return found


def _listed(given: object, wanted: str, field: str) -> tuple[object, ...]:
    """What a caller gave as a list. A text or an object would be taken apart, so they are refused."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidInput(f"{wanted}, not {type(given).__name__}", field=field)
    return tuple(given)


def _check_storable(given: msgspec.Struct, limits: Limits) -> None:
    """Refuse what the journal would refuse: no JSON, a control character, or larger than one event may be."""
    size = len(canonical.encode(plain(given), max_depth=limits.json_depth + _OWN_LEVELS))
    entrance.check_size(size, limits.event_bytes, type(given).__name__.lower(), "limits.event_bytes")
