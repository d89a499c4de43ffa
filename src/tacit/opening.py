"""Opening a store: settings become a database, a journal and minds."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tacit import policies
from tacit.cache import AnswerCache, CacheUse, use_of
from tacit.clock import Clock, SystemClock
from tacit.errors import InvalidInput, ModelError, TacitError, beside
from tacit.experience.erasing.eraser import Eraser
from tacit.experience.erasing.marks import Refusal
from tacit.experience.expiring import ExpiryProjection
from tacit.experience.fold import EpisodeProjection
from tacit.experience.limits import Limits
from tacit.experience.memory.backfill import bring_episodes
from tacit.experience.memory.episodes import EpisodeMemoryProjection
from tacit.experience.memory.fold import MemoryProjection
from tacit.experience.recent import RecentEpisodes
from tacit.experience.recorder import Recorder
from tacit.ids import Entropy, SystemEntropy
from tacit.journal.allowance import Allowance
from tacit.journal.append import Projection
from tacit.journal.consumer import Consumer, EventConsumer
from tacit.journal.counters import Counters, read_counters
from tacit.journal.erasing import ErasureProjection
from tacit.journal.journal import Journal
from tacit.journal.minds import MindInfo, MindProjection, check_name, list_minds, open_mind
from tacit.journal.taking import helper_of
from tacit.learning.assessment.tally import Tally
from tacit.learning.counsel import Counsel
from tacit.learning.expiring import LearnedProjection
from tacit.learning.lessons.lessons import Lessons
from tacit.learning.lessons.vectors import Vectors
from tacit.learning.studying.student import StudyPolicy
from tacit.learning.studying.study import Study
from tacit.learning.trials.exposure import ExposureProjection
from tacit.mind import Mind
from tacit.ops.backup_catalog import BackupInfo
from tacit.ops.keepers import keepers
from tacit.ops.ledger import NAME as LEDGER_NAME
from tacit.ops.ledger import Ledger, applying
from tacit.ops.schedule import Backups
from tacit.ops.scrubbing import Scrubber
from tacit.recall.embedder import TextEmbedder
from tacit.recall.meaning import Meaning
from tacit.recall.memory_vectors import MemoryVectors
from tacit.recall.recaller import Recaller
from tacit.recall.serving import Serving
from tacit.recall.uses import Uses
from tacit.recall.vector_index import VectorIndex
from tacit.stores.key_file import read_key_file
from tacit.stores.opening import is_postgres
from tacit.stores.opening import open_store as open_database
from tacit.stores.paths import path_of
from tacit.stores.port import Store
from tacit.stores.sqlite_file import anchor_path, ledger_path
from tacit.verbs.base import Shared

if TYPE_CHECKING:
    from tacit.models.embedding import Embedder
    from tacit.ops.settings import Settings

_log = logging.getLogger("tacit.opening")


class OpenStore:
    """An open store and its journal. Hands out minds; close it when done, or use it as a context manager.

    One that is left unclosed is closed when neither it nor any mind or episode of it is referred to any more, with a
    ResourceWarning. (One that is still there when the program ends is not closed; only buffered steps are written.)

    Args:
        embedder: one of the caller's own; None: the one that the settings name.
    """

    def __init__(
        self, store: Store, settings: Settings, *, clock: Clock, entropy: Entropy, embedder: TextEmbedder | None = None
    ) -> None:
        from tacit.journal.masking import Masker, NoMasking

        self.settings = settings
        self.store = store
        self._entropy = entropy
        limits = settings.limits.to_limits()
        if embedder is None:
            embedder = shared_embedder(settings.learning.embedder)
        self._limits = limits
        self._minds: dict[tuple[str, str], MindInfo] = {}
        self._lock = threading.RLock()  # guards _minds
        self.journal = Journal(
            store,
            projections=projections(limits),
            consumers=view_consumers(),
            helper=helper_of(store, view_consumers),
            thinkers=thinkers(clock, policies.study_policy(settings), embedder, store),
            masker=Masker() if settings.masking.enabled else NoMasking(),
            clock=clock,
            entropy=entropy,
            options=policies.journal_options(settings, store, anchor_of(store, settings)),
            allowance=Allowance(policies.bounds(settings)),
        )
        self.backups = Backups(self.journal, policies.schedule(settings), entropy)
        ledger, scrubber = Ledger(_ledgers(store, settings)), Scrubber(store)
        self._shared = self._what_minds_share(embedder, Eraser(self.journal, keepers(), ledger.add, scrubber.scrub))
        counters = Counters(self._shared.cache.news)
        try:
            _apply_ledger(self.journal, ledger, scrubber)
            bring_episodes(self.journal)
        except BaseException:
            self.journal.close()  # nobody gets this store, so nobody else can stop its threads
            raise
        self.journal.start(
            self.backups.run_due,
            partial(self._shared.counsel.keep_up, store),
            partial(self._shared.uses.write_due, self.journal),
            partial(counters.write_due, self.journal),
            scrubber.run_due,
        )
        self._end = partial(_close, self.journal, store, (self._shared.uses.write, counters.write))
        self._abandoned = weakref.finalize(self, _abandon, self.journal, store, self._end)
        self._abandoned.atexit = False

    def _what_minds_share(self, embedder: TextEmbedder | None, eraser: Eraser) -> Shared:
        settings = self.settings
        patience = settings.learning.embedder_wait_seconds
        meaning = None if embedder is None else Meaning(embedder, patience=patience)
        cache = AnswerCache(settings.cache.bytes, settings.cache.ttl_seconds)
        return Shared(
            counsel=Counsel(
                meaning,
                window=settings.learning.window,
                withholding=policies.withholding(settings),
                forget=getattr(embedder, "forget", lambda: None),
            ),
            backups=self.backups,
            buffering=policies.buffering(settings),
            retention=policies.retention(settings),
            episode_retention=policies.episode_retention(settings),
            cache=cache,
            recaller=Recaller(
                Serving(meaning, partial(former_embedder, named=settings.learning.former_embedder)),
                VectorIndex(),
                cache,
            ),
            uses=Uses(),
            eraser=eraser,
        )

    @property
    def location(self) -> str:
        """Where the store is, without secrets."""
        return self.store.location

    def mind(self, name: str = "default", *, tenant: str = "default") -> Mind:
        """A mind of this store, created when it does not exist yet."""
        check_name(tenant, "tenant")
        check_name(name, "mind")
        with self._lock:
            info = self._minds.get((tenant, name))
        if info is None:
            info = open_mind(self.journal, self._entropy, tenant, name)
            with self._lock:
                self._minds[tenant, name] = info
        return Mind(Recorder(self.journal, info, self._limits, keeper=self), self._shared)

    def minds(self) -> list[MindInfo]:
        """Every mind in the store."""
        with self.store.snapshot() as snapshot:
            return list_minds(snapshot)

    def cache_use(self) -> dict[str, CacheUse]:
        """How the caches of all processes that have had this store open have done, to some seconds ago: of episodes
        that were read, and of answers of recall."""
        with self.store.snapshot() as snapshot:
            return use_of(read_counters(snapshot))

    def backup(self, target: str | Path) -> BackupInfo:
        """Write a verified copy of the whole store while it is in use.

        Args:
            target: a folder (the copy gets a name with the time), or a file that does not exist yet.
        """
        return self.backups.create(path_of(target, "the target"))

    def close(self) -> None:
        """Finish what was begun, sign what is unsigned, and let the database go.

        Done when it returns, unless one of the journal's own threads calls it (which happens where the garbage
        collector runs somebody's ``__del__``): that one cannot wait for itself, so another one does it.
        """
        self._abandoned.detach()
        if self.journal.in_own_thread():
            threading.Thread(target=self._end, name="tacit-close").start()
            return
        self._end()

    def __enter__(self) -> OpenStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with beside(error, "closing the store"):
            self.close()


def _close(journal: Journal, store: Store, last: Sequence[Callable[[Journal], None]]) -> None:
    try:
        for write in () if store.read_only else last:
            with contextlib.suppress(TacitError):  # counts are not worth an error at the end
                write(journal)
        journal.close()
    finally:
        store.close()


def _abandon(journal: Journal, store: Store, end: Callable[[], None]) -> None:
    """The end of an unclosed store. Any thread may be the one that drops it, even the journal's own, so none waits."""
    if journal.writer.forked:  # the store is the parent's
        return
    threading.Thread(target=end, name="tacit-close").start()
    warnings.warn(
        f"the store {store.location} was never closed; call close(), or use it in a 'with' block",
        ResourceWarning,
        stacklevel=3,
    )


