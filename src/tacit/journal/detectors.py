"""What a secret looks like by itself: keys and tokens whose shape gives them away.

The shapes come from the `detect-secrets` library, so that others keep them up to date, and from a short list of
our own for shapes that its release 1.5 does not know. Some are left out on purpose:

* the two entropy detectors: ids, hashes and base64 data look random too, and agent text is full of them;
* public IP addresses: they are not secrets, and an agent's observations need them;
* its keyword detector: it judges lines of source files; ``named_secrets`` does that work for JSON and free text.

Two are replaced by patterns of our own: the private key detector knows the first line only, and the npm detector
takes everything to the end of the line, which in JSON may be a whole document.

The library's patterns are run by RE2, not by Python's own engine, for two reasons. RE2 takes time linear in the
text, while some of the patterns (npm, JSON Web Token, IBM) take quadratic or cubic time with backtracking, which a
hostile observation could use. And RE2 is fast enough to look at every event before it is written. Texts are UTF-8
bytes and patterns are read as Latin-1, so case-insensitive patterns fold ASCII letters only.

The library costs about 0.1 s to import (it brings an HTTP client along), so it is loaded by ``load_detectors``
only, which the masker calls when it meets its first suspect.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import re2

_WHOLE, _VALUE = False, True

LIBRARY: tuple[tuple[str, str, bool], ...] = (
    ("aws", "AWSKeyDetector", _VALUE),
    ("azure_storage_key", "AzureStorageKeyDetector", _WHOLE),
    ("discord", "DiscordBotTokenDetector", _WHOLE),
    ("github_token", "GitHubTokenDetector", _WHOLE),
    ("gitlab_token", "GitLabTokenDetector", _WHOLE),
    ("jwt", "JwtTokenDetector", _WHOLE),
    ("mailchimp", "MailchimpDetector", _WHOLE),
    ("openai", "OpenAIDetector", _WHOLE),
    ("pypi_token", "PypiTokenDetector", _WHOLE),
    ("sendgrid", "SendGridDetector", _WHOLE),
    ("slack", "SlackDetector", _WHOLE),
    ("square_oauth", "SquareOAuthDetector", _WHOLE),
    ("stripe", "StripeDetector", _WHOLE),
    ("telegram_token", "TelegramBotTokenDetector", _WHOLE),
    ("twilio", "TwilioKeyDetector", _WHOLE),
    ("artifactory", "ArtifactoryDetector", _WHOLE),
    ("cloudant", "CloudantDetector", _VALUE),
    ("softlayer", "SoftlayerDetector", _VALUE),
    ("ibm_cos_hmac", "IbmCosHmacDetector", _VALUE),
    ("ibm_cloud_iam", "IbmCloudIamDetector", _VALUE),
    ("basic_auth", "BasicAuthDetector", _VALUE),
)
"""Module and class in ``detect_secrets.plugins``, most telling first, and what of a match is the secret: all of it
or, where a pattern has groups, its first group."""


class Detector(NamedTuple):
    """One shape of secret: its name, an RE2 pattern whose first group is the secret, and a last check of it."""

    label: str
    pattern: Any
    accepts: Callable[[bytes], bool]


_DIGIT = re.compile(rb"[0-9]")


def _always(_secret: bytes) -> bool:
    return True


def _has_digit(secret: bytes) -> bool:
    return _DIGIT.search(secret) is not None


def _has_digit_and_small_letter(secret: bytes) -> bool:
    return _has_digit(secret) and secret != secret.upper()


_PRIVATE_KEY_BLOCK = (
    # An armoured key counts from BEGIN to END, or to the end of the text if the END was cut off.
    r"(?s:(-*BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*?(?:END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]*-*|\z)"
    r"|PuTTY-User-Key-File-[0-9].*?(?:Private-MAC: ?[0-9a-fA-F]*|\z)))"
)

_OWN: tuple[tuple[str, str, Callable[[bytes], bool]], ...] = (
    ("Private Key", _PRIVATE_KEY_BLOCK, _always),
    ("Anthropic Key", r"(?:^|[^A-Za-z0-9])(sk-ant-[A-Za-z0-9_-]{16,})", _always),
    (
        "OpenAI Token",
        r"(?:^|[^A-Za-z0-9])(sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{32,})",
        _has_digit,
    ),
    ("OpenRouter Key", r"(?:^|[^A-Za-z0-9])(sk-or-v1-[0-9a-f]{32,})", _always),
    ("Google API Key", r"(AIza[A-Za-z0-9_-]{35})", _always),
    ("GitHub Token", r"(github_pat_[A-Za-z0-9_]{22,})", _always),
    ("Hugging Face Token", r"(?:^|[^A-Za-z0-9_])(hf_[A-Za-z0-9]{30,})", _always),
    ("NPM tokens", r"(?:^|[^A-Za-z0-9_])(npm_[A-Za-z0-9]{36,})", _always),
    ("Slack Token", r"((?:xapp|xox[a-z](?:\.xox[a-z])?)-[A-Za-z0-9]+-[A-Za-z0-9-]{10,})", _has_digit),
    ("Groq Key", r"(?:^|[^A-Za-z0-9_])(gsk_[A-Za-z0-9]{40,})", _always),
    ("NPM tokens", r":_authToken= *([A-Za-z0-9_-]+)", _always),
)

_OWN_AND_GENERAL: tuple[tuple[str, str, Callable[[bytes], bool]], ...] = (
    # A user name may be absent (redis://:secret@host), and quotes end a URL in running text.
    ("Basic Auth Credentials", r"://[^][\s/?#@\"'<>:]*:([^][\s/?#@\"'<>]+)@", _always),
    ("Bearer Token", r"(?i:bearer) +([A-Za-z0-9._~+/-]{16,}=*)", _has_digit),
)

_DOUBTFUL: dict[str, Callable[[bytes], bool]] = {
    # The library's AP… shape also fits words and order numbers in capitals ("AP123456789").
    "Artifactory Credentials": _has_digit_and_small_letter,
}

TRACES = (
    # AWS: an access key id; a quoted 40-character key somewhere after "aws … key".
    r"(?:A3T|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}",
    r"(?i:aws.*(?:key|pwd|pw|pass|token)).*['\"][0-9A-Za-z/+\\]{40}",
    r"AccountKey=",
    r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}",
    r"gh[pousr]_[A-Za-z0-9_]{36}",
    r"gl[a-z]{2,5}-[A-Za-z0-9_-]{20}|GR1348941",
    r"eyJ[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]",
    r"[0-9a-z]-us[0-9]",
    r"T3BlbkFJ|sk-(?:ant|proj|svcacct|admin|None|or-v1)-|sk-[A-Za-z0-9]{32}",
    r"pypi-AgE",
    r"SG\.[A-Za-z0-9_-]{22}\.",
    r"(?i:xox[a-z][.-]|hooks\.slack\.com)|xapp-",
    r"sq0csp-",
    r"[rs]k_live_",
    r"[0-9]:[A-Za-z0-9_-]{35}",
    r"(?:AC|SK)[a-z0-9]{32}",
    r"AKC[A-Za-z0-9]{10}|AP[0-9A-F][A-Za-z0-9]{8}",
    r":_authToken=",
    # user:password@ in a URL. A quote ends the string unless a backslash stands before it.
    r":\\*/\\*/(?:[^ \"/?#@\\]|\\.)*@",
    # IBM, Cloudant and SoftLayer: any "key" or "token", then a long run, with quotes, escapes or "=" between.
    r"(?i:(?:key|pwd|pw|password|pass|token)[\\\"'\]=:> ]+[A-Za-z0-9_-]{44})",
    r"(?i:cl(?:ou|oudant)?[_-]?(?:api)?(?:key|pwd|pw|password|pass|token)[\\\"'\]=:> ]+[a-z]{24})",
    r"(?i:softlayer)",
    r"AIza[A-Za-z0-9_-]{35}|github_pat_|hf_[A-Za-z0-9]{30}|npm_[A-Za-z0-9]{36}|gsk_[A-Za-z0-9]{40}",
    r"PRIVATE KEY|PuTTY-User-Key-File-",
    r"(?i:bearer) +[A-Za-z0-9._~+/\\-]{16}",
    # A printable ASCII character that was written as an escape inside the text could hide any of the above.
    r"\\u00[2-7]",
)
"""RE2 sources that match the JSON bytes of a payload wherever a detector could match in one of its strings."""


def compile_pattern(source: str, *, captures: bool = True) -> Any:
    """An RE2 pattern over UTF-8 bytes, with the byte semantics that this module's docstring explains."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = not captures
    options.log_errors = False
    return re2.compile(source.encode("ascii"), options)


