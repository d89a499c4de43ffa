"""How ``tacit advise`` and ``tacit playbook`` show what they have to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tacit.cli.output import Output, brief, chance_of, counted, one_line, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tacit.learning.advising.advice import Advice, Item, Playbook

_ACTION, _EPISODE = 60, 80
"""Characters of a call, and of what an episode was, that are shown; JSON has all."""


_LOOKS = {
    "harder": "; this one looks harder",
    "easier": "; this one looks easier",
    "alike": "; this one does not clearly differ",
    "": "",
}


def show_advice(out: Output, found: Advice, *, unlearned: int) -> None:
    """Write advice for people; ``unlearned`` is how many episodes learning has yet to see."""
    if found.abstained:
        _show_nothing(out, unlearned)
    else:
        _show_what_is_known(out, found)
    for note in found.notes:
        out.note(note)
    if found.exposure_id:
        out.note(f"written down as {found.exposure_id}; 'tacit feedback {found.exposure_id} OUTCOME' tells how it went")


def _show_what_is_known(out: Output, found: Advice) -> None:
    from tacit.learning.advising.advice import LIKELY_END

    _show_chance(out, found)
    if found.next_steps:
        out.heading("Next step, best first (usual: how likely it comes next; score: that, by how it has turned out)")
        rows = [
            (each.tool, brief(each.action, _ACTION), likely(each.chance), likely(each.score), each.why)
            for each in found.next_steps
        ]
        out.table(("tool", "action", "usual", "score", "why"), rows)
    if found.end is not None and found.end > LIKELY_END:
        out.line(f"Mostly ({likely(found.end)}) no tool is called any more here: what is left is to answer.")
    if found.tools:
        out.heading("Tools, likeliest first (how likely each is the right one)")
        out.table(("tool", "likely", "why"), [(each.name, likely(each.score), each.why) for each in found.tools])
    ending = [each for each in found.heuristics if each.closing]
    _show_items(out, "What helps", [each for each in found.heuristics if not each.closing])
    _show_items(out, "Pitfalls", found.pitfalls)
    _show_items(out, "How a success mostly ends, which may not be what brings it", ending)
    if found.playbook is not None:
        out.heading("Playbook")
        out.line(f"({found.playbook.why})")
        out.line(found.playbook.text)
    if found.episodes:
        out.heading("Episodes like this one (likeness: 1 is the same task, 0 is nothing in common)")
        alike = [(each.id, round(each.score, 2), brief(each.text, _EPISODE)) for each in found.episodes]
        out.table(("episode", "likeness", "what"), alike)


def _show_chance(out: Output, found: Advice) -> None:
    if found.success is None:
        out.line("Chance of success: too little is known to say")
    else:
        out.line(
            f"Chance of success: {chance_of(found.success)}; the interval holds the true chance with 95 % confidence"
        )
    if found.usual is not None:
        told = f"Others of this kind: {percent(found.usual)} of {counted(found.usual.of, 'episode')} succeeded"
        out.line(told + _LOOKS[found.beside_usual])


def likely(chance: float) -> str:
    """A share such as ``62 %``; one that is not quite nothing or everything never passes for it."""
    if 0 < chance < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < chance < 1 else f"{chance * 100:.0f} %"


def _show_nothing(out: Output, unlearned: int) -> None:
    if unlearned:
        out.line(
            f"Nothing is known yet that would help here; {counted(unlearned, 'episode')} are still to be learned from."
        )
    else:
        out.line(
            "Nothing is known that would help here: no finished episode is like this task. "
            "Advice comes from finished episodes; 'tacit import' brings some."
        )


def _show_items(out: Output, title: str, items: Sequence[Item]) -> None:
    """Each with its reason on a line of its own: beside each other they would be too long to read."""
    if items:
        out.heading(f"{title} (more of each: tacit pattern why ID)")
    for each in items:
        out.line(f"{each.id}  {one_line(each.text)}")
        out.line(f"{'':{len(each.id)}}  {each.why}")


def show_playbooks(out: Output, found: list[Playbook], *, filtered: bool) -> None:
    """Write playbooks for people; ``filtered`` says that only some kinds of task were asked for."""
    if not found:
        out.line(
            "No playbook for such tasks; 'tacit playbook' shows those that there are."
            if filtered
            else "No playbook yet: a kind of task needs three successes."
        )
    for each in found:
        title, _, steps = each.text.partition("\n")
        out.heading(title)
        out.line(f"({each.why})")
        out.line(steps)
