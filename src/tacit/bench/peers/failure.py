"""What goes wrong with a peer: told in the report, and in no way the end of a bench."""

from __future__ import annotations


class PeerFailed(Exception):  # noqa: N818 - as those of Tacit, it says what happened
    """A peer cannot be installed, failed, or did not answer in time; the message is its own."""
