"""Trying again what may pass, with pauses that grow and are never quite alike, so that callers do not meet again."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import msgspec
import tenacity

_log = logging.getLogger("tacit.retry")


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently something is tried. Delays are in seconds.

    The pause before attempt n + 1 is ``first_delay × factor ** (n - 1)`` and up to ``first_delay`` more at random, but
    never more than ``max_delay`` (exponential backoff with jitter).
    """

    attempts: int = 3
    first_delay: float = 0.1
    factor: float = 2.0
    max_delay: float = 2.0
    patience: float = math.inf
    """No further attempt begins when it would be this many seconds or more after the first one began."""


def retrying(
    policy: RetryPolicy, passing: Callable[[BaseException], bool | float], *, level: int = logging.WARNING
) -> tenacity.Retrying:
    """Attempts to loop over: ``for attempt in retrying(…): with attempt: …``. The last error is raised as it is.

    Args:
        passing: whether an error may pass; a number is the seconds to wait before the next attempt.
        level: of the line in the log that says that it is tried again.
    """
    exponential = tenacity.wait_exponential(multiplier=policy.first_delay, exp_base=policy.factor)
    growing = exponential + tenacity.wait_random(0, policy.first_delay)

    def pause(state: tenacity.RetryCallState) -> float:
        asked = passing(_error(state))
        return min(growing(state), policy.max_delay) if isinstance(asked, bool) else asked

    def report(state: tenacity.RetryCallState) -> None:
        error = _error(state)
        _log.log(
            level,
            "trying again",
            extra={
                "error": f"{type(error).__name__}: {error}",
                "attempt": state.attempt_number,
                "wait_seconds": round(state.next_action.sleep if state.next_action else 0.0, 3),
            },
        )

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: passing(error) is not False),
        stop=tenacity.stop_after_attempt(policy.attempts) | tenacity.stop_before_delay(policy.patience),
        wait=pause,
        before_sleep=report,
        reraise=True,
    )


def _error(state: tenacity.RetryCallState) -> BaseException:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error
