"""Makes advice say one thing: what it tells to avoid, it does not tell to do.

Where two parts of an advice contradict each other, one is left out:

- of a heuristic and a pitfall, the one that matters less here;
- of a next step and a pitfall, the next step; but the pitfall, when this very step, in this kind of task and after the
  same tool, has done at least as well as is usual;
- of a playbook and a pitfall, the pitfall, since the successes of this kind went through it (see ``playbooks``); but
  the playbook, when the pitfall is of a narrower kind of task than the playbook. Of a branch of it, the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tacit.learning.advising.advice import NextStep, Playbook
from tacit.learning.advising.items import Rule
from tacit.learning.advising.situation import Situation, outstanding
from tacit.learning.patterns.contexts import is_of_kind
from tacit.learning.patterns.pattern import Key
from tacit.learning.patterns.sequences import subsequences


def settled(found: Sequence[Rule], here: Situation) -> list[Rule]:
    """The rules without those that contradict one that comes before them."""
    kept: list[Rule] = []
    for each in found:
        if not any(_contradict(each, other, here) for other in kept):
            kept.append(each)
    return kept


def with_steps(
    found: Sequence[Rule], steps: Sequence[NextStep], here: Situation, is_usual: Callable[[str], bool]
) -> tuple[list[Rule], tuple[NextStep, ...]]:
    """Rules and next steps without those that contradict each other.

    Args:
        is_usual: whether a tool has done at least as well here, called next, as is usual.
    """
    proven = [step.tool for step in steps if is_usual(step.tool)]
    kept = [each for each in found if not any(_forbids(each, tool, here) for tool in proven)]
    return kept, tuple(step for step in steps if not any(_forbids(each, step.tool, here) for each in kept))


def with_playbook(found: Sequence[Rule], playbook: Playbook | None) -> tuple[list[Rule], Playbook | None]:
    """Rules and a playbook, without those that contradict each other."""
    way = () if playbook is None else tuple(step.tool for step in playbook.steps)
    against = [each for each in found if each.heuristic.polarity == "avoid" and goes_through(way, each.heuristic.key)]
    if any(not is_of_kind(each.heuristic.key) for each in against):
        return list(found), None
    kept = [each for each in found if each not in against]
    if playbook is None:
        return kept, None
    avoided = [each.heuristic.key for each in kept if each.heuristic.polarity == "avoid"]
    branches = [step for step in playbook.branches if not any(goes_through((step.tool,), key) for key in avoided)]
    return kept, msgspec.structs.replace(playbook, branches=tuple(branches))


def goes_through(way: Sequence[str], key: Key) -> bool:
    """Whether who calls these tools, one after the other and all of them with success, does what a pattern speaks of;
    False where that depends on more than tools."""
    match key:
        case ("sequence", *tools):
            return tuple(tools) in subsequences(list(way))
        case ("choice", tool, "worked", choice):
            return (tool, choice) in zip(("", *way), way, strict=False)
        case ("approach", _, tool):
            return tool in way
    return False


def _forbids(rule: Rule, tool: str, here: Situation) -> bool:
    """Whether calling a tool now is what a rule tells to avoid."""
    if rule.heuristic.polarity != "avoid":
        return False
    match rule.heuristic.key:
        case ("choice", _, _, avoided) | ("approach", _, avoided) | ("remedy", _, _, "instead", avoided):
            return tool == avoided
        case ("sequence", *tools):
            return outstanding(tools, here.calls) == (tool,)
    return False


def _contradict(one: Rule, other: Rule, here: Situation) -> bool:
    if one.heuristic.polarity == other.heuristic.polarity:
        return False
    do, avoid = (one, other) if one.heuristic.polarity == "do" else (other, one)
    always = avoid.heuristic.key[0] in ("approach", "sequence")
    match do.heuristic.key:
        case ("choice", _, _, tool) | ("remedy", _, _, "instead", tool):
            return _forbids(avoid, tool, here)
        case ("approach", _, tool):
            return always and goes_through((tool,), avoid.heuristic.key)
        case ("sequence", *tools):
            return always and goes_through(tools, avoid.heuristic.key)
    return False