def anchor_of(store: Store, settings: Settings) -> Path | None:
    """Where the store's anchor file is: as set, else beside the file; None for memory, and for a server unless set."""
    if settings.journal.anchor:
        return Path(settings.journal.anchor)
    path = getattr(store, "path", None)
    return anchor_path(path) if path is not None else None


def _ledgers(store: Store, settings: Settings) -> list[Path]:
    """Where it is kept what was erased: beside the anchor, and among the scheduled backups."""
    anchor, directory = anchor_of(store, settings), settings.backup.directory
    beside_anchor = [] if anchor is None else [ledger_path(anchor)]
    return [*beside_anchor, *([Path(directory) / LEDGER_NAME] if directory else [])]


def _apply_ledger(journal: Journal, ledger: Ledger, scrubber: Scrubber) -> None:
    """Erase again what an older file that was copied back still holds, and write down what the ledger lacks."""
    store = journal.store
    if store.read_only:
        return
    missing = ledger.missing(store)
    for entry in missing:
        journal.submit(applying(entry, journal.preparer), bounded=False).result()
    if missing:
        scrubber.scrub()
    ledger.add_missing(store)


def projections(limits: Limits | None = None) -> list[Projection]:
    """What folds events into views. Without limits, as for a replay: what was accepted once is not judged again."""
    views: list[Projection] = [MindProjection(), EpisodeProjection(limits), EpisodeMemoryProjection()]
    views += [MemoryProjection(), ExposureProjection(), ErasureProjection(), ExpiryProjection(), LearnedProjection()]
    return views if limits is None else [Refusal(), *views]