def load_detectors() -> tuple[Detector, ...]:
    """Every detector, the one whose label says most first. Imports the library: about 0.1 s, once."""
    own = [Detector(label, compile_pattern(source), accepts) for label, source, accepts in _OWN]
    kept = [detector for entry in LIBRARY for detector in _from_library(*entry)]
    general = [Detector(label, compile_pattern(source), accepts) for label, source, accepts in _OWN_AND_GENERAL]
    return (*own, *kept, *general)


def find_secrets(detector: Detector, text: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of every secret of this shape, widened to whole words so that no tail of a key stays."""
    done = 0
    while (match := detector.pattern.search(text, done)) is not None:
        start, end = _trimmed(text, *match.span(1))
        before = text[done:start]
        wide_start = start - (len(before) - len(before.rstrip(_WORD)))
        wide_end = _REST_OF_WORD.match(text, end).end()  # type: ignore[union-attr]  # it matches the empty rest too
        if detector.accepts(text[start:end]):
            yield wide_start, wide_end
        done = wide_end


_WORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
_REST_OF_WORD = re.compile(rb"[A-Za-z0-9_-]*")


def _trimmed(text: bytes, start: int, end: int) -> tuple[int, int]:
    """Without the delimiters that some library patterns include: they must stay, and the next match needs them."""
    found = text[start:end]
    return end - len(found.lstrip(b' \t\r\n\f=:"')), start + len(found.rstrip(b' \t\r\n\f"'))


def _from_library(module: str, name: str, value_only: bool) -> list[Detector]:
    plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
    label = plugin.secret_type
    accepts = _DOUBTFUL.get(label, _always)
    return [Detector(label, compile_pattern(_for_re2(kept, value_only)), accepts) for kept in plugin.denylist]


_BEGIN = r"(?:(?<=\W)|(?<=^))"
_NOT_FOLLOWED_BY = re.compile(r"\(\?!(?:\[([^\]]+)\]|\\w)\)(\)?)")
_LARGE_BOUND = re.compile(r"\{(\d+),\d{4,}\}")


def _for_re2(kept: re.Pattern[str], value_only: bool) -> str:
    """The library's pattern in RE2's language, which has no look-around and no bound above 1,000.

    A look-behind becomes a consumed character. So does a look-ahead after a value; after a whole token it is
    dropped, because a token that goes on is masked to the end of its word anyway.
    """
    source = _LARGE_BOUND.sub(r"{\1,}", kept.pattern.replace(_BEGIN, r"(?:^|\W)"))
    in_group = value_only and kept.groups > 0
    source = _NOT_FOLLOWED_BY.sub(_consumed if in_group else r"\2", source)
    source = source if in_group else f"({source})"
    return f"(?i:{source})" if kept.flags & re.IGNORECASE else source


def _consumed(look_ahead: re.Match[str]) -> str:
    other = f"[^{look_ahead[1]}]" if look_ahead[1] else r"\W"
    return f"{look_ahead[2]}(?:{other}|$)"
