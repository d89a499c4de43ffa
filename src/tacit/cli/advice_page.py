"""How ``tacit advise`` and ``tacit playbook`` show what they have to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tacit.cli.output import Output, chance_of, counted

if TYPE_CHECKING:
    from tacit.learning.advising.advice import Advice, Item, Playbook


def show_advice(out: Output, found: Advice, *, unlearned: int) -> None:
    """Write advice for people; ``unlearned`` is how many episodes learning has yet to see."""
    if found.abstained:
        _show_nothing(out, unlearned)
        return
    if found.success is None:
        out.line("Chance of success: too little is known to say")
    else:
        out.line(f"Chance of success: {chance_of(found.success)}; the range holds it in 19 of 20 cases")
    if found.next_steps:
        out.heading("Next step, likeliest first (how likely it comes next, not how likely it succeeds)")
        rows = [(each.tool, each.action, likely(each.score), each.why) for each in found.next_steps]
        out.table(("tool", "action", "likely", "why"), rows)
    if found.tools:
        out.heading("Tools")
        out.table(("tool", "share", "why"), [(each.name, round(each.score, 2), each.why) for each in found.tools])
    _show_items(out, "What helps", found.heuristics)
    _show_items(out, "Pitfalls", found.pitfalls)
    if found.playbook is not None:
        out.heading("Playbook")
        out.line(found.playbook.text)
    if found.episodes:
        out.heading("Episodes like this one")
        out.table(
            ("episode", "likeness", "what"), [(each.id, round(each.score, 2), each.text) for each in found.episodes]
        )
    if found.exposure_id:
        out.note(f"written down as {found.exposure_id}; 'tacit feedback {found.exposure_id} OUTCOME' tells how it went")


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


def _show_items(out: Output, title: str, items: tuple[Item, ...]) -> None:
    if items:
        out.heading(title)
        out.table(("id", "what", "why"), [(each.id, each.text, each.why) for each in items])


def show_playbooks(out: Output, found: list[Playbook], *, filtered: bool) -> None:
    """Write playbooks for people; ``filtered`` says that only some kinds of task were asked for."""
    if not found:
        out.line(
            "No playbook for such tasks; 'tacit playbook' shows those that there are."
            if filtered
            else "No playbook yet: a kind of task needs three successes."
        )
    for each in found:
        out.heading(f"{each.title} ({each.why})")
        out.line(each.text)
