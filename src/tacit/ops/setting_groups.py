"""What can be set: every setting once, with its default, its range and its meaning.

The configuration page, the error messages, ``tacit config show`` and the environment names are all made from these
classes. Nothing here looks at the environment or at a settings file; ``tacit.ops.settings.load`` does.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from tacit.errors import TacitError
from tacit.experience.limits import DEFAULT_LIMITS, Limits
from tacit.journal.minds import NAME_RULE, is_name
from tacit.models.embedders import NAMES, is_embedder
from tacit.stores.key_file import read_key_file

_POSTGRES = "postgresql://"
_URL_PASSWORD = re.compile(r"(://[^:@]*:).*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"(?i)(password=)[^&#\s]*")


def hide_passwords(text: str) -> str:
    """The text with the password of a URL (or of a ``password=`` parameter) replaced by ``***``."""
    return _QUERY_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1***@", text))


class SettingRuleError(ValueError):
    """A rule between two settings is broken; ``key`` names the one to change."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Group(BaseModel):
    """The rules of every group: immutable, no unknown names, and no value of a setting in an error of pydantic."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_not_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and field.annotation in (int, float):
            raise ValueError("must be a number, not true or false")
        return value


class EncryptionSettings(Group):
    """The key of an encrypted store: a passphrase, or a file that holds it."""

    key_file: str = Field(
        default="",
        description="File that holds the passphrase; a line end after it does not count. Empty: none.",
        json_schema_extra={"allowed": "path of a readable file, or empty"},
    )
    passphrase: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Passphrase of the encrypted store. Better given by `encryption.key_file`. Not set: not encrypted.",
        json_schema_extra={"allowed": "text of at least 1 character, secret"},
    )

    @field_validator("passphrase", mode="after")
    @classmethod
    def _from_the_key_file(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        path = info.data.get("key_file", "")
        if not path:
            return value
        if value is not None:
            raise SettingRuleError("encryption.key_file", "must be empty while encryption.passphrase is set: give one")
        return _read_passphrase(path)


def _read_passphrase(path: str) -> SecretStr:
    try:
        return SecretStr(read_key_file(path))
    except TacitError as error:
        raise SettingRuleError("encryption.key_file", error.message) from None


class LimitSettings(Group):
    """The bounds of what may be stored; beyond one, nothing of the call is stored."""

    description_bytes: int = Field(
        default=DEFAULT_LIMITS.description_bytes,
        ge=1,
        le=10_000_000,
        description="Longest task description, bytes of UTF-8.",
    )
    observation_bytes: int = Field(
        default=DEFAULT_LIMITS.observation_bytes,
        ge=1,
        le=10_000_000,
        description="Longest observation, bytes of UTF-8.",
    )
    artifact_bytes: int = Field(
        default=DEFAULT_LIMITS.artifact_bytes,
        ge=1,
        le=100_000_000,
        description="Largest artifact of an episode, bytes.",
    )
    steps_per_episode: int = Field(
        default=DEFAULT_LIMITS.steps_per_episode, ge=1, le=100_000, description="Most steps in one episode."
    )
    event_bytes: int = Field(
        default=DEFAULT_LIMITS.event_bytes, ge=1_000, le=100_000_000, description="Largest event of the journal, bytes."
    )
    episode_bytes: int = Field(
        default=DEFAULT_LIMITS.episode_bytes,
        ge=1_000,
        le=1_000_000_000,
        description="Largest episode with its steps, bytes.",
    )
    text_bytes: int = Field(
        default=DEFAULT_LIMITS.text_bytes,
        ge=1,
        le=10_000_000,
        description="Longest other free text (an action, an error, a verdict, a reason), bytes of UTF-8.",
    )
    name_bytes: int = Field(
        default=DEFAULT_LIMITS.name_bytes,
        ge=1,
        le=1_024,
        description="Longest name (a tool, a task type, a domain, a tag, a key), bytes of UTF-8.",
    )
    tags_per_episode: int = Field(
        default=DEFAULT_LIMITS.tags_per_episode, ge=0, le=10_000, description="Most tags on one episode."
    )
    memory_bytes: int = Field(
        default=DEFAULT_LIMITS.memory_bytes, ge=1, le=1_000_000, description="Longest text of a memory, bytes of UTF-8."
    )
    json_depth: int = Field(
        default=DEFAULT_LIMITS.json_depth, ge=1, le=200, description="Deepest nesting of a JSON value, levels."
    )

    def to_limits(self) -> Limits:
        """The same bounds as the nouns of experience take them."""
        return Limits(**self.model_dump())


class MaskingSettings(Group):
    """Secrets (API keys, tokens, private keys) are masked before they reach the journal."""

    enabled: bool = Field(
        default=True, description="Mask secrets before anything is stored. Off only for data known clean."
    )


class JournalSettings(Group):
    """How events are committed, signed and waited for."""

    group_events: int = Field(default=1_000, ge=1, le=100_000, description="Most events in one group commit.")
    checkpoint_events: int = Field(
        default=1_000, ge=1, le=1_000_000, description="Sign a checkpoint after this many events since the last one."
    )
    checkpoint_seconds: float = Field(
        default=60,
        ge=0.1,
        le=86_400,
        description="Sign a checkpoint of new events after this many seconds at the latest.",
    )
    anchor: str = Field(
        default="",
        description="File to which signed checkpoints are copied. Empty: beside the store file.",
        json_schema_extra={"allowed": "path, or empty"},
    )
    busy_timeout_seconds: float = Field(
        default=30,
        ge=0,
        le=3_600,
        description="Wait this many seconds for another process that is writing to the store.",
    )


class RetrySettings(Group):
    """How calls that failed for a passing reason (busy, unavailable) are tried again, with growing delays."""

    attempts: int = Field(default=3, ge=1, le=100, description="Attempts in all, the first one included. 1: no retry.")
    first_delay_seconds: float = Field(
        default=0.1, ge=0, le=60, description="Delay before the second attempt, seconds."
    )
    factor: float = Field(default=2, ge=1, le=10, description="Each further delay is the one before times this factor.")
    max_delay_seconds: float = Field(
        default=2, ge=0, le=3_600, description="Longest delay between two attempts, seconds."
    )

    @field_validator("max_delay_seconds", mode="after")
    @classmethod
    def _not_below_the_first(cls, value: float, info: ValidationInfo) -> float:
        first = info.data.get("first_delay_seconds", 0)
        if value < first:
            raise ValueError(f"must be at least retry.first_delay_seconds, which is {first:g}")
        return value


class BufferSettings(Group):
    """Buffering of steps, for those who ask for it: faster, and a crash may lose what was not flushed yet."""

    steps: int = Field(default=50, ge=1, le=10_000, description="Flush after this many buffered steps.")
    seconds: float = Field(default=5, ge=0.01, le=3_600, description="Flush after this many seconds at the latest.")


class QuotaSettings(Group):
    """What a mind and a tenant may keep; 0 is no bound. Whatever is over it is refused with quota_exceeded."""

    mind_events: int = Field(default=0, ge=0, le=10**15, description="Most events of one mind.")
    tenant_events: int = Field(default=0, ge=0, le=10**15, description="Most events of all minds of one tenant.")
    tenant_minds: int = Field(default=0, ge=0, le=10**9, description="Most minds of one tenant.")


class RateSettings(Group):
    """How fast a mind and a tenant may write by one process; 0 is no bound. An import waits, others are refused."""

    mind_events: float = Field(default=0, ge=0, le=10**9, description="Most events a second of one mind.")
    tenant_events: float = Field(
        default=0, ge=0, le=10**9, description="Most events a second of all minds of one tenant."
    )


class ConsumerSettings(Group):
    """The background workers that learn from the journal."""

    enabled: bool = Field(
        default=True, description="Run consumers in this process. Off: another process does the learning."
    )
    batch_events: int = Field(
        default=500, ge=1, le=100_000, description="Most events that a consumer applies in one commit."
    )
    poll_seconds: float = Field(
        default=1.0, ge=0.01, le=3_600, description="Look for events of other processes every so many seconds."
    )
    lease_seconds: float = Field(
        default=30, ge=1, le=3_600, description="After so many silent seconds another process may take a consumer over."
    )


class LearningSettings(Group):
    """What is learned from finished episodes, and how findings are judged."""

    window: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Newest finished episodes that advice is drawn from."
    )
    half_life_days: float = Field(
        default=180, ge=0.1, le=36_500, description="After so many days what an episode taught counts for half."
    )
    least_support: int = Field(
        default=3, ge=1, le=10_000, description="Episodes in which something must have occurred to be a pattern."
    )
    false_discovery_rate: float = Field(
        default=0.1,
        ge=0.001,
        le=0.5,
        description="Share of the patterns that are said to stand that chance may have made.",
    )
    embedder: str = Field(
        default="minilm",
        description="What turns texts into vectors.",
        json_schema_extra={
            "allowed": "`minilm`, `hashing`, `none`, `openai:MODEL@URL` or `sentence-transformers:NAME`"
        },
    )

    former_embedder: str = Field(
        default="",
        description="The embedder before it: answers recall until the new one has read as much. "
        "Those that come with Tacit do so without being named.",
        json_schema_extra={"allowed": "as `learning.embedder`, or empty"},
    )
    embedder_wait_seconds: float = Field(
        default=3,
        ge=0.01,
        le=60,
        description="A question waits so many seconds for the embedder at most; then it is answered by words alone.",
    )

    @field_validator("embedder", "former_embedder", mode="after")
    @classmethod
    def _an_embedder(cls, value: str, info: ValidationInfo) -> str:
        if not is_embedder(value) and (value or info.field_name == "embedder"):
            raise ValueError(f"must be {NAMES}")
        return value


class AdviceSettings(Group):
    """Controls: a share of advice is withheld at random, so that success with and without it can be compared."""

    withhold_share: float = Field(
        default=0, ge=0, le=0.9, description="Share of each piece of advice that is withheld at first. 0: none, ever."
    )
    withhold_floor: float = Field(default=0.05, ge=0, le=0.9, description="What that share falls to.")
    withhold_half_after: int = Field(
        default=50, ge=1, le=1_000_000, description="Exposures after which it is half way there."
    )


class PostgresSettings(Group):
    """The connection pool of a PostgreSQL store."""

    pool_min: int = Field(default=10, ge=0, le=10_000, description="Connections kept open.")
    pool_max: int = Field(default=100, ge=1, le=10_000, description="Most connections open at once.")
    pool_timeout_seconds: float = Field(
        default=30,
        ge=0.1,
        le=3_600,
        description="Wait this many seconds, all attempts together, for a free connection or a server that is down.",
    )

    @field_validator("pool_max", mode="after")
    @classmethod
    def _not_below_the_least(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("pool_min", 0)
        if value < least:
            raise ValueError(f"must be at least postgres.pool_min, which is {least}")
        return value


class CacheSettings(Group):
    """What was read lately is kept in memory, until anything is written to its mind."""

    bytes: int = Field(default=20_000_000, ge=0, le=10**11, description="Most bytes of the cache. 0: nothing is kept.")
    ttl_seconds: float = Field(default=3_600, ge=0.1, le=31_536_000, description="Seconds that an answer is kept.")


_AGE = "Days after which {} are forgotten, counted from when they came in or were last found."


class RetentionSettings(Group):
    """How much a mind keeps; 0 is no bound. `tacit maintain` forgets memories and drops steps of episodes beyond it."""

    memories: int = Field(default=0, ge=0, le=10**9, description="Most memories of a mind.")
    memory_bytes: int = Field(default=0, ge=0, le=10**12, description="Most bytes of the texts of a mind's memories.")
    turn_days: float = Field(default=0, ge=0, le=36_500, description=_AGE.format("turns of conversations"))
    fact_days: float = Field(default=0, ge=0, le=36_500, description=_AGE.format("facts"))
    preference_days: float = Field(default=0, ge=0, le=36_500, description=_AGE.format("preferences"))
    instruction_days: float = Field(default=0, ge=0, le=36_500, description=_AGE.format("instructions"))
    note_days: float = Field(default=0, ge=0, le=36_500, description=_AGE.format("notes"))
    episodes: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="Most finished episodes of a mind that stay whole; the oldest expire.",
    )
    episodes_per_kind: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="Most finished episodes of one task type and domain that are kept whole.",
    )
    episode_bytes: int = Field(
        default=0, ge=0, le=10**15, description="Most bytes of the payloads of a mind's finished episodes."
    )
    episode_days: float = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days after which finished episodes expire, counted from when they came in or were last changed.",
    )
    half_life_days: float = Field(
        default=90,
        ge=0.01,
        le=36_500,
        description="Days in which the freshness of a memory halves; it counts when some have to be forgotten.",
    )


class BackupSettings(Group):
    """Backups made on a schedule; `tacit backup` makes one at any time."""

    directory: str = Field(
        default="",
        description="Directory for backups on a schedule. Empty: none are made.",
        json_schema_extra={"allowed": "path, or empty"},
    )
    every_seconds: int = Field(default=21_600, ge=60, le=31_536_000, description="Seconds from one backup to the next.")
    keep: int = Field(default=20, ge=1, le=10_000, description="Backups kept; the oldest beyond that are deleted.")


class LogSettings(Group):
    """What the program says about its own work. Never on standard output."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="Least serious level that is written; any case."
    )
    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or one JSON object a line.")
    file: str = Field(
        default="",
        description="File that gets every line besides standard error, readable by its owner only. Empty: none.",
        json_schema_extra={"allowed": "path, or empty"},
    )
    max_bytes: int = Field(
        default=10_000_000, ge=1_000, le=10_000_000_000, description="Size at which the log file is rotated, bytes."
    )
    files: int = Field(default=5, ge=1, le=1_000, description="Rotated log files kept besides the current one.")
    slow_ms: float = Field(
        default=1_000, ge=0, le=3_600_000, description="Warn of operations that take longer, milliseconds."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class Settings(Group):
    """Everything that can be set. Built by ``load``; ``Settings()`` is the defaults alone.

    A store address may hold a password, so ``repr`` masks it; ``settings.store`` itself is the full address.
    """

    store: str = Field(
        default="tacit.db",
        min_length=1,
        description="Where everything is kept: a file, or a PostgreSQL database.",
        json_schema_extra={"allowed": "path, or `postgresql://…` URL (its password is never shown)"},
    )
    mind: str = Field(
        default="default", description="The mind to use when none is named.", json_schema_extra={"allowed": NAME_RULE}
    )
    tenant: str = Field(
        default="default", description="The owner of that mind.", json_schema_extra={"allowed": NAME_RULE}
    )
    encryption: EncryptionSettings = EncryptionSettings()
    limits: LimitSettings = LimitSettings()
    masking: MaskingSettings = MaskingSettings()
    journal: JournalSettings = JournalSettings()
    retry: RetrySettings = RetrySettings()
    buffer: BufferSettings = BufferSettings()
    quotas: QuotaSettings = QuotaSettings()
    rates: RateSettings = RateSettings()
    consumers: ConsumerSettings = ConsumerSettings()
    learning: LearningSettings = LearningSettings()
    advice: AdviceSettings = AdviceSettings()
    postgres: PostgresSettings = PostgresSettings()
    cache: CacheSettings = CacheSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()
    log: LogSettings = LogSettings()

    @field_validator("store", mode="after")
    @classmethod
    def _file_or_postgres(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("must not hold the character U+0000, which no path has")
        if "://" in value and not value.startswith(_POSTGRES):
            raise ValueError(f"must be the path of a file or a URL that starts with {_POSTGRES}")
        return value

    @field_validator("mind", "tenant", mode="after")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(f"must be {NAME_RULE}")
        return value

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, hide_passwords(value) if name == "store" else value