def view_consumers() -> list[EventConsumer]:
    """What follows the journal in the background and keeps views."""
    episodes = RecentEpisodes()
    return [Tally(episodes), Lessons(episodes)]


def thinkers(
    clock: Clock,
    policy: StudyPolicy | None = None,
    embedder: TextEmbedder | None = None,
    store: Store | None = None,
) -> list[Consumer]:
    """What follows the journal in the background and takes its time."""
    study = Study(clock, policy, embedder, store)
    # study waits for vectors: where both take turns, they come first
    return [study] if embedder is None else [Vectors(embedder), MemoryVectors(embedder), study]


_ATTEMPTS, _PAUSE_SECONDS = 2, 0.2
"""Calls of a server of embeddings before it counts as away, and the seconds between them."""
_TEXTS_REMEMBERED = 10_000
"""Vectors of texts that came last, about 20 MB: agents are given the same tasks again and again."""


@cache
def shared_embedder(name: str) -> TextEmbedder | None:
    """The embedder of that name, one for the whole process: it takes memory, and learns nothing."""
    from tacit.models.circuit_breaker import CircuitBreaker
    from tacit.models.embedders import is_server, open_embedder

    # few attempts: whoever makes vectors tries again, and whoever asks a question must not wait
    embedder = open_embedder(name, attempts=_ATTEMPTS, pause=_PAUSE_SECONDS, retry_level=logging.DEBUG)
    if embedder is not None and is_server(name):
        embedder = CircuitBreaker(embedder)
    return _remembering(embedder)


