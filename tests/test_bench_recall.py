"""The benches of recall in a tiny size: what is given, the processes that are measured, and what is told of them."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from tacit.bench import command, recall, recall_metrics
from tacit.bench.command import Options
from tacit.bench.peers import side_by_side
from tacit.bench.peers.child import Child, disk_size, fsyncs_per_write, served
from tacit.bench.peers.environments import PEERS, TACIT, Kind, python_of, surroundings
from tacit.bench.peers.failure import PeerFailed
from tacit.bench.peers.given import Made, make_given
from tacit.bench.peers.served import Given
from tacit.bench.recall_made import made_notes
from tacit.bench.report import Report, show, to_json
from tacit.bench.scale_texts import CHUNK, DIMENSION, USERS, ScaleTexts
from tacit.models.hashing import HashingEmbedder

SIZE = 120
HERE = Path(sys.executable)

LITTLE = '''
import json, os, threading

class Little:
    """Keeps everything in one file of lines, which is made durable after each."""

    def __init__(self, folder, given):
        self.given, self.lock = given, threading.Lock()
        self.file = open(folder / "items", "a+")
        self.file.seek(0)
        self.held = [int(line) for line in self.file]

    def about(self):
        print("what is printed must not be taken for an answer")
        return {"little": "1", "settings": "none"}

    def write(self, number):
        if number == REFUSED:
            raise ValueError("not this one")
        self.write_many(range(number, number + 1))

    def write_many(self, numbers):
        with self.lock:
            self.file.writelines(f"{number}\\n" for number in numbers)
            self.file.flush()
            os.fsync(self.file.fileno())
            self.held += numbers

    def prepare(self):
        pass

    def ask(self, number, k):
        wanted = self.given.vector(self.given.questions[number])
        def near(item):
            vector = self.given.vector(self.given.items[item])
            return -sum(one * other for one, other in zip(vector, wanted))
        return sorted(self.held, key=near)[:k]

    def count(self):
        return len(self.held)

    def close(self):
        self.file.close()

def open_peer(folder, given):
    return Little(folder, given)
'''
BROKEN = "def open_peer(folder, given):\n    raise OSError('the disk is full')\n"
GONE = "import os\ndef open_peer(folder, given):\n    os._exit(3)\n"
SLOW = "import time\ndef open_peer(folder, given):\n    time.sleep(60)\n"


def little(folder: Path, refused: int = -1) -> Path:
    """The file of a peer that is small and real."""
    path = folder / "little.py"
    path.write_text(LITTLE.replace("REFUSED", str(refused)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_given(tmp_path_factory.mktemp("given"), SIZE, "hashing")


@pytest.fixture
def child(tmp_path: Path, made: Made) -> Iterator[Child]:
    with Child(served(HERE, little(tmp_path, refused=3)), tmp_path / "errors", surroundings(tmp_path)) as child:
        child.call("open", folder=str(tmp_path), given=str(made.folder), within=30)
        yield child


# ── what is given ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("RE-10")
def test_everybody_is_given_the_same_texts_with_their_vectors_and_the_answers(made: Made) -> None:
    given = Given(made.folder)
    assert len(given.items) == made.items == SIZE
    assert len(given.questions) == len(made.answers) > 20
    texts = [given.items[5], given.questions[7]]
    assert numpy.allclose(given.embed(texts), HashingEmbedder().embed(texts))
    assert given.dimension == HashingEmbedder().dimension
    with pytest.raises(KeyError):
        given.vector("nobody has said this")
    for question, relevant in zip(given.questions, made.answers, strict=True):
        told = " ".join(given.items[place] for place in relevant)
        speaker = told.split(":")[0]
        assert speaker in question, "a question names who told its answer, by a name that is in the text"


@pytest.mark.requirement("RE-10")
def test_nobody_else_has_the_name_of_somebody_who_is_asked_about(tmp_path: Path) -> None:
    given = make_given(tmp_path, 2_000, "hashing")
    items = Given(given.folder).items
    asked = {items[place].split(":")[0] for answers in given.answers for place in answers}
    last = max(place for answers in given.answers for place in answers)
    later = {text.split(":")[0] for text in items[last + 200 :]}
    assert len(asked) == 4
    assert len(later) > 2
    assert not asked & later


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("RE-10")
def test_a_peer_is_told_what_to_do_in_its_own_process(child: Child, made: Made) -> None:
    written = child.call("write", count=40, threads=8, seconds=30, within=60)
    assert len(written["calls"]) == 39
    assert (written["failed"], written["why"]) == (1, "ValueError: not this one")
    assert child.call("count", within=10) == 39
    assert child.memory() > 1
    child.kill()
    with pytest.raises(PeerFailed, match="count: the process"):
        child.call("count", within=10)


@pytest.mark.requirement("RE-10")
def test_no_write_begins_after_the_time_is_over(child: Child) -> None:
    assert child.call("write", count=40, threads=2, seconds=-1, within=30)["calls"] == []
    assert child.call("fill", count=40, seconds=0, within=30)["done"] == 0


@pytest.mark.requirement("RE-10")
def test_every_question_is_asked_once_before_any_is_timed(child: Child, made: Made) -> None:
    child.call("fill", count=SIZE, seconds=30, within=60)
    asked = child.call("ask", k=10, rounds=2, seconds=60, within=120)
    assert len(asked["found"]) == len(made.answers)
    assert len(asked["calls"]) == 2 * len(made.answers)
    cut = child.call("ask", k=10, rounds=2, seconds=0, within=120)
    assert len(cut["calls"]) == 20
    assert cut["found"] == asked["found"]


@pytest.mark.requirement("RE-10")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BROKEN, "OSError: the disk is full"),
        (GONE, "the process ended: it said nothing"),
        (SLOW, "no answer within 1 s"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
    ],
)
def test_a_process_that_fails_says_why(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "peer.py").write_text(text, encoding="utf-8")
    within = 1 if text is SLOW else 30
    make_given(tmp_path, 5, "hashing")
    with (
        Child(served(HERE, tmp_path / "peer.py"), tmp_path / "errors") as child,
        pytest.raises(PeerFailed, match=reason),
    ):
        child.call("open", folder=str(tmp_path), given=str(tmp_path), within=within)


@pytest.mark.requirement("RE-10")
def test_what_a_write_makes_durable_is_counted(tmp_path: Path, made: Made) -> None:
    command = served(HERE, little(tmp_path))
    if shutil.which("strace") is None:
        with pytest.raises(PeerFailed, match="not counted"):
            fsyncs_per_write(command, tmp_path, made.folder, None, 60)
    else:
        assert fsyncs_per_write(command, tmp_path, made.folder, None, 60) == 1.0


@pytest.mark.requirement("RE-10")
def test_a_peer_can_neither_send_anything_out_nor_see_the_settings_of_tacit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_STORE", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    found = surroundings(tmp_path)
    assert "secret" not in found.values()
    assert found["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert (found["MEM0_TELEMETRY"], found["HF_HUB_OFFLINE"], found["HOME"]) == ("False", "1", str(tmp_path))


# ── environments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def wheel(folder: Path, name: str) -> Path:
    """A package with one module, as installers take it."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "SIZE = 7\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


