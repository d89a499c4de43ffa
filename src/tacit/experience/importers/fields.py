"""What the free fields next to a trace mean: an id, a description, an outcome, and the rest as metadata.

The names are those that benchmarks and logs commonly use, kept as data; the first one present counts.
"""

from __future__ import annotations

from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.episode import Outcome, OutcomeKind
from tacit.experience.importers.files import decode

ID_FIELDS: tuple[str, ...] = ("id", "run_id", "trace_id", "session_id", "conversation_id", "name", "task_id")
TRIAL_FIELDS: tuple[str, ...] = ("trial", "attempt")
DESCRIPTION_FIELDS: tuple[str, ...] = ("task", "description", "instruction", "question", "goal", "prompt")
VERDICT_FIELDS: tuple[str, ...] = ("success", "correct", "passed", "resolved", "result", "reward", "score")
SCORE_FIELDS: tuple[str, ...] = ("reward", "score")

_KINDS: dict[str, OutcomeKind] = {
    "true": "success",
    "success": "success",
    "succeeded": "success",
    "passed": "success",
    "false": "failure",
    "failure": "failure",
    "failed": "failure",
}


def source_id_of(fields: dict[str, Any]) -> str:
    """The attempt's own id: an id field, with the number of the trial where several trials share it; else ""."""
    own = next((_id_text(fields.get(name)) for name in ID_FIELDS if _id_text(fields.get(name))), "")
    trial = next((_id_text(fields.get(name)) for name in TRIAL_FIELDS if _id_text(fields.get(name))), "")
    return f"{own}:{trial}" if own and trial else own


def _id_text(value: Any) -> str:
    is_id = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if is_id else ""


def description_of(fields: dict[str, Any], *, without: str = "") -> str:
    """An explicit description of the task, or ""; the field called ``without`` is not asked."""
    names = (name for name in DESCRIPTION_FIELDS if name != without)
    return next((value.strip() for name in names if isinstance(value := fields.get(name), str) and value.strip()), "")


def outcome_of(fields: dict[str, Any]) -> Outcome | None:
    """How the attempt ended, or None when no field says so.

    1 or true is a success, 0 or false a failure, a number between them partial. A number outside 0 … 1 is on a
    scale that the record does not tell, so it decides nothing; it stays in the metadata.
    """
    kind = next((kind for name in VERDICT_FIELDS if (kind := _kind_of(fields.get(name)))), None)
    if kind is None:
        return None
    score = next((float(fields[name]) for name in SCORE_FIELDS if _is_share(fields.get(name))), None)
    return Outcome(kind=kind, score=_result_score(fields) if score is None else score)


def _result_score(fields: dict[str, Any]) -> float | None:
    result = fields.get("result")
    return float(result) if isinstance(result, float) and _is_share(result) else None


def _kind_of(value: Any) -> OutcomeKind | None:
    if isinstance(value, bool):
        return "success" if value else "failure"
    if isinstance(value, str):
        return _KINDS.get(value.strip().lower())
    if not _is_share(value):
        return None
    return "success" if value == 1 else "failure" if value == 0 else "partial"


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def metadata_of(fields: dict[str, Any], *, without: str = "") -> dict[str, Any]:
    """The scalar fields, except null, the one called ``without``, and those that told the outcome.

    An outcome among the metadata would be known before the attempt, to whoever learns from the metadata.
    """
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, str | int | float)
        and name != without
        and not (name in VERDICT_FIELDS and _kind_of(value) is not None)
    }


def parameters_of(arguments: Any) -> dict[str, Any]:
    """The parameters of a call from its arguments: an object, or a string that should be the JSON of one.

    What is not an object is kept as it is: ``{"_raw": …}``.
    """
    if isinstance(arguments, dict):
        return arguments
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    if not isinstance(arguments, str):
        return {"_raw": arguments}
    try:
        value = decode(arguments.encode())
    except InvalidInput:
        return {"_raw": arguments}
    return value if isinstance(value, dict) else {"_raw": arguments}


def text_of(content: Any) -> str:
    """Message content as text: a string, or blocks of which the texts are joined and the others named."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (_block_text(block) for block in content)))
    return _block_text(content)


def _block_text(block: Any) -> str:
    if not isinstance(block, dict):
        return str(block)
    for name in ("text", "content", "refusal"):
        if isinstance(value := block.get(name), str | list):
            return text_of(value)
    return f"[{block.get('type', 'content without text')}]"


def list_of(value: Any, what: str) -> list[Any]:
    """The value if it is a JSON list, [] for null; otherwise InvalidInput."""
    if value is None or isinstance(value, list):
        return value or []
    raise InvalidInput(f"{what} should be a JSON list, and is {type(value).__name__}")


def object_of(value: Any, what: str) -> dict[str, Any]:
    """The value if it is a JSON object; otherwise InvalidInput."""
    if isinstance(value, dict):
        return value
    raise InvalidInput(f"{what} should be a JSON object, and is {type(value).__name__}")
