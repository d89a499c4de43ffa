"""Every error that Tacit raises, as one tree.

    TacitError
    ├── InvalidInput             what was given breaks a rule; nothing was stored
    │   ├── LimitExceeded        … because it is too large, too long or too deep
    │   └── InvalidSetting       … and it is a setting
    ├── NotFound                 no such mind, episode, event or file
    │   └── Expired              an episode of which only what was learned is kept
    ├── Conflict                 the same key or id already holds something else
    │   └── AlreadyCompleted     a second, different completion of an episode
    ├── Erased                   it was erased, and is not taken in again
    ├── PermissionDenied         wrong passphrase, or no right to do this
    │   └── ReadOnly             a write to a view of the past or to a read-only file
    ├── QuotaExceeded            a tenant or mind is over its allowance
    ├── RateLimitExceeded        too fast; ``retry_after`` says when to come back
    ├── StoreError               the database could not do it
    │   ├── StoreBusy            locked or out of connections; worth retrying
    │   ├── StoreFull            no space left
    │   ├── StoreUnavailable     the server or file cannot be reached; worth retrying
    │   ├── NotAStore            the file is something else, or is damaged beyond opening
    │   ├── SchemaMismatch       written by a newer (or not yet migrated) Tacit
    │   └── ForkedStore          the process forked after opening the store
    ├── IntegrityError           a hash, signature or digest does not match what is stored
    ├── ModelError               a language model or embedder failed or answered nonsense
    ├── NotSettled               consumers did not reach the head of the journal in time
    └── Closed                   the store or mind was closed

Each class has a stable ``code`` (for machines; never reworded), an ``exit_code`` for the command line, and
``retryable``. The message says what was wrong and what to do; ``context`` holds the facts in it, by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar


class TacitError(Exception):
    """The root of the tree; catch it to catch everything that Tacit raises on purpose."""

    code: ClassVar[str] = "tacit_error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data, equal on every surface: code, message, retryable, context and cause."""
        cause = self.__cause__
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "context": {name: value if _is_plain(value) else str(value) for name, value in self.context.items()},
            "cause": None if cause is None else f"{type(cause).__name__}: {cause}",
        }


@contextlib.contextmanager
def beside(error: BaseException | None, what: str) -> Iterator[None]:
    """Clean up after an error, if there was one, which must not be hidden by one of the cleaning up.

    What fails in the block is a note on ``error``, saying ``what`` failed; without an error it is raised.
    """
    try:
        yield
    except Exception as late:  # whatever it is: it is not why things went wrong
        if error is None:
            raise
        error.add_note(f"{what} failed, too: {late}")


def shown(value: object, length: int = 100) -> str:
    """Whatever somebody gave, as an error's message can hold it: as Python writes it, shortened to ``length``."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - nested too deeply, a number too long, or its own __repr__ fails
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= length else text[: length - 1] + "…"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | list | dict)


class InvalidInput(TacitError):
    """What was given breaks a rule; nothing was stored."""

    code = "invalid_input"
    exit_code = 2


class LimitExceeded(InvalidInput):
    """Too large, too long or too deep; the context names the limit and the size that was given."""

    code = "limit_exceeded"


class InvalidSetting(InvalidInput):
    """A setting has a value that it cannot have; the context names its key and where it was set."""

    code = "invalid_setting"


class NotFound(TacitError):
    """There is no such mind, episode, event or file."""

    code = "not_found"
    exit_code = 3


class Expired(NotFound):
    """The content of an episode is kept no longer; the context says since when, and what is known of it."""

    code = "expired"


class Conflict(TacitError):
    """The same key or id already holds something else."""

    code = "conflict"
    exit_code = 4


class AlreadyCompleted(Conflict):
    """The episode is already completed, with another outcome."""

    code = "already_completed"


class Erased(TacitError):
    """The same was erased before, and is not taken in again; nothing was stored."""

    code = "erased"
    exit_code = 11


class PermissionDenied(TacitError):
    """A wrong passphrase, or no right to do this."""

    code = "permission_denied"
    exit_code = 5


class ReadOnly(PermissionDenied):
    """A write was tried on a view of the past, a read-only store or a read-only file."""

    code = "read_only"


class QuotaExceeded(TacitError):
    """A tenant or mind is over its allowance."""

    code = "quota_exceeded"
    exit_code = 6


class RateLimitExceeded(TacitError):
    """Too many calls; ``retry_after`` is the number of seconds to wait."""

    code = "rate_limit_exceeded"
    exit_code = 6
    retryable = True

    def __init__(self, message: str, *, retry_after: float, **context: Any) -> None:
        super().__init__(message, retry_after=retry_after, **context)
        self.retry_after = retry_after


class StoreError(TacitError):
    """The database could not do what was asked."""

    code = "store_error"
    exit_code = 7


class StoreBusy(StoreError):
    """The database is locked, or no connection is free; trying again is safe."""

    code = "store_busy"
    retryable = True


class StoreFull(StoreError):
    """No space is left for the database; what was acknowledged before is kept."""

    code = "store_full"


class StoreUnavailable(StoreError):
    """The database cannot be reached at the moment; trying again is safe."""

    code = "store_unavailable"
    retryable = True


class NotAStore(StoreError):
    """The file is not a Tacit store, or is damaged beyond opening; it was left as it is."""

    code = "not_a_store"


class SchemaMismatch(StoreError):
    """The store's schema is newer than this program, or has not been migrated yet."""

    code = "schema_mismatch"


class ForkedStore(StoreError):
    """The process forked after opening the store; open it again in the child."""

    code = "forked_store"


class IntegrityError(TacitError):
    """A hash, signature or digest does not match what is stored; the context names the first bad item."""

    code = "integrity_error"
    exit_code = 8


class ModelError(TacitError):
    """A language model or an embedder failed, or its answer was rejected; no state was changed."""

    code = "model_error"
    exit_code = 9


class NotSettled(TacitError):
    """Consumers did not reach the head of the journal within the timeout; the context holds the lag of each."""

    code = "not_settled"
    exit_code = 10
    retryable = True


class Closed(TacitError):
    """The store or mind was closed before this call."""

    code = "closed"
    exit_code = 7
