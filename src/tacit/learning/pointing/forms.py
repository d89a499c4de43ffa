"""Forms: how the actions of a tool are written, and where they differ: "put … in … ", or parameters by their names.

Words that nearly all actions of a tool have are its form; what stands between them fills its slots. Parameters have a
slot for each name. What only a few tasks have in common may be somebody's own name or number, and is no form.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import NamedTuple

import msgspec

from tacit.experience.episode import Json, Step
from tacit.learning.pointing.spans import LONGEST, Span, Word, placed_words, span_of

MOST_TEXT = 4_000
"""Characters of a text that are looked at: of an action, an observation, a description, a context."""
_FIXED = 0.8
"""Words in this share of a tool's actions are its form; one action without them is imagined."""
LEAST_TASKS = 3
"""Different tasks in which something must have been called with a thing before that passes for what is usual; what
fewer have named belongs to them, however often they were tried."""
_LONGEST_VALUE = 200
"""Characters of a parameter's value; a longer one is no name of a thing."""


class Form(msgspec.Struct, frozen=True):
    """How an action is written."""

    around: tuple[str, ...]
    """The text before, between and after the slots; nothing for parameters."""
    names: tuple[str, ...] = ()
    """The parameters."""
    quoted: tuple[bool, ...] = ()
    """Whether the value of each is a text; else it is any other JSON."""

    @property
    def slots(self) -> tuple[str, ...]:
        """What each slot is called: its parameter, or else its place."""
        return self.names or tuple(f"#{place}" for place in range(len(self.around) - 1))

    def written(self, texts: tuple[str, ...]) -> str:
        """The action with its slots filled: its text, or its parameters as JSON; empty where that makes none."""
        if not self.names:
            return "".join(part for pair in zip(self.around, (*texts, ""), strict=True) for part in pair)
        try:
            values = [text if quoted else _json(text) for text, quoted in zip(texts, self.quoted, strict=True)]
        except msgspec.DecodeError:
            return ""  # a text was pointed at where a number belongs
        return msgspec.json.encode(dict(zip(self.names, values, strict=True)), order="sorted").decode()


class Act(NamedTuple):
    """An action taken apart."""

    tool: str
    form: Form
    fillers: tuple[Span, ...]
    """What fills the slots; empty for what no text could name."""
    texts: tuple[str, ...]
    """The same as they were written."""


class Forms:
    """The forms of all tools."""

    def __init__(
        self,
        fixed: Mapping[str, frozenset[str]],
        variety: Mapping[str, Mapping[str, int]],
        usual: Mapping[str, tuple[Form, float]],
    ) -> None:
        self.fixed = fixed
        """The words of each tool's form."""
        self.variety = variety
        """How many different values each parameter of each tool has had; those with few are filled first."""
        self.usual = usual
        """The most frequent form of each tool, and its share of the tool's actions; one other action is imagined."""

    @classmethod
    def of(cls, runs: Iterable[tuple[str, Sequence[Step]]]) -> Forms:
        """Learned from past runs: the task of each (equal for attempts at the same one), and its steps."""
        told = [(task, step) for task, steps in runs for step in steps if step.tool]
        actions = [step for _, step in told]
        found = cls(_fixed(told), _variety(actions), {})
        counts = defaultdict[str, Counter[Form]](Counter)
        for step in actions:
            counts[step.tool][found.act(step).form] += 1
        usual = {tool: forms.most_common(1)[0] for tool, forms in counts.items()}
        shares = {tool: (form, many / (counts[tool].total() + 1)) for tool, (form, many) in usual.items()}
        return cls(found.fixed, found.variety, shares)

    def act(self, step: Step) -> Act:
        """A step that calls a tool, taken apart."""
        if step.action or not step.parameters:
            return self._in_words(step)
        variety = self.variety.get(step.tool, {})
        names = tuple(sorted(step.parameters, key=lambda name: (variety.get(name, 0), name)))
        values = [step.parameters[name] for name in names]
        quoted = tuple(isinstance(value, str) for value in values)
        return Act(step.tool, Form((), names, quoted), tuple(map(_span, values)), tuple(map(_text, values)))

    def _in_words(self, step: Step) -> Act:
        text, fixed = step.action[:MOST_TEXT], self.fixed.get(step.tool, frozenset())
        words = _argument_words(step)
        around, slots, free = [], [], 0
        for is_loose, run in groupby(_with_looseness(words, fixed), key=itemgetter(0)):
            if is_loose:
                slot = [word for _, word in run]
                slots.append(slot)
                around.append(text[free : slot[0].start])
                free = slot[-1].end
        fillers = tuple(tuple(each.word for each in slot) for slot in slots)
        texts = tuple(text[slot[0].start : slot[-1].end] for slot in slots)
        return Act(step.tool, Form((*around, text[free:])), fillers, texts)


def _fixed(told: Iterable[tuple[str, Step]]) -> dict[str, frozenset[str]]:
    """The words of each tool's form, from actions and the task of each."""
    count, words = Counter[str](), defaultdict[str, Counter[str]](Counter)
    tasks = defaultdict[tuple[str, str], set[str]](set)
    for task, step in told:
        if step.action:
            count[step.tool] += 1
            for word in dict.fromkeys(_unnumbered(_argument_words(step))):
                words[step.tool][word] += 1
                if len(tasks[step.tool, word]) < LEAST_TASKS:
                    tasks[step.tool, word].add(task)
    return {
        tool: frozenset(
            word
            for word, many in words[tool].items()
            if many >= _FIXED * (count[tool] + 1) and len(tasks[tool, word]) >= LEAST_TASKS
        )
        for tool in count
    }


def _variety(actions: Iterable[Step]) -> dict[str, dict[str, int]]:
    """How many different values each parameter of each tool has; see ``Forms``."""
    seen = defaultdict[str, defaultdict[str, set[str]]](lambda: defaultdict(set))
    for step in actions:
        if not step.action:
            for name, value in step.parameters.items():
                seen[step.tool][name].add(_text(value)[:_LONGEST_VALUE])
    return {tool: {name: len(values) for name, values in names.items()} for tool, names in seen.items()}


def _argument_words(step: Step) -> list[Word]:
    """The words of an action without the tool's name before them."""
    words, tool = placed_words(step.action[:MOST_TEXT]), span_of(step.tool[:MOST_TEXT])
    return words[len(tool) :] if tuple(each.word for each in words[: len(tool)]) == tool else words


def _unnumbered(words: list[Word]) -> list[str]:
    """The words that are no numbers and have none behind them."""
    numbered = [each.word.isdigit() for each in words]
    return [
        each.word
        for each, here, then in zip(words, numbered, [*numbered[1:], False], strict=False)
        if not (here or then)
    ]


def _with_looseness(words: list[Word], fixed: frozenset[str]) -> Iterator[tuple[bool, Word]]:
    """Each word, and whether it fills a slot: all but the form's do, and those too where a number stands behind."""
    for each, then in zip_longest(words, words[1:]):
        yield each.word not in fixed or (then is not None and then.word.isdigit()), each


def _span(value: Json) -> Span:
    """The words by which a value can be found in a text, or else the value itself as one word."""
    text = _text(value)
    if len(text) > _LONGEST_VALUE:
        return ()
    words = span_of(text)
    return words if isinstance(value, str | int) and 0 < len(words) <= LONGEST else (text,)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def _json(text: str) -> Json:
    return msgspec.json.decode(text)
