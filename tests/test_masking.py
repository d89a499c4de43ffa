"""Secrets never reach the journal, ordinary text does, and the quick look never misses what the search finds."""

from __future__ import annotations

import base64
import importlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.journal.detectors import LIBRARY
from tacit.journal.masking import Masker, NoMasking

pytestmark = pytest.mark.requirement("JR-18")

MASKER = Masker()


class UnhurriedMasker(Masker):
    """Searches every string in depth, so that the quick look can be judged against it."""

    def suspects(self, body: bytes) -> bool:
        return True


UNHURRIED = UnhurriedMasker()


def body_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def run_of(length: int, alphabet: str = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z") -> str:
    return (alphabet * (length // len(alphabet) + 1))[:length]


HEX = "0123456789abcdef9876543210fedcba"
SMALL = "a1b2c3d4e5f6g7h8"
LETTERS = "abcdefghijklmnopqrstuvwx"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","name":"Nobody"}', bytes(range(32)))
)

# label, what stands before the secret, the secret, what stands after it. Put together from parts, so that nobody's
# scanner takes this file for a leak.
SAMPLES: list[tuple[str, str, str, str]] = [
    *(("AWS Access Key", "", start + run_of(16, "ABCD2345EFGH6789"), "") for start in ("AKIA", "ASIA", "ABIA", "A3TX")),
    ("AWS Access Key", "aws_key: '", run_of(40, "aB/cD+12"), "'"),
    ("Azure Storage Account access key", "", "AccountKey=" + run_of(86) + "==", ""),
    ("Discord Bot Token", "", "M" + run_of(23) + "." + run_of(6) + "." + run_of(27), ""),
    *(("GitHub Token", "", f"gh{kind}_" + run_of(36), "") for kind in "pousr"),
    ("GitHub Token", "", "github_pat_" + run_of(22) + "_" + run_of(59), ""),
    *(("GitLab Token", "", f"{kind}-" + run_of(20), "") for kind in ("glpat", "gldt", "glft", "glsoat", "glrt")),
    ("GitLab Token", "", "glpat-" + run_of(80), ""),
    ("GitLab Token", "", "GR1348941" + run_of(20), ""),
    ("GitLab Token", "", "glcbt-a0_" + run_of(20), ""),
    ("GitLab Token", "", "glimt-" + run_of(25), ""),
    ("GitLab Token", "", "glptt-" + run_of(40), ""),
    ("GitLab Token", "", "glagent-" + run_of(50), ""),
    ("GitLab Token", "", "gloas-" + run_of(64), ""),
    ("JSON Web Token", "", JWT, ""),
    ("Mailchimp Access Key", "", run_of(32, HEX) + "-us12", ""),
    ("OpenAI Token", "", "sk-" + run_of(20) + "T3BlbkFJ" + run_of(20), ""),
    ("OpenAI Token", "", "sk-a-b_c" + run_of(20) + "T3BlbkFJ" + run_of(20), ""),
    ("OpenAI Token", "", "sk-proj-" + run_of(60), ""),
    ("Anthropic Key", "", "sk-ant-" + "api03-" + run_of(90), ""),
    ("OpenRouter Key", "", "sk-or-v1-" + run_of(64, HEX), ""),
    ("Google API Key", "", "AIza" + run_of(35), ""),
    ("Groq Key", "", "gsk_" + run_of(52), ""),
    ("Hugging Face Token", "", "hf_" + run_of(34), ""),
    ("PyPI Token", "", "pypi-AgEIcHlwaS5vcmc" + run_of(50) + "-_" + run_of(50), ""),
    ("PyPI Token", "", "pypi-AgENdGVzdC5weXBpLm9yZw" + run_of(90), ""),
    ("SendGrid API Key", "", "SG." + run_of(22) + "." + run_of(43), ""),
    ("Slack Token", "", "xoxb-123456789012-1234567890123-" + run_of(24), ""),
    ("Slack Token", "", "xapp-1-A012345678-" + run_of(40), ""),
    ("Slack Token", "", "https://hooks.slack.com/services/T" + run_of(8) + "/B" + run_of(8) + "/" + run_of(24), ""),
    ("Square OAuth Secret", "", "sq0csp-" + run_of(43), ""),
    ("Stripe Access Key", "", "sk_live_" + run_of(24), ""),
    ("Stripe Access Key", "", "rk_live_" + run_of(99), ""),
    ("Telegram Bot Token", "", "1234567890:" + run_of(35), ""),
    ("Twilio API Key", "", "AC" + run_of(32, HEX), ""),
    ("Twilio API Key", "", "SK" + run_of(32, HEX), ""),
    ("Artifactory Credentials", "", "AKC" + run_of(40), ""),
    ("Artifactory Credentials", "", "AP5" + run_of(30), ""),
    ("NPM tokens", "", "npm_" + run_of(36), ""),
    ("NPM tokens", "//registry.example.org/:_authToken=", "0123abcd-0123-4567-89ab-0123456789ab", ""),
    ("NPM tokens", "//registry.example.org/:_authToken=", "npm_" + run_of(12), ""),
    ("Basic Auth Credentials", "postgresql://scott:", "tiger-of-9-tails", "@db.example.org/main"),
    ("Basic Auth Credentials", "redis://:", "s3cr3tP!ss", "@cache.example.org:6379/0"),
    ("Cloudant Credentials", "cloudant_password = ", run_of(64, HEX), ""),
    ("Cloudant Credentials", "cl_key ", run_of(24, LETTERS), ""),
    ("Cloudant Credentials", "https://account:", run_of(64, HEX), "@account.cloudant.com"),
    ("Cloudant Credentials", "https://account:", run_of(24, LETTERS), "@account.cloudant.com"),
    ("SoftLayer Credentials", "softlayer_api_key ", run_of(64, SMALL), ""),
    ("SoftLayer Credentials", "https://api.softlayer.com/soap/v3/", run_of(64, SMALL), ""),
    ("IBM COS HMAC Credentials", "ibm_cos_secret_access_key ", run_of(48, HEX), ""),
    ("IBM Cloud IAM Key", "ibm_cloud_key ", run_of(44), ""),
    ("Bearer Token", "curl with Bearer ", run_of(24), ""),
    ("Named Secret", "password=", "hunter2", ""),
    ("Named Secret", "PGPASSWORD='", "correct horse, battery", "'"),
    ("Named Secret", "deploy --api-key ", "zx81+qlqlql", ""),
    ("Named Secret", '{"client_secret": "', "swordfish", '"}'),
    ("Named Secret", '{"aws_secret_access_key": "', run_of(39, "aB/cD+12"), '"}'),
    ("Named Secret", "Authorization: Basic ", "dXNlcjpwYXNzd29yZA==", ""),
    ("Named Secret", "https://api.example.org/v1?token=", "4f5c2d9e8b7a6f", "&page=2"),
]


def planted(sample: tuple[str, str, str, str]) -> str:
    return "".join(sample[1:])


def name_of(sample: tuple[str, str, str, str]) -> str:
    return f"{sample[0]}: {sample[1]}{sample[2][:6]}"


def leaves_nothing_of(secret: str, value: Any) -> bool:
    """No eight characters of the secret (or all, if it has less) are left anywhere in the value."""
    text = json.dumps(value, ensure_ascii=False)
    size = min(8, len(secret))
    return not any(secret[i : i + size] in text for i in range(len(secret) - size + 1))


def nested(value: Any, times: int) -> Any:
    """JSON inside a string inside JSON …, as tool arguments and observations have it."""
    for _ in range(times):
        value = {"note": "é", "arguments": json.dumps(value)}
    return value


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_a_secret_in_a_value_is_replaced_by_a_mark_at_any_depth_of_json_in_strings(
    sample: tuple[str, str, str, str], depth: int
) -> None:
    label, _, secret, _ = sample
    payload = nested({"observation": ["first line\n" + planted(sample) + "\nlast line"]}, depth)
    assert MASKER.suspects(body_of(payload))
    masked, count = MASKER.mask(payload)
    assert count == 1
    assert leaves_nothing_of(secret, masked)
    assert f"[masked: {label}]" in json.dumps(masked)
    assert "first line" in json.dumps(masked)
    assert "last line" in json.dumps(masked)


@pytest.mark.parametrize("sample", SAMPLES, ids=name_of)
def test_a_secret_in_the_key_of_an_object_is_masked_and_its_value_stays(sample: tuple[str, str, str, str]) -> None:
    payload = {planted(sample): 1}
    assert MASKER.suspects(body_of(payload))
    masked, count = MASKER.mask(payload)
    assert count == 1
    assert leaves_nothing_of(sample[2], masked)
    assert list(masked.values()) == [1]


def test_every_pattern_of_the_library_has_a_sample_that_it_knows() -> None:
    texts = [planted(sample) for sample in SAMPLES]
    for module, name, _ in LIBRARY:
        plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
        for pattern in plugin.denylist:
            if plugin.secret_type != "Private Key":
                assert any(pattern.search(text) for text in texts), f"no sample for {plugin.secret_type}: {pattern}"


def test_every_token_detector_of_the_library_is_used_except_those_left_out_on_purpose() -> None:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    left_out = {"KeywordDetector", "IPPublicDetector", "Base64HighEntropyString", "HexHighEntropyString"}
    by_own_pattern = {"PrivateKeyDetector", "NpmDetector"}
    known = {plugin.__name__ for plugin in get_mapping_from_secret_type_to_class().values()}
    assert known == {name for _, name, _ in LIBRARY} | left_out | by_own_pattern


PEM_BODY = "\n".join(run_of(64) for _ in range(12))
PRIVATE_KEYS = [
    f"-----BEGIN {kind}-----\n{PEM_BODY}\n-----END {kind}-----"
    for kind in (
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    )
] + [f"PuTTY-User-Key-File-{n}: ssh-rsa\nPrivate-Lines: 12\n{PEM_BODY}\nPrivate-MAC: {HEX}" for n in (2, 3)]


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("key", PRIVATE_KEYS, ids=lambda key: key[:30])
def test_a_private_key_is_masked_from_begin_to_end_and_the_text_around_it_stays(key: str, depth: int) -> None:
    payload = nested({"file": f"before\n{key}\nafter"}, depth)
    assert MASKER.suspects(body_of(payload))
    masked, count = MASKER.mask(payload)
    assert count == 1
    assert leaves_nothing_of(run_of(64), masked)
    assert "PRIVATE" not in json.dumps(masked)
    assert "before" in json.dumps(masked)
    assert "after" in json.dumps(masked)


@pytest.mark.parametrize("key", PRIVATE_KEYS, ids=lambda key: key[:30])
def test_a_private_key_that_is_cut_off_is_masked_to_the_end(key: str) -> None:
    masked, count = MASKER.mask(f"before\n{key[:300]}")
    assert (masked, count) == ("before\n[masked: Private Key]", 1)


SECRET_NAMES = [
    *("password", "Password", "passwd", "db_password", "DB-PASSWORD", "userPassword", "pwd", "passphrase", "pass_word"),
    *("secret", "client_secret", "clientSecret", "Client Secret", "secret_key", "aws_secret_access_key"),
    *("api_key", "apikey", "apiKey", "API-KEY", "x-api-key", "openai_api_key", "private_key", "privateKey", "authKey"),
    *("access_token", "accessToken", "refresh_token", "auth-token", "sessionToken", "password2", "credentials"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_value_under_a_secret_name_is_masked_as_a_whole(name: str) -> None:
    payload = {"user": "mia", name: "swordfish and 2 more", "n": 12}
    assert MASKER.suspects(body_of(payload))
    assert MASKER.mask(payload) == ({"user": "mia", name: "[masked: Named Secret]", "n": 12}, 1)


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "form", ['{{"{}": "@"}}', "{}=@", "{} = '@'", "{}: @7", 'export {}="@" # set', "'{}' => '@'", "f({}='@', x=1)"]
)
def test_a_secret_name_inside_a_text_has_its_value_masked(name: str, form: str) -> None:
    text = "one two\n" + form.format(name).replace("@", "swordfish") + "\nthree"
    assert MASKER.suspects(body_of(text))
    masked, count = MASKER.mask(text)
    assert count == 1
    assert "swordfish" not in masked
    assert name in masked
    assert masked.startswith("one two\n")
    assert masked.endswith("\nthree")


def test_a_list_under_a_secret_name_is_masked_item_by_item() -> None:
    payload = {"api_keys": ["first-one", {"id": 7}, ["second-one"]]}
    masked = {"api_keys": ["[masked: Named Secret]", {"id": 7}, ["[masked: Named Secret]"]]}
    assert MASKER.suspects(body_of(payload))
    assert MASKER.mask(payload) == (masked, 2)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (r'{"password": "ab\"cd\\ef", "x": 1}', r'{"password": "[masked: Named Secret]", "x": 1}'),
        ("password: swordfish\nuser: mia", "password: [masked: Named Secret]\nuser: mia"),
        ("mysql -u mia --password sw0rdfish -h db", "mysql -u mia --password [masked: Named Secret] -h db"),
        ('-H "Authorization: Bearer abcDEF123456ghi"', '-H "Authorization: Bearer [masked: Named Secret]"'),
        ("Server=db;Uid=mia;Pwd=tiger;", "Server=db;Uid=mia;Pwd=[masked: Named Secret];"),
        ("GITHUB_TOKEN=abc123def456", "GITHUB_TOKEN=[masked: Named Secret]"),
        ("pass\\u0077ord=hunter2", "pass\\u0077ord=[masked: Named Secret]"),
    ],
)
def test_exactly_the_value_is_masked(text: str, left: str) -> None:
    assert MASKER.suspects(body_of(text))
    masked, count = MASKER.mask(text)
    assert count == 1
    assert masked.replace("Bearer Token", "Named Secret") == left


def test_a_long_unclosed_or_bare_value_leaves_no_tail() -> None:
    assert MASKER.mask('password: "' + "x1" * 5_000) == ('password: "[masked: Named Secret]', 1)
    assert MASKER.mask("password=" + "x1." * 5_000 + " end") == ("password=[masked: Named Secret] end", 1)


HARMLESS = [
    "the password is required and the secret santa list is on the table",
    "Password: required",
    "I forgot my password: can you help me?",
    'input("Password: ") then input("Secret: ")',
    "token count: 12, max_tokens=4096, tokens: 1532",
    "use --password to set it, or --token and --api-key",
    "password = get_password(user); api_key=settings.api.key; secret=os.environ['X']",
    "api_key=${API_KEY} password={{ password }} token=<your token> secret=********",
    '{"password": null, "api_key": "", "token": "the", "secret": "none", "authorization": "approved"}',
    "next_page_token=CAUQAA12345678901234 and the page_token: abcdef123456789",
    "550e8400-e29b-41d4-a716-446655440000 and 9fceb02d0ae598e95dc970b74767f19372d6b8b1",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "order #W2611340, flight HAT271, reservation 4WQ150, gift_card_7250692, AP123456789, APARTMENTS",
    "at 2024-05-15T15:00:00 from https://example.org:8080/a@b?x=1, mail mia@example.org",
    "put the key 1 in the keychain, pass the lobby, walk past the laws of the task-proj-office",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "PWD=/srv/mia and $PWD, bearer of good news, the bearer certificates-of-deposit",
    "password_hint: your first pet; secret_name=main; token_type: bearer; api_key_id=17",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_left_alone_and_returned_as_the_same_object(text: str) -> None:
    payload = {"steps": [{"observation": text, "n": 1}], "parameters": {"text": [text]}}
    masked, count = UNHURRIED.mask(payload)
    assert masked is payload
    assert count == 0


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "plain", [], {}, [[]], {"password": 1}, {"secret": None}])
def test_values_without_secrets_are_returned_as_the_same_object(value: Any) -> None:
    masked, count = UNHURRIED.mask(value)
    assert masked is value
    assert count == 0


