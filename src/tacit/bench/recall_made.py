"""Generated collections of many shapes, the same for the same seed: chats of two people, chats with an assistant whose
answers are long, a few notes, one mind with many users, other languages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from tacit.bench.recall_data import Collection, Item, Question
from tacit.bench.recall_words import (
    FILLERS,
    GREETINGS,
    PEOPLE,
    STANDING,
    TIMES,
    TONGUES,
    TOPICS,
    WELCOMES,
    Topic,
)

_START = int(datetime(2026, 1, 5, 9, tzinfo=UTC).timestamp()) * 1_000_000
_DAY = 86_400 * 1_000_000
_MINUTE = 60 * 1_000_000
_CLASSES = ("same", "other", "dated")
"""A question in the words of what was said, in other words, or after the time."""
_LONG = 9
"""Sentences of an assistant's answer, on average."""


def made_collections(seed: int = 0) -> tuple[Collection, ...]:
    """One collection of each shape."""
    return (
        made_diary(seed),
        made_assistant(seed),
        made_notes(seed),
        made_crowd(seed),
        *(made_tongue(language, seed) for language in TONGUES),
    )


class _Talk:
    """Turns as they are said, with their sessions and times."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.items: list[Item] = []
        self._asked: list[tuple[str, set[str], str]] = []
        self._told: dict[tuple[str, str, str], set[str]] = {}
        self._session, self._when = 0, _START

    def begin(self) -> None:
        self._session += 1
        self._when = _START + self._session * self.chance.randint(2, 9) * _DAY

    def say(self, speaker: str, text: str, user: str = "") -> str:
        self._when += _MINUTE
        said = Item(
            id=f"D{self._session}:{len(self.items)}",
            text=text[0].upper() + text[1:],
            user=user,
            session=f"D{self._session}",
            speaker=speaker,
            occurred_at=self._when,
        )
        self.items.append(said)
        return said.id

    def ask(
        self, topic: Topic, values: dict[str, str], relevant: set[str], classes: tuple[str, ...] = _CLASSES
    ) -> None:
        """One question of each class. One that names neither value is about all that the person told of the topic."""
        for name in classes:
            asked = self.chance.choice(getattr(topic, name))
            told = self._told.setdefault((values["who"], topic.name, name), set())
            told |= relevant
            found = relevant if "{a}" in asked or "{b}" in asked else told
            self._asked.append((asked.format(**values), found, name))

    def demand(self, text: str, relevant: str, category: str) -> None:
        self._asked.append((text, {relevant}, category))

    def collection(self, name: str) -> Collection:
        """All that was said and asked; nothing may be said after this."""
        questions = tuple(
            Question(text=text, relevant=frozenset(relevant), category=category)
            for text, relevant, category in self._asked
        )
        return Collection(name=name, items=tuple(self.items), questions=questions)


def made_diary(seed: int = 0, sessions: int = 24) -> Collection:
    """Two people who write to each other in short turns: what one tells the other repeats, asks about, or leaves."""
    chance = random.Random(f"diary {seed}")  # noqa: S311
    talk = _Talk(chance)
    pair = chance.sample(PEOPLE, 2)
    stories = [(name, topic, values) for name in pair for topic, values in _stories(chance, name, 3)]
    chance.shuffle(stories)
    for one in range(sessions):
        talk.begin()
        talk.say(pair[one % 2], chance.choice(GREETINGS).format(other=pair[1 - one % 2]))
        talk.say(pair[1 - one % 2], chance.choice(WELCOMES).format(other=pair[one % 2]))
        for name, topic, values in stories[one::sessions]:
            _exchange(talk, name, pair[1 - pair.index(name)], topic, values)
        talk.say(pair[one % 2], chance.choice(FILLERS))
        talk.say(pair[1 - one % 2], chance.choice(FILLERS))
    return talk.collection("diary")


def _stories(chance: random.Random, name: str, each: int) -> Iterator[tuple[Topic, dict[str, str]]]:
    """What a person tells: some stories of each topic, no two with the same first value."""
    for topic in TOPICS:
        for a, b in zip(chance.sample(topic.a, each), chance.sample(topic.b, each), strict=True):
            yield topic, {"who": name, "a": a, "b": b, "when": chance.choice(TIMES)}


def _exchange(talk: _Talk, teller: str, hearer: str, topic: Topic, values: dict[str, str]) -> None:
    chance = talk.chance
    if chance.random() < 0.4:
        told = talk.say(teller, chance.choice(topic.hints).format(**values))
        talk.say(hearer, chance.choice(topic.probes).format(**values))
        answer = talk.say(teller, chance.choice(topic.answers).format(**values))
        talk.ask(topic, values, {told, answer}, ("same",))
        talk.ask(topic, values, {told}, ("dated",))
    else:
        told = talk.say(teller, chance.choice(topic.says).format(**values))
        talk.ask(topic, values, {told})
    talk.say(hearer, chance.choice(topic.after).format(**values))
    talk.say(teller, chance.choice(topic.more).format(**values))
    for _ in range(chance.randint(0, 3)):
        talk.say(chance.choice((teller, hearer)), chance.choice(FILLERS))


def made_assistant(seed: int = 0, sessions: int = 60) -> Collection:
    """A person and an assistant with long answers, which repeat the person's words: what is asked later is what the
    person told, or what the assistant advised."""
    chance = random.Random(f"assistant {seed}")  # noqa: S311
    talk = _Talk(chance)
    name = chance.choice(PEOPLE)
    stories = list(_stories(chance, name, 5))
    chance.shuffle(stories)
    for topic, values in stories[:sessions]:
        talk.begin()
        told = talk.say("user", f"{chance.choice(topic.says).format(**values)} {chance.choice(FILLERS)}")
        talk.say("assistant", _long_answer(chance, topic, values))
        talk.say("user", f"{chance.choice(topic.more)} What else should I know?")
        talk.ask(topic, values, {told})
        advice = chance.choice(topic.advice)
        number = chance.randint(12, 97)
        said = f"{_long_answer(chance, topic, values)} Plan about {number} minutes for this. {advice}"
        given = talk.say("assistant", said)
        asked = f"How many minutes did you tell me to plan when we spoke about the {values['a']}?"
        talk.demand(asked, given, "advice")
    made = talk.collection("assistant")
    questions = tuple(_spoken_of_me(question, name) for question in made.questions)
    return Collection(name=made.name, items=made.items, questions=questions)


def _long_answer(chance: random.Random, topic: Topic, values: dict[str, str]) -> str:
    others = [one for other in TOPICS for one in other.advice if other is not topic]
    sentences = [chance.choice(others) for _ in range(chance.randint(_LONG // 2, _LONG + _LONG // 2))]
    mention = f"About {values['a']} and {values['b']}, here is what usually helps."
    return " ".join([mention, *topic.advice, *sentences, f"I hope that this helps with {values['a']}."])


def _spoken_of_me(question: Question, name: str) -> Question:
    """The person asks about themselves."""
    text = question.text.replace(f"{name}'s", "my").replace(f"does {name}", "do I").replace(f"was {name}", "was I")
    text = text.replace(f"is {name}", "am I").replace(f"has {name}", "have I").replace(name, "I")
    return Question(text=text, relevant=question.relevant, category=question.category)


def made_notes(seed: int = 0, each: int = 2) -> Collection:
    """A couple of dozen facts in the third person, without sessions or speakers."""
    chance = random.Random(f"notes {seed}")  # noqa: S311
    talk = _Talk(chance)
    for name in chance.sample(PEOPLE, each):
        for topic, values in _stories(chance, name, 1):
            _fact(talk, topic, values)
    return talk.collection("notes")


def _fact(talk: _Talk, topic: Topic, values: dict[str, str], user: str = "") -> None:
    text = f"{values['who']} told me: {talk.chance.choice(topic.says).format(**values)}"
    number = len(talk.items)
    when = _START + number * _MINUTE
    talk.items.append(Item(id=f"f{number}", text=text, kind="fact", user=user, occurred_at=when))
    talk.ask(topic, values, {f"f{number}"}, ("same", "other", "dated"))


def made_crowd(seed: int = 0, users: int = 200) -> Collection:
    """One mind with many people, each with a few turns, facts, preferences and instructions; questions name whom they
    are about, and nothing narrows them down."""
    chance = random.Random(f"crowd {seed}")  # noqa: S311
    talk = _Talk(chance)
    for number in range(users):
        name = f"{PEOPLE[number % len(PEOPLE)]} {'ABCDEFGHIJ'[number // len(PEOPLE)]}."
        talk.begin()
        for topic, values in chance.sample(list(_stories(chance, name, 1)), 3):
            told = talk.say(name, chance.choice(topic.says).format(**values), user=name)
            talk.say("assistant", chance.choice(topic.after).format(**values), user=name)
            if number % 4 == 0:
                talk.ask(topic, values, {told}, ("same", "other"))
        kind, text, values_of, asked = STANDING[number % len(STANDING)]
        given = Item(
            id=f"s{number}",
            text=text.format(who=name, b=chance.choice(values_of)),
            kind=kind,
            user=name,
            occurred_at=_START,
        )
        talk.items.append(given)
        if number % 4 == 0:
            talk.demand(asked.format(who=name), given.id, "standing")
    return talk.collection("crowd")


def made_tongue(language: str, seed: int = 0) -> Collection:
    """Facts and questions in one language, about many people with like stories."""
    chance = random.Random(f"{language} {seed}")  # noqa: S311
    items: list[Item] = []
    questions: list[Question] = []
    for name in chance.sample(PEOPLE, 20):
        for statement, asked, values in TONGUES[language]:
            text = statement.format(who=name, a=chance.choice(values))
            items.append(Item(id=f"t{len(items)}", text=text, kind="fact", occurred_at=_START + len(items) * _DAY))
            questions.append(
                Question(text=asked.format(who=name), relevant=frozenset({items[-1].id}), category=language)
            )
    return Collection(name=language.lower(), items=tuple(items), questions=tuple(questions))