@pytest.mark.requirement("RE-10")
def test_a_peer_is_installed_once_into_an_environment_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "peer.py").write_text(
        "import small_peer\ndef open_peer(folder, given):\n    raise OSError(small_peer.SIZE)\n", encoding="utf-8"
    )
    kind = Kind("small", (str(wheel(tmp_path, "small_peer")),), tmp_path / "peer.py")
    python = python_of(kind, tmp_path / "environments")
    made_at = python.lstat().st_mtime_ns
    make_given(tmp_path, 5, "hashing")
    with Child(served(python, kind.file), tmp_path / "errors") as child, pytest.raises(PeerFailed, match="OSError: 7"):
        child.call("open", folder=str(tmp_path), given=str(tmp_path), within=30)
    assert python_of(kind, tmp_path / "environments").lstat().st_mtime_ns == made_at


@pytest.mark.requirement("RE-10")
def test_peers_are_installed_by_name_and_exact_version() -> None:
    for kind in PEERS:
        assert kind.file.is_file()
        assert kind.requirements
        for requirement in kind.requirements:
            name, _, version = requirement.partition("==")
            assert name.replace("-", "").isalnum()
            assert version.replace(".", "").replace("post", "").isdigit()


# ── the benches ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("peers")
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    kinds = (
        Kind("little", (), little(folder, refused=3)),
        Kind("absent", ("no such package==?",), folder / "absent.py"),
        Kind("broken", (), folder / "broken.py"),
    )
    (folder / "work").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(side_by_side, "PEERS", kinds)
        patched.setattr(side_by_side, "make_given", lambda place, size: make_given(place, size, "hashing"))
        patched.setattr("tacit.bench.run._IN_MEMORY", frozenset())
        report = command.run("peers", Options(folder=folder / "work", size=SIZE, rounds=1))
    assert list((folder / "work").iterdir()) == []
    return report