def test_what_was_given_is_not_changed_and_parts_without_secrets_are_shared() -> None:
    clean = {"a": [1, 2]}
    payload = {"clean": clean, "token": planted(SAMPLES[0])}
    before = json.dumps(payload)
    masked, _ = MASKER.mask(payload)
    assert json.dumps(payload) == before
    assert masked["clean"] is clean


def test_each_secret_is_counted_once() -> None:
    first, second = planted(SAMPLES[0]), planted(SAMPLES[6])
    masked, count = MASKER.mask({"a": f"{first}, {second} {first}", "api_key": second, second: first})
    assert count == 6
    assert leaves_nothing_of(first, masked)
    assert leaves_nothing_of(second, masked)


def test_several_artifactory_keys_beside_each_other_are_all_masked() -> None:
    keys = ["AKC" + run_of(20 + i) for i in range(4)]
    assert MASKER.mask(" ".join(keys)) == (" ".join(["[masked: Artifactory Credentials]"] * 4), 4)


def test_entries_whose_keys_leave_the_same_mark_are_all_kept() -> None:
    keys = ["AKIA" + letter * 16 for letter in "ABC"]
    masked, count = MASKER.mask({key: number for number, key in enumerate(keys)})
    assert count == 3
    assert masked == {
        "[masked: AWS Access Key]": 0,
        "[masked: AWS Access Key] 2": 1,
        "[masked: AWS Access Key] 3": 2,
    }


