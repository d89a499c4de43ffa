"""The embedder that comes with Tacit: its files, its vectors beside those of the fp32 model, its bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
import pytest

import tacit_minilm
from tacit.errors import ModelError
from tacit.models.minilm import DIMENSION, MiniLM

pytestmark = pytest.mark.requirement("RE-11")

FIXTURES = Path(__file__).parent / "fixtures" / "minilm"
TEXTS = (FIXTURES / "texts.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def cosines(left: Any, right: Any) -> Any:
    return (left * right).sum(axis=1)


def test_the_files_are_those_that_were_made_and_their_fingerprint_is_the_models(minilm: MiniLM) -> None:
    folder = tacit_minilm.folder()
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["sha256"]
    assert made == {name: sha256((folder / name).read_bytes()).hexdigest() for name in made}
    assert minilm.fingerprint == "all-MiniLM-L6-v2:" + ":".join(digest[:16] for digest in made.values())
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert made["model.int8.onnx"] in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_vectors_are_as_those_of_the_fp32_model(minilm: MiniLM) -> None:
    vectors = minilm.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), DIMENSION), numpy.float32)
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    found = cosines(vectors, numpy.load(FIXTURES / "fp32.npy"))
    assert found.mean() >= 0.99
    assert found.min() >= 0.97


def test_the_nearest_texts_are_those_of_the_fp32_model(minilm: MiniLM) -> None:
    ours, reference = minilm.embed(TEXTS), numpy.load(FIXTURES / "fp32.npy")
    hidden = 2 * numpy.eye(len(TEXTS))
    nearest = [(vectors @ vectors.T - hidden).argmax(axis=1) for vectors in (ours, reference)]
    assert (nearest[0] == nearest[1]).mean() >= 0.9


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("Cancel my booking and give me my money back", "refund a reservation", "rebook to a later flight"),
        ("Will it rain tomorrow?", "the weather forecast", "the stock market forecast"),
        ("The disk is full", "no space left on the device", "the moon is full tonight"),
        ("put a hot mug on the desk", "heat the cup, then place it on the table", "cool the lettuce in the fridge"),
    ],
)
def test_what_means_the_same_is_nearer_than_what_shares_words(minilm: MiniLM, text: str, near: str, far: str) -> None:
    vector, alike, unlike = minilm.embed([text, near, far])
    assert vector @ alike > vector @ unlike + 0.05


def test_a_text_has_the_same_vector_alone_and_in_any_batch(minilm: MiniLM) -> None:
    alone = numpy.vstack([minilm.embed([text]) for text in TEXTS])
    together = minilm.embed([*TEXTS, "word " * 300, *("x" * length for length in range(1, 200))])[: len(TEXTS)]
    assert cosines(alone, together).min() > 0.9999


def test_texts_in_other_languages_and_no_text_at_all_have_vectors(minilm: MiniLM) -> None:
    odd = ["", " \n\t", "顧客は予約をキャンセルしたい。", "שלום", "😀", "\0", "e\u0301" * 5, "x" * 5_000]
    vectors = minilm.embed(odd)
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert minilm.embed([]).shape == (0, DIMENSION)


def test_a_text_is_read_up_to_its_256th_token(minilm: MiniLM) -> None:
    read = "word " * 253  # with the two marks 255 tokens
    near, same, cut = minilm.embed([read, read + "ocean", read + "ocean and a million words that are not read " * 50])
    assert cosines(same[None], cut[None])[0] > 0.99999
    assert cosines(same[None], near[None])[0] < 0.99999


def test_threads_share_one_model(minilm: MiniLM) -> None:
    fresh, expected = MiniLM(), minilm.embed(TEXTS)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(fresh.embed(TEXTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(cosines(vectors, expected).min() > 0.9999 for vectors in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_embeds_too_and_ends() -> None:
    program = (
        "import os, sys; from tacit.models.minilm import MiniLM; model = MiniLM()\n"
        "texts = ['a b c', 'word ' * 300] * 20; vectors = model.embed(texts)\n"
        "if child := os.fork():\n    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "sys.exit(0 if abs((model.embed(texts) * vectors).sum(axis=1) - 1).max() < 1e-4 else 1)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]  # Python warns of every fork beside a thread of numpy
    ran = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux lists them")
def test_the_model_keeps_no_thread_and_so_nobody_who_reports_to_the_maker_of_onnxruntime() -> None:
    program = (
        "import os, numpy; before = len(os.listdir('/proc/self/task'))\n"
        "from tacit.models.minilm import MiniLM; MiniLM().embed(['a text', 'word ' * 300] * 9)\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], len(os.listdir('/proc/self/task')) - before)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "0"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read as Linux tells it")
def test_memory_stays_bounded_however_many_and_long_the_texts_are() -> None:
    program = (
        "from pathlib import Path; from tacit.models.minilm import MiniLM\n"
        "MiniLM().embed(['word ' * 300] * 40 + [f'a short text {n}' for n in range(600)] + ['x ' * 500_000])\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert int(ran.stdout) * 1024 < 200_000_000


def test_a_damaged_model_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("provenance.json", "tokenizer.json", "model.int8.onnx"):
        (tmp_path / name).write_bytes((tacit_minilm.folder() / name).read_bytes()[:400_000])
    monkeypatch.setattr(tacit_minilm, "folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="install Tacit again"):
        MiniLM().embed(["text"])


@pytest.mark.parametrize("library", ["numpy", "onnxruntime", "tokenizers"])
def test_a_missing_library_is_named(library: str) -> None:
    program = (
        f"import sys; sys.modules['{library}'] = None\n"
        "from tacit.errors import ModelError; from tacit.models.minilm import MiniLM\n"
        "try:\n    MiniLM().embed(['text'])\nexcept ModelError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"pip install {library}" in ran.stdout
