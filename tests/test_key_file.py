"""A key file means the same wherever it is named: as an argument, or in the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tacit
from tacit.ops.settings import load
from trials import settings

pytestmark = pytest.mark.requirement("SE-05", "OP-01")

WAYS: dict[str, Callable[[Path, Path], tacit.Mind]] = {
    "argument": lambda store, key: tacit.open(store, key_file=key, settings=settings()),
    "setting": lambda store, key: tacit.open(
        store, settings=load({"encryption.key_file": str(key)}, environ={}).settings
    ),
}
each_way = pytest.mark.parametrize("way", WAYS)


@each_way
@pytest.mark.parametrize(
    ("text", "passphrase"),
    [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), (" a b \n", " a b "), ("a b\n\n", "a b\n")],
)
def test_one_line_end_at_the_end_does_not_count_and_everything_else_does(
    tmp_path: Path, way: str, text: str, passphrase: str
) -> None:
    key = tmp_path / "key"
    key.write_bytes(text.encode())
    WAYS[way](tmp_path / "a.db", key).close()
    tacit.open(tmp_path / "a.db", passphrase=passphrase, settings=settings()).close()


@each_way
@pytest.mark.parametrize(
    ("content", "says"), [(b"\n", "is empty"), (b"\xffsecret", "UTF-8"), (None, "cannot be read: No such file")]
)
def test_a_key_file_that_cannot_serve_is_named_and_its_content_is_not(
    tmp_path: Path, way: str, content: bytes | None, says: str
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(tacit.TacitError, match=says) as raised:
        WAYS[way](tmp_path / "a.db", key)
    assert f"the key file {key}" in raised.value.message
    told = repr(raised.value.as_dict()) + repr(raised.value.__cause__) + repr(raised.value.__context__)
    assert "secret" not in told
    assert not (tmp_path / "a.db").exists()