@pytest.mark.requirement("RE-10", "QU-04")
def test_tacit_stands_beside_a_peer_in_the_same_run(peers: Report) -> None:
    for name in ("tacit", "little"):
        assert peers.figures[f"{name}_ingest"].value > 0
        assert peers.figures[f"{name}_lost_by_kill"].value == 0
        assert peers.figures[f"{name}_bulk"].value > 0
        assert peers.figures[f"{name}_memory"].value > 1
        assert peers.figures[f"{name}_disk"].value > 0
        assert 0.3 < peers.figures[f"{name}_recall_at_10"].value <= 1
        assert 0.3 < peers.figures[f"{name}_ndcg_at_10"].value <= 1
        assert peers.timings[f"{name}_recall"].n == peers.figures["peers_questions"].value
    assert peers.timings["tacit_write"].n == peers.figures["peers_single_writes"].value == SIZE
    assert peers.timings["little_write"].n == SIZE - 1
    assert {"ingest_over_little", "recall_p50_over_little", "recall_at_10_over_little"} <= set(peers.ratios)
    assert peers.ratios["recall_p50_over_little"].better == "lower"


@pytest.mark.requirement("RE-10", "QU-04")
def test_settings_and_failures_of_peers_are_told_and_stop_nothing(
    peers: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    assert peers.notes["little_about"] == "little 1; settings none"
    assert peers.notes["little_failed_writes"] == "1 of round 1; ValueError: not this one"
    assert peers.notes["absent_failed"].startswith("absent cannot be installed: ERROR")
    assert peers.notes["broken_failed"] == "open: OSError: the disk is full"
    assert not [name for name in (*peers.figures, *peers.ratios) if "absent" in name or "broken" in name]
    assert json.loads(to_json(peers))["notes"] == peers.notes
    show(peers)
    assert "the disk is full" in capsys.readouterr().out


@pytest.mark.requirement("RE-10")
def test_a_peer_that_could_not_hold_everything_is_compared_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "PEERS", (Kind("little", (), little(tmp_path)),))
    monkeypatch.setattr(side_by_side, "make_given", lambda place, size: make_given(place, size, "hashing"))
    monkeypatch.setattr(side_by_side, "_FILL_SECONDS", 0.0)
    monkeypatch.setattr("tacit.bench.run._IN_MEMORY", frozenset())
    report = command.run("peers", Options(folder=tmp_path, size=30, rounds=1))
    assert report.notes["little_incomplete"].startswith("asked with 0 of 30 items")
    assert "ingest_over_little" in report.ratios
    assert "recall_p50_over_little" not in report.ratios


