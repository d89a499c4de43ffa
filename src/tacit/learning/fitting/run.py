"""The state of one run, fed step by step. No rule here names a tool, a word or a kind of task.

What comes back is read against three things that are known already: the words of the action itself, the words of the
goal, and what the run has seen before. A model sees only what is left of it then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tacit.learning.fitting.reading import StepWords, TaskWords, has_digit

START = "^"
"""Stands for what is not there because the run has only begun."""
MOST_TOOLS = 32
"""Different tools that a run is told apart by."""
MOST_WORDS = 256
"""Different words of the goal, or of the other side, that are kept."""
_SHAPE_WORDS = 30
"""Words of a masked answer that are kept."""
_OBJECT_LETTERS = 60
_FADING = 0.7
"""What a step that has become one older still counts for, in the figures of the recent past."""


class Goal:
    """How far a run has come with its goal's words: brought by an answer, named in an action, handled after that."""

    def __init__(self, weights: dict[str, float], context: frozenset[str]) -> None:
        self.weights = weights
        self.context = context
        self.brought: dict[str, int] = {}
        """Word → the number of the action whose answer first brought it."""
        self.handled: dict[str, int] = {}
        """Word → successful actions on it after it had been brought."""
        self.named: set[str] = set()
        """Words named in a successful action."""
        self.occurrences = 0
        self.tools: list[str] = []
        """Tools of successful actions that named a word of the goal, sorted."""
        self.event = (0, 0, 0)
        """Of the last action: words that its answer brought, that it named, that it handled."""

    def act(self, step: StepWords, number: int) -> None:
        """One more action."""
        tool = step.tool.lower()
        kinds, own = frozenset(step.kinds), frozenset(step.own)
        brought = [word for word in self.weights if word in kinds]
        acted = [word for word in self.weights if word in own and word != tool]
        for word in brought:
            self.brought.setdefault(word, number)
        held = 0
        if not step.failed:
            for word in acted:
                self.named.add(word)
                if self.brought.get(word, number) < number:
                    self.handled[word] = self.handled.get(word, 0) + 1
                    held += 1
            if acted:
                _insert(self.tools, step.tool)
        if brought:
            self.occurrences += sum(1 for word in step.others if word in self.weights)
        self.event = (len(brought), len(acted), held)

    @property
    def stage(self) -> str:
        """The last action's part in the goal, coarsely."""
        brought, acted, _ = self.event
        return f"{min(brought, 2)}{min(acted, 2)}{min(len(self.handled), 2)}"

    @property
    def untouched(self) -> int:
        """Words of the goal that nothing has shown or handled yet."""
        return sum(
            1
            for word in self.weights
            if word not in self.handled and word not in self.context and word not in self.brought
        )

    def share(self, words: Iterable[str]) -> float:
        """The share of the goal's weight that lies on some words, from 0 to 1."""
        whole = sum(self.weights.values()) or 1.0
        chosen = frozenset(words)
        return sum(weight for word, weight in self.weights.items() if word in chosen) / whole


class Answers:
    """What has come back so far, and how new the last of it was."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        """Words of answers, apart from those of the action itself."""
        self._actions: dict[str, str | None] = {}
        """Answer → the action that it was the answer to; None when there were several."""
        self._last: str | None = None
        self.repeated = self.same = self.unrelated = 0
        """Answers that had come before; that had come just before; that had come for another action."""
        self.new = 0
        """Words that came for the first time."""
        self.since_new = 0
        """Actions since one brought a new word."""
        self.recent_poor = self.recent_new = 0.0
        self.shape = self.opening = self.ending = self.form = self.form_before = START

    def act(self, step: StepWords, goal: dict[str, float]) -> bool:
        """One more answer. Whether it had come before."""
        answer, action = step.answer, step.action
        same, before = answer == self._last, answer in self._actions
        other = before and self._actions[answer] != action
        seen_before = len(self.seen)
        self.seen.update(step.kinds)
        new = len(self.seen) - seen_before
        self._mask(step.masked, goal)
        kind = "0" if not answer else "=" if same else "o" if other else "b" if before else "n"
        self.form, self.form_before = f"{'e' if step.failed else 's'}{kind}{min(new, 2)}", self.form
        self.repeated += before
        self.same += same
        self.unrelated += other
        self.new += new
        self.since_new = 0 if new else self.since_new + 1
        self.recent_poor = _FADING * self.recent_poor + (1 - _FADING) * (step.failed or same or other)
        self.recent_new = _FADING * self.recent_new + (1 - _FADING) * min(new, 5)
        self._last = answer
        self._actions[answer] = None if other else action
        return before

    def _mask(self, words: Sequence[str], goal: dict[str, float]) -> None:
        """What is left of an answer when ! stands for the goal's words, too."""
        if not goal.keys().isdisjoint(words):
            masks = ["!" if word in goal else word for word in words]
            words = [mask for mask, before in zip(masks, ["", *masks], strict=False) if mask != "!" or before != "!"]
        self.shape, self.opening = " ".join(words[:_SHAPE_WORDS]), " ".join(words[:3])
        self.ending = words[-1] if words else ""


