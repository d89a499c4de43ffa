"""Which errors within an episode were overcome, and by which later step."""

from __future__ import annotations

from typing import Literal

import msgspec

from tacit.experience.episode import Step
from tacit.learning.assessment.signature import step_signature


class Recovery(msgspec.Struct, frozen=True):
    """A failed step and the step that worked after it. Numbers count from 1.

    ``how`` is "same tool" when the tool that failed worked later on, or "another tool" when the first step after
    the errors that did not fail used a different one, and worked, and the one that failed was not used again.
    """

    failed: int
    worked: int
    how: Literal["same tool", "another tool"]
    signature: str


def has_failed(step: Step) -> bool:
    """Whether the step is known to have failed; one without a status is not."""
    return step.status in ("error", "timeout")


def recoveries(steps: tuple[Step, ...]) -> tuple[Recovery, ...]:
    """For each failed step that was overcome, by which step; in the order of the failed ones. Linear in the steps."""
    found: list[Recovery] = []
    next_success: dict[str, int] = {}
    after_errors: int | None = None  # the next step that is not itself an error
    used_after: set[str] = set()  # the tools from that step on
    run: list[str] = []  # the tools of the errors before it
    for number in range(len(steps), 0, -1):
        step = steps[number - 1]
        if not has_failed(step):
            after_errors = number
            used_after.update(run, (step.tool,))
            run.clear()
            if step.status == "success":
                next_success[step.tool] = number
            continue
        signature = step_signature(step)
        run.append(step.tool)
        if step.tool in next_success:
            found.append(Recovery(number, next_success[step.tool], "same tool", signature))
        elif step.tool not in used_after and after_errors and steps[after_errors - 1].status == "success":
            found.append(Recovery(number, after_errors, "another tool", signature))
    return tuple(reversed(found))