@pytest.mark.disk
@pytest.mark.requirement("RE-10", "QU-04")
def test_the_scale_bench_builds_asks_and_asks_while_others_write(tmp_path: Path) -> None:
    report = command.run("scale", Options(folder=tmp_path, size=400, seconds=0.5, rounds=1))
    assert list(tmp_path.iterdir()) == []
    assert report.figures["scale_memories"].value == 400
    assert report.timings["scale_remember_8_threads"].n == 100
    assert {name: one.n for name, one in report.timings.items() if "while_writing" not in name} == {
        "scale_remember_8_threads": 100,
        "scale_recall_cold": 50,
        "scale_recall_warm": 300,
        "scale_recall_filtered": 300,
    }
    assert report.timings["scale_recall_while_writing"].n >= 1
    assert 0 < report.figures["scale_written_meanwhile"].value <= 550
    assert report.figures["scale_first_answer_cold"].value < report.figures["scale_first_answer_cold_with_start"].value
    assert report.ratios["scale_filtered_over_unfiltered"].better == "lower"


@pytest.mark.requirement("RE-10")
def test_generated_memories_are_the_same_again_and_hold_no_more_than_a_chunk_in_memory() -> None:
    texts = ScaleTexts()
    chunks = list(texts.memories(0, CHUNK + 5))
    assert [len(chunk) for chunk in chunks] == [CHUNK, 5]
    assert chunks[1] == next(iter(ScaleTexts().memories(CHUNK, 5)))
    assert sum(made.user == "u7" for made in chunks[0]) == CHUNK // USERS
    assert len({made.text for made in chunks[0]}) > 0.99 * CHUNK
    asked = texts.questions(0, 500)
    assert asked != texts.questions(500, 500)
    assert len(set(asked)) == 500


@pytest.mark.requirement("RE-10")
def test_generated_vectors_lie_in_clusters_and_words_come_as_in_language() -> None:
    texts = ScaleTexts()
    chunk = [made.text for made in next(iter(texts.memories(0, 2_000)))]
    vectors = texts.embed(chunk)
    assert vectors.shape == (2_000, DIMENSION)
    assert vectors.dtype == numpy.float32
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert numpy.array_equal(vectors[:3], ScaleTexts().embed(chunk[:3]))
    alike = vectors @ vectors.T - numpy.eye(2_000)
    of_a_topic = alike.max(axis=1)
    assert numpy.median(of_a_topic) > 0.5
    assert abs(float(numpy.median(alike))) < 0.1
    counts = sorted(map(chunk_words(chunk).count, set(chunk_words(chunk)[:2_000])), reverse=True)
    assert counts[0] > 1.5 * counts[1] > 2 * counts[9]


def chunk_words(chunk: list[str]) -> list[str]:
    return [word for text in chunk for word in text.split()]


@pytest.mark.requirement("RE-10")
def test_tacit_itself_is_driven_by_the_same_protocol(tmp_path: Path, made: Made) -> None:
    with Child(served(HERE, TACIT.file), tmp_path / "errors") as child:
        child.call("open", folder=str(tmp_path), given=str(made.folder), within=60)
        child.call("write", count=10, threads=8, seconds=30, within=60)
        child.kill()
    with Child(served(HERE, TACIT.file), tmp_path / "errors") as child:
        child.call("open", folder=str(tmp_path), given=str(made.folder), within=60)
        assert child.call("count", within=10) == 10
        child.call("close", within=30)
    assert disk_size(tmp_path) > 0.01


@pytest.mark.disk
@pytest.mark.requirement("RE-09", "QU-04")
def test_recall_is_judged_through_a_store_beside_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_metrics, "DRAWS", 200)
    monkeypatch.setattr(recall, "made_collections", lambda seed: (made_notes(seed),))
    found = command.run("recall", Options(folder=tmp_path))
    figures = {name: figure.value for name, figure in found.figures.items()}
    assert figures["recall_made_notes_questions"] == 72
    assert figures["recall_made_notes_recall_10"] > 0.9
    assert figures["recall_made_notes_recall_10_low"] <= figures["recall_made_notes_recall_10"]
    assert {f"recall_made_notes_{each}_ndcg_10" for each in ("words", "meaning", "fusion", "blend")} <= figures.keys()
    assert found.timings["recall_default"].n == 72
