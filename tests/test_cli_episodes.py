"""Episodes by the command line alone: telling, finding, reading, changing, handing over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tacit
from command_line import CommandLine, at_a_terminal, write_traces
from tacit.clock import from_micros
from tacit.errors import InvalidInput, NotFound


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "a.db")


STEPS: list[dict[str, Any]] = [
    {
        "tool": "search",
        "action": "look for it",
        "parameters": {"query": "cup", "pages": [1, 2]},
        "observation": {"found": 3},
        "status": "success",
        "thought": "cups first",
        "latency_ms": 12.5,
        "tokens": 30,
        "metadata": {"try": 1},
    },
    {"tool": "buy", "observation": "out of stock", "status": "error", "error": "OutOfStock: cup"},
    {"tool": "buy", "observation": "bought", "status": "success"},
]
TASK: dict[str, Any] = {
    "description": "Buy a cup",
    "task_type": "purchase",
    "domain": "shop",
    "language": "en",
    "framework": "none",
    "complexity": 0.25,
    "tags": ["cup", "kitchen"],
    "metadata": {"budget": 10},
    "agent": "buyer",
    "source_id": "order 7",
}
ENDINGS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("success", {"score": 1.0, "verdict": "bought"}, ["complete", "--score", "1", "--verdict", "bought"]),
    (
        "partial",
        {"score": 0.5, "done": ["cup"], "failed": ["saucer"]},
        ["complete", "--score", "0.5", "--done", "cup", "--failed", "saucer"],
    ),
    ("partial", {}, ["complete", "--partial"]),
    (
        "failure",
        {"reason": "no money", "details": {"missing": 3}},
        ["fail", "no money", "--details", '{"missing": 3}'],
    ),
    ("abstained", {"reason": "unsure", "signals": ["odd price"]}, ["abstain", "unsure", "--signal", "odd price"]),
]


def flags(fields: dict[str, Any]) -> list[str]:
    """The fields of a noun as options."""
    found = []
    for name, value in fields.items():
        for one in value if name == "tags" else [value]:
            text = one if isinstance(one, str) else json.dumps(one)
            found += ["--tag" if name == "tags" else f"--{name.replace('_', '-')}", text]
    return found


def told_by_command_line(cli: CommandLine, ending: list[str]) -> str:
    task = dict(TASK)
    id: str = cli.json("episode", "start", task.pop("description"), *flags(task))["id"]
    for step in STEPS:
        assert cli.json("episode", "step", id, *flags(step))["episode"] == id
    verb, *rest = ending
    assert cli.json("episode", verb, id, *rest)["episode"] == id
    return id


def told_by_library(path: Path, kind: Any, fields: dict[str, Any]) -> str:
    with tacit.open(path) as mind, mind.episode(**TASK) as episode:
        for step in STEPS:
            episode.step(**step)
        episode.complete(kind, **fields)
        return episode.id


def comparable(page: dict[str, Any]) -> dict[str, Any]:
    """A page without what differs from one run to the next: ids and times."""
    page = json.loads(json.dumps(page))
    for name in ("id", "mind", "started_at_micros", "ended_at_micros", "step_events"):
        page["episode"].pop(name)
    for step in page["episode"]["steps"]:
        step.pop("occurred_at")
    for kind in ("successes", "improvements", "insights"):
        for remark in page["reflection"][kind]:
            remark.pop("evidence")
    return page


def without_durations(page: dict[str, Any]) -> dict[str, Any]:
    """A page without the efficiency and the total of its reward: how long the telling took moves them."""
    page["reward"].pop("total")
    page["reward"]["factors"] = [each for each in page["reward"]["factors"] if each["name"] != "efficiency"]
    return page


@pytest.mark.requirement("EP-01", "AP-04", "EP-02")
@pytest.mark.parametrize(("kind", "fields", "ending"), ENDINGS)
def test_an_episode_told_by_commands_equals_one_told_by_the_library(
    cli: CommandLine, tmp_path: Path, kind: str, fields: dict[str, Any], ending: list[str]
) -> None:
    other = CommandLine(tmp_path / "b.db")
    mine = cli.json("episode", "show", told_by_command_line(cli, ending))
    theirs = other.json("episode", "show", told_by_library(other.store, kind, fields))
    assert mine["episode"]["status"] == kind
    assert without_durations(comparable(mine)) == without_durations(comparable(theirs))
    assert mine["reflection"]["insights"]


@pytest.mark.requirement("EP-01", "EP-03", "EP-04")
def test_the_page_of_an_episode_shows_every_part_of_it(cli: CommandLine) -> None:
    id = told_by_command_line(cli, ENDINGS[0][2])
    page = cli.json("episode", "show", id)
    shown = cli("episode", "show", id, "--full").out
    for text in ("Buy a cup", "purchase", "shop", "buyer", "cup, kitchen", '{"budget":10}', "order 7", "0.25"):
        assert text in shown
    for text in ("search  [success, 12.5 ms, 30 tokens]", "buy  [error]", '"query":"cup"', "OutOfStock: cup"):
        assert text in shown
    assert all(event in shown for event in page["episode"]["step_events"])
    names = [factor["name"] for factor in page["reward"]["factors"]]
    assert names == ["base", "efficiency", "complexity", "quality", "learning", "domain"]
    for factor in page["reward"]["factors"]:
        assert f"{factor['contribution']:+.3f}" in shown
        assert factor["why"] in shown
    assert page["reward"]["total"] == pytest.approx(sum(each["contribution"] for each in page["reward"]["factors"]))
    for remark in (*page["reflection"]["successes"], *page["reflection"]["insights"]):
        assert remark["steps"]
        assert f"{remark['text']} [step {', '.join(map(str, remark['steps']))}]" in shown


@pytest.mark.requirement("EP-01")
def test_an_open_episode_says_that_it_is_open(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a plate").out.strip()
    assert "none yet: the episode is open" in cli("episode", "show", id).out
    page = cli.json("episode", "show", id)
    assert (page["episode"]["status"], page["reward"]) == ("open", None)


@pytest.mark.requirement("EP-01", "EP-02")
def test_artifacts_are_files_that_are_kept_with_the_outcome(cli: CommandLine, tmp_path: Path) -> None:
    bill = tmp_path / "bill.txt"
    bill.write_text("one cup: 3", encoding="utf-8")
    id = cli("episode", "start", "Buy a cup").out.strip()
    assert cli("episode", "complete", id, "--artifact", str(bill)).code == 0
    artifact = cli.json("episode", "show", id)["episode"]["outcome"]["artifacts"][0]
    assert artifact == {"name": "bill.txt", "content": "one cup: 3"}
    assert "artifact  bill.txt (text/plain, 10 bytes)" in cli("episode", "show", id).out


@pytest.mark.requirement("EP-01")
def test_an_observation_is_a_text_unless_it_is_an_object_or_a_list(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    for given in ("plain", "42", "{not json", '{"a": 1}', "[1, 2]"):
        cli.json("episode", "step", id, "--tool", "look", "--observation", given)
    steps = cli.json("episode", "show", id)["episode"]["steps"]
    assert [step["observation"] for step in steps] == ["plain", "42", "{not json", {"a": 1}, [1, 2]]


@pytest.mark.requirement("EP-01")
def test_a_key_makes_a_repeated_command_the_same_call(cli: CommandLine) -> None:
    ids = {cli("episode", "start", "Buy a cup", "--key", "order 7").out for _ in range(2)}
    assert len(ids) == 1
    id = ids.pop().strip()
    events = {cli("episode", "step", id, "--tool", "search", "--key", "first").out for _ in range(2)}
    assert len(events) == 1
    assert len(cli.json("episode", "show", id)["episode"]["steps"]) == 1


@pytest.mark.requirement("EP-01")
@pytest.mark.parametrize("option", [["--parameters", "[1]"], ["--parameters", "{"], ["--metadata", "text"]])
def test_an_option_that_must_be_an_object_is_named_when_it_is_not(cli: CommandLine, option: list[str]) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    refused = cli("episode", "step", id, "--tool", "search", *option, "--json")
    assert (refused.code, refused.error["context"]["option"]) == (InvalidInput.exit_code, option[0])
    assert "steps" not in cli.json("episode", "show", id)["episode"]


@pytest.mark.requirement("AP-04")
@pytest.mark.parametrize("verb", ["step", "complete", "show", "handoff"])
def test_telling_of_an_episode_that_does_not_exist_is_not_found(cli: CommandLine, verb: str) -> None:
    cli("episode", "start", "Buy a cup")
    missing = cli("episode", verb, "0190b7c2-6e1f-7a52-9d3c-000000000000", "--json")
    assert (missing.code, missing.error["code"]) == (3, "not_found")


@pytest.mark.requirement("AP-04")
def test_reading_makes_neither_a_store_nor_a_mind(cli: CommandLine) -> None:
    assert cli("episode", "list").code == 3
    assert not cli.store.exists()
    cli("episode", "start", "Buy a cup")
    assert cli("episode", "list", "--mind", "typo").code == 3
    assert [mind["name"] for mind in cli.json("mind", "list")] == ["default"]


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(cli: CommandLine, tmp_path: Path) -> CommandLine:
    cli("import", str(write_traces(tmp_path / "traces.jsonl", good=9)), "--task-type", "purchase")
    return cli


@pytest.mark.requirement("EP-01", "AP-04")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["list"], 9),
        (["list", "--status", "failure"], 3),
        (["list", "--domain", "shop", "--task-type", "purchase", "--tool", "buy"], 9),
        (["list", "--domain", "zoo"], 0),
        (["list", "--tag", "none"], 0),
        (["list", "--started-after", "2000-01-01T00:00:00Z"], 9),
        (["list", "--started-before", "2000-01-01T00:00:00Z"], 0),
        (["search", "ITEM", "3"], 1),
        (["search", "item", "--status", "success"], 6),
        (["search", "plate"], 0),
    ],
)
def test_episodes_are_found_by_what_is_known_of_them(shop: CommandLine, arguments: list[str], count: int) -> None:
    assert len(shop.json("episode", *arguments)) == count


@pytest.mark.requirement("AP-04")
def test_pages_follow_each_other_without_gap_or_repetition(shop: CommandLine) -> None:
    whole = [each["id"] for each in shop.json("episode", "list")]
    pages: list[str] = []
    while page := shop.json("episode", "list", "--limit", "4", *(["--after", pages[-1]] if pages else [])):
        pages += [each["id"] for each in page]
    assert pages == whole
    assert f"--after {whole[3]}" in shop("episode", "list", "--limit", "4").err


@pytest.mark.requirement("JR-05")
def test_the_first_and_the_last_time_of_any_zone_can_be_asked_about(cli: CommandLine) -> None:
    cli("episode", "start", "Buy a cup")
    first, last = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
    assert cli.json("episode", "list", "--as-of", first) == []
    assert len(cli.json("episode", "list", "--as-of", last)) == 1
    assert len(cli.json("episode", "list", "--started-after", first, "--started-before", last)) == 1


@pytest.mark.requirement("JR-05", "AP-04")
def test_as_of_shows_what_was_recorded_by_then(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    cli("episode", "step", id, "--tool", "search")
    events = [json.loads(line) for line in cli("journal", "tail", "--json").out.splitlines()]
    then = from_micros(events[-1]["recorded_at"]).isoformat()
    before = from_micros(events[1]["recorded_at"] - 1).isoformat()
    cli("episode", "step", id, "--tool", "buy")
    cli("episode", "complete", id)
    cli("episode", "start", "Buy a plate")
    past = cli.json("episode", "show", id, "--as-of", then)
    assert (past["episode"]["status"], len(past["episode"]["steps"]), past["reward"]) == ("open", 1, None)
    assert [each["description"] for each in cli.json("episode", "list", "--as-of", then)] == ["Buy a cup"]
    assert cli.json("episode", "search", "cup", "--as-of", before) == []
    assert len(cli.json("episode", "show", id)["episode"]["steps"]) == 2


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("EP-06")
def test_tags_are_added_and_removed(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup", "--tag", "cup").out.strip()
    assert cli("episode", "tag", id, "kitchen", "gift").out == "Buy a cup: cup, kitchen, gift\n"
    assert cli("episode", "untag", id, "cup", "gift").out == "Buy a cup: kitchen\n"
    assert [each["id"] for each in cli.json("episode", "list", "--tag", "kitchen")] == [id]
    assert cli.json("episode", "list", "--tag", "cup") == []


@pytest.mark.requirement("EP-06")
def test_a_task_is_updated_field_by_field(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup", "--domain", "shop", "--metadata", '{"a": 1}').out.strip()
    changes = ["--description", "Buy a mug", "--complexity", "0.5", "--metadata", '{"b": 2}']
    assert cli("episode", "update", id, *changes).code == 0
    task = cli.json("episode", "show", id)["episode"]["task"]
    assert task == {"description": "Buy a mug", "domain": "shop", "complexity": 0.5, "metadata": {"b": 2}}


@pytest.mark.requirement("EP-06")
def test_relations_hold_until_they_are_taken_back_and_never_close_a_circle(cli: CommandLine) -> None:
    cup, water = (cli("episode", "start", text).out.strip() for text in ("Buy a cup", "Drink water"))
    assert cli("episode", "relate", water, "depends_on", cup).out == f"1 relation: depends_on {cup}\n"
    assert f"depends_on  {cup}" in cli("episode", "show", water).out
    assert cli("episode", "relate", water, "depends_on", cup).code == 4
    assert cli("episode", "relate", cup, "depends_on", water).code == 2
    assert cli("episode", "relate", cup, "likes", water).code == 2
    assert cli("episode", "unrelate", water, "depends_on", cup).out == "0 relations\n"
    assert cli("episode", "relate", cup, "depends_on", water).code == 0


# ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────────


def by_file(pack: Path) -> tuple[str, str]:
    return str(pack), ""


def by_pipe(pack: Path) -> tuple[str, str]:
    return "-", pack.read_text(encoding="utf-8")


@pytest.mark.requirement("EP-05", "AP-04")
@pytest.mark.parametrize("way", [by_file, by_pipe])
def test_an_open_episode_is_handed_to_another_store_and_goes_on_there(
    cli: CommandLine, tmp_path: Path, way: Callable[[Path], tuple[str, str]]
) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    cli("episode", "step", id, "--tool", "search", "--observation", "found")
    pack, other = tmp_path / "pack.json", CommandLine(tmp_path / "b.db")
    made = cli("episode", "handoff", id, "--note", "nearly there", "--state", '{"cart": [7]}', "--output", str(pack))
    assert (made.code, made.out) == (0, f"wrote {pack}\n")
    assert os.name != "posix" or pack.stat().st_mode & 0o077 == 0, "a pack holds what the episode holds"
    told = json.loads(pack.read_text(encoding="utf-8"))
    assert (told["note"], told["state"]) == ("nearly there", {"cart": [7]})
    given, stdin = way(pack)
    assert other("episode", "resume", given, "--agent", "second", stdin=stdin).out == f"{id}\n"
    other("episode", "step", id, "--tool", "buy")
    assert other("episode", "complete", id).code == 0
    assert [step["tool"] for step in other.json("episode", "show", id)["episode"]["steps"]] == ["search", "buy"]


@pytest.mark.requirement("EP-05")
def test_a_pack_never_overwrites_a_file_and_a_finished_episode_is_not_resumed(cli: CommandLine, tmp_path: Path) -> None:
    pack = tmp_path / "pack.json"
    pack.write_text("mine", encoding="utf-8")
    id = cli("episode", "start", "Buy a cup").out.strip()
    assert cli("episode", "handoff", id, "--output", str(pack)).code == 4
    assert cli("episode", "handoff", id, "--output", str(tmp_path / "no" / "pack.json")).code == 3
    assert pack.read_text(encoding="utf-8") == "mine"
    assert cli("episode", "resume", str(pack)).code == 2
    assert cli("episode", "resume", str(tmp_path / "none.json")).code == 3
    assert json.loads(cli("episode", "handoff", id).out)["mind"] == cli.json("mind", "list")[0]["id"]
    assert cli("episode", "resume", id, "--agent", "second").out == f"{id}\n"
    cli("episode", "complete", id)
    assert cli("episode", "resume", id).code == 4


@pytest.mark.requirement("AP-04", "EP-01")
def test_an_episode_is_named_by_the_beginning_of_its_id(cli: CommandLine) -> None:
    id = cli("episode", "start", "Buy a cup").out.strip()
    short = id[:13]  # imported episodes differ in fewer; those begun in the same minute need more
    assert cli("episode", "step", short, "--tool", "buy", "--observation", "bought").code == 0
    assert cli.json("episode", "show", short.replace("-", "").upper())["episode"]["id"] == id
    assert cli("episode", "tag", short, "kitchen").code == 0
    assert cli.json("advise", "Buy a cup", "--episode", short)["exposure_id"] is None
    assert cli("episode", "resume", short).out.strip() == id
    assert cli.json("episode", "complete", short)["episode"] == id


@pytest.mark.requirement("AP-04", "EP-01")
def test_a_narrow_terminal_shows_ids_whole_since_those_of_one_minute_begin_alike(cli: CommandLine) -> None:
    ids = [
        cli("episode", "start", f"Buy the red cup number {number} for the kitchen").out.strip() for number in range(2)
    ]
    code, sent = at_a_terminal("--store", str(cli.store), "episode", "list", columns=80)
    assert code == 0
    assert all(id in sent for id in ids)


@pytest.mark.requirement("AP-04", "EP-01")
def test_a_beginning_that_fits_several_or_none_is_refused_with_what_to_do(cli: CommandLine) -> None:
    first, second = (cli("episode", "start", f"Buy cup {number}").out.strip() for number in range(2))
    ran = cli("episode", "show", first[:8])
    assert ran.code == InvalidInput.exit_code
    assert f"several episodes begin with {first[:8]}: {first}, {second}; give more of the id" in ran.err
    nobody = cli("episode", "show", "00000000")
    assert nobody.code == NotFound.exit_code
    assert "there is no episode whose id begins with 00000000" in nobody.err
    assert "give at least 8 characters" in cli("episode", "show", first[:7]).err
    assert "is not an id" in cli("episode", "show", "yesterday").err
