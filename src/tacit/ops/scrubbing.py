"""Takes what was erased out of the files: at once, or as soon as nobody reads as of an earlier time any more."""

from __future__ import annotations

import logging
import time

from tacit.errors import StoreError
from tacit.stores.port import Store

_log = logging.getLogger("tacit.ops.scrubbing")
_TRY_SECONDS, _PAUSE_SECONDS = 5.0, 0.05


class Scrubber:
    """Scrubs one store after erasing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left = False

    def scrub(self) -> None:
        """Try for some seconds; what is left is tried again by :meth:`run_due`."""
        deadline = time.monotonic() + _TRY_SECONDS
        while not self._done():
            if time.monotonic() > deadline:
                self._left = True
                _log.warning("what was erased is still in the log of the store, since somebody reads from before it")
                return
            time.sleep(_PAUSE_SECONDS)
        self._left = False

    def run_due(self) -> None:
        """Try once more, if anything is left."""
        if self._left and self._done():
            self._left = False
            _log.info("what was erased is out of the log of the store now")

    def _done(self) -> bool:
        try:
            return self._store.scrub()
        except StoreError as error:
            _log.debug("the store could not be scrubbed: %s", error)
            return False