def test_no_masking_leaves_everything_and_suspects_nothing() -> None:
    payload = {"password": planted(SAMPLES[0])}
    assert not NoMasking().suspects(body_of(payload))
    assert NoMasking().mask(payload) == (payload, 0)
    assert NoMasking().mask(payload)[0] is payload


def test_the_detectors_are_loaded_at_the_first_suspect_only() -> None:
    script = (
        "import sys\n"
        "from tacit.journal.masking import Masker\n"
        "masker = Masker()\n"
        'assert not masker.suspects(b\'{"observation":"all is well"}\')\n'
        "assert 'detect_secrets' not in sys.modules and 'requests' not in sys.modules\n"
        "assert masker.mask('password=hunter2') == ('password=[masked: Named Secret]', 1)\n"
        "assert 'detect_secrets' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


HOSTILE = [
    *("eyJ", "//x/:_authToken=", "sk-", "aws", "BEGIN PRIVATE KEY", "-", "\\", '\\"', "://a:", "1:", "a-us1", "AKC"),
    *("pwd=", 'pwd="', 'pwd="${', "pwd=a(", "pwd: ", "password ", "--password ", "\\u0070", "softlayerkey=" + "a" * 64),
    *("key" + " " * 50, "xoxb-1-", "M" + "a" * 23 + ".", "[masked: ", "Bearer ", "token=", "\\n", "pwd=\\\\\"x'\n"),
]


@pytest.mark.no_cover
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_is_searched_to_its_end(piece: str) -> None:
    text = (piece * (200_000 // len(piece)))[:200_000]
    masked, count = UNHURRIED.mask("key" + text + " " + planted(SAMPLES[0]))
    assert count >= 1
    assert leaves_nothing_of(SAMPLES[0][2], masked)


around = st.text(st.characters(codec="utf-8"), max_size=30)
separator = st.sampled_from([" ", "\n", "\t", '"', " é ", ", ", "\\n", '\\"', "\\\\n"])
end_separator = st.sampled_from([" ", "\n", '"', " é"])


@st.composite
def payloads_with_a_secret(draw: st.DrawFn) -> tuple[str, Any]:
    sample = draw(st.sampled_from(SAMPLES))
    text = draw(around) + draw(separator) + planted(sample) + draw(end_separator) + draw(around)
    value = draw(st.sampled_from([{"x": text}, [text], text, {"parameters": {"q": [1, text]}}, {text: None}]))
    times, ascii_only = draw(st.integers(0, 3)), draw(st.booleans())
    for _ in range(times):
        value = {draw(around): json.dumps(value, ensure_ascii=ascii_only)}
    return sample[2], value


@pytest.mark.no_cover
@settings(max_examples=400, deadline=None)
@given(payloads_with_a_secret())
def test_a_planted_secret_is_found_in_any_surroundings(case: tuple[str, Any]) -> None:
    secret, payload = case
    assert MASKER.suspects(body_of(payload))
    masked, count = MASKER.mask(payload)
    assert count >= 1
    assert leaves_nothing_of(secret, masked)
    again, more = UNHURRIED.mask(masked)
    assert more == 0
    assert again is masked


FRAGMENTS = [
    *(planted(sample) for sample in SAMPLES),
    *(sample[2] for sample in SAMPLES),
    *(sample[2][: len(sample[2]) // 2] for sample in SAMPLES),
    *("password", "api_key", "apiKey", "token", "secret", "Authorization", "pwd", "credentials", "--", "aws", "key"),
    *("=", ":", ": ", " = ", "=>", '"', "'", "`", "\\", '\\"', "\\n", "\\t", "\\u0022", "\\u0061", "\\u0009", "\\/"),
    *(" ", "\n", "\t", "é", "\u2028", "\x00", "\x1b", "{", "}", "[", "]", ",", "<", ">", "(", "@", "://", "$", "7a"),
    *("[masked: AWS Access Key]", "[masked: ", "Bearer ", "Basic ", "BEGIN PRIVATE KEY", "END PRIVATE KEY", "hunter2"),
]
fragmented = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
fragmented_json = st.recursive(
    fragmented,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(fragmented, inner, max_size=3),
        inner.map(lambda value: json.dumps(value, ensure_ascii=False)),
        inner.map(json.dumps),
    ),
    max_leaves=6,
)


@pytest.mark.no_cover
@settings(max_examples=800, deadline=None)
@given(fragmented_json)
def test_the_quick_look_never_misses_what_the_search_finds(payload: Any) -> None:
    masked, count = UNHURRIED.mask(payload)
    assert count == 0 or MASKER.suspects(body_of(payload))
    assert MASKER.mask(payload) == (masked, count)
    assert (masked is payload) == (count == 0)


@pytest.mark.no_cover
@settings(max_examples=800, deadline=None)
@given(fragmented_json)
def test_masking_again_changes_nothing(payload: Any) -> None:
    masked, _ = UNHURRIED.mask(payload)
    again, count = UNHURRIED.mask(masked)
    assert count == 0
    assert again is masked


@pytest.mark.no_cover
@settings(max_examples=200, deadline=None)
@given(st.recursive(around, lambda inner: st.lists(inner) | st.dictionaries(around, inner), max_leaves=8))
def test_any_text_passes_through_unbroken(payload: Any) -> None:
    masked, count = MASKER.mask(payload)
    assert count or masked is payload
    assert re.search(rb"\[masked: ", body_of(masked)) or count == 0