@cache
def former_embedder(fingerprint: str, named: str = "") -> TextEmbedder | None:
    """The embedder of a fingerprint that a store names, one for the whole process; None unless it comes with Tacit, or
    is the one of that name, which somebody has set."""
    from tacit.models.embedders import embedder_by

    try:
        own = shared_embedder(named) if named else None
        return own if own is not None and own.fingerprint == fingerprint else _remembering(embedder_by(fingerprint))
    except ModelError as error:
        _log.warning("the former embedder %s cannot be opened: %s", fingerprint, error)
        return None


def _remembering(embedder: Embedder | None) -> TextEmbedder | None:
    from tacit.models.embedding_cache import CachedEmbedder, EmbeddingCache

    return None if embedder is None else CachedEmbedder(embedder, EmbeddingCache(_TEXTS_REMEMBERED))


def open_store(
    location: str | Path | None = None,
    *,
    passphrase: str | None = None,
    key_file: str | Path | None = None,
    settings: Settings | None = None,
    create: bool = True,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> OpenStore:
    """Open a store: a file, ``":memory:"`` or ``postgresql://…``; the setting ``store`` when None.

    A file that this user may read, but not write, can be read; what writes raises ReadOnly.

    Args:
        passphrase: encrypts a new file, and opens an encrypted one. ``key_file`` names a file that holds it.
        settings: as loaded with ``tacit.ops.settings.load``; loaded from the environment and ``tacit.yaml`` when None.
        create: make a new store when there is none.
        clock, entropy: where time and randomness come from; the system's when None.

    Raises:
        NotAStore, PermissionDenied, SchemaMismatch, StoreUnavailable, …: each says what to do; nothing was changed.
    """
    if settings is None:
        from tacit.ops.settings import load

        settings = load().settings
    if passphrase is None and key_file is not None:
        passphrase = read_key_file(key_file)
    store = open_database(**database_options(settings, location, passphrase), create=create)
    try:
        return OpenStore(store, settings, clock=clock or SystemClock(), entropy=entropy or SystemEntropy())
    except BaseException as error:
        with beside(error, "closing the store"):
            store.close()
        raise


def database_options(
    settings: Settings, location: str | Path | None = None, passphrase: str | None = None
) -> dict[str, Any]:
    """What ``tacit.stores.opening.open_store`` needs, from settings."""
    if location is not None and not isinstance(location, str | Path):
        raise InvalidInput(f"the store's location must be a text or a Path, not {type(location).__name__}")
    given = str(location) if location is not None else settings.store
    if "\0" in given:
        raise InvalidInput("the store's location holds the character U+0000, which no path has")
    if passphrase is not None and not isinstance(passphrase, str):
        raise InvalidInput(f"the passphrase must be a text, not {type(passphrase).__name__}")
    if not is_postgres(given):
        path_of(given, "the store's location")
    secret = settings.encryption.passphrase
    if passphrase is None and secret is not None and not is_postgres(given):
        passphrase = secret.get_secret_value()
    return {
        "location": given,
        "passphrase": passphrase,
        "busy_timeout": settings.journal.busy_timeout_seconds,
        "pool_min": settings.postgres.pool_min,
        "pool_max": settings.postgres.pool_max,
        "pool_timeout": settings.postgres.pool_timeout_seconds,
    }


def open_mind_alone(
    location: str | Path | None = None, *, mind: str | None = None, tenant: str | None = None, **options: Any
) -> Mind:
    """Open a store and one mind of it; closing the mind closes the store. See :func:`open_store`.

    Args:
        mind, tenant: the settings ``mind`` and ``tenant`` when None. An empty name is refused: it comes from a variable
            that was never set, and would mix what belongs apart.
    """
    opened = open_store(location, **options)
    try:
        chosen = opened.settings
        found = opened.mind(chosen.mind if mind is None else mind, tenant=chosen.tenant if tenant is None else tenant)
    except BaseException as error:
        with beside(error, "closing the store"):
            opened.close()
        raise
    found.owned = opened
    return found