class Calls:
    """Which tools were called in which order, how often the same again, and how many failed."""

    def __init__(self) -> None:
        self.count = 0
        self.last = self.second = self.third = START
        """The tools called last, last but one, and the one before that."""
        self.used: list[str] = []
        """Different tools, sorted."""
        self.succeeded: set[str] = set()
        self._made: dict[str, int] = {}
        self.repeated = 0
        """Calls that had been made before, word by word."""
        self.times = 0
        """How often the last call had been made before."""
        self.failures = self.failures_running = self.longest_failing = 0
        self.objects = START
        """The words of the last action but for the tool, numbers and the goal's words: to what it was done."""

    @property
    def distinct(self) -> int:
        """Calls that differ from each other."""
        return len(self._made)

    def act(self, step: StepWords, goal: dict[str, float]) -> bool:
        """One more call. Whether it had been made before."""
        tool = step.tool
        self.count += 1
        self.times = self._made.get(step.action, 0)
        self._made[step.action] = self.times + 1
        self.repeated += self.times > 0
        if step.failed:
            self.failures += 1
            self.failures_running += 1
            self.longest_failing = max(self.longest_failing, self.failures_running)
        else:
            self.failures_running = 0
            if len(self.succeeded) < MOST_TOOLS:
                self.succeeded.add(tool)
        objects = ["!" if word in goal else word for word in step.objects[:_OBJECT_LETTERS]]
        self.objects = " ".join(objects)[:_OBJECT_LETTERS]
        self.last, self.second, self.third = tool, self.last, self.second
        _insert(self.used, tool)
        return self.times > 0


class Run:
    """A task, and what was done about it so far."""

    def __init__(self, task: TaskWords, goal: dict[str, float]) -> None:
        self.task = task
        self.goal = Goal(goal, task.context)
        self.answers = Answers()
        self.calls = Calls()
        self.messages = self.messages_running = 0
        """Messages so far, and those since the last action."""
        self.loops = 0
        """Calls made before that brought an answer that had come before."""
        self.last_words: Sequence[str] = ()
        """Of what was heard last."""
        self.told = different_words(task.goal)
        """Different words of the task, without those that hold a digit."""
        self.heard: dict[str, None] = {}
        """The same of all that the other side said, in the order in which they came."""
        self.place = self.place_before = (START, START)
        """The tool called last and the shape of its answer, after the last action and before it."""
        self._followed: dict[tuple[str, str], str] = {}

    def add(self, step: StepWords) -> None:
        """One more step."""
        if step.tool:
            self._act(step)
        else:
            self._hear(step)

    @property
    def followed(self) -> str | None:
        """The tool that came next when this very run was last at such a place; None when it never was."""
        return self._followed.get(self.place)

    def _act(self, step: StepWords) -> None:
        answered_before = self.answers.act(step, self.goal.weights)
        called_before = self.calls.act(step, self.goal.weights)
        self.goal.act(step, self.calls.count)
        self.loops += called_before and answered_before
        self.messages_running = 0
        self.last_words = step.others or step.answer_words
        self._followed[self.place] = step.tool
        shape = f"{self.answers.opening}|{self.answers.ending}"
        self.place, self.place_before = (step.tool, shape), self.place

    def _hear(self, step: StepWords) -> None:
        self.messages += 1
        self.messages_running += 1
        self.last_words = step.answer_words
        self.answers.seen.update(step.answer_words)
        if len(self.heard) < MOST_WORDS:
            self.heard |= dict.fromkeys(different_words(step.answer_words)[: MOST_WORDS - len(self.heard)])


def different_words(words: Iterable[str]) -> list[str]:
    """The first different words, without those that hold a digit."""
    return [word for word in dict.fromkeys(words) if not has_digit(word)][:MOST_WORDS]


def _insert(tools: list[str], tool: str) -> None:
    """Add a tool to sorted ones, unless it is there or they are many already."""
    if tool not in tools and len(tools) < MOST_TOOLS:
        tools.append(tool)
        tools.sort()
