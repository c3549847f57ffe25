"""What people ask and say in synthesised dialogues, with what is to be answered.

Questions have one right answer, by arithmetic or by a table, so that nothing has to be believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soundflow.unified.prompts import NO_PROMPT
from training.corpora.material import Material
from training.tasks.plan import pick


@dataclass(frozen=True, slots=True)
class Exchange:
    """Something said, and the answer. emotion: "" = none that matters."""

    user: str
    assistant: str
    emotion: str = ""


CAPITALS: Mapping[str, str] = {
    "France": "Paris",
    "Spain": "Madrid",
    "Italy": "Rome",
    "Germany": "Berlin",
    "Poland": "Warsaw",
    "Austria": "Vienna",
    "Greece": "Athens",
    "Norway": "Oslo",
    "Portugal": "Lisbon",
    "Ireland": "Dublin",
    "Finland": "Helsinki",
    "Hungary": "Budapest",
    "Denmark": "Copenhagen",
    "Sweden": "Stockholm",
    "Belgium": "Brussels",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Russia": "Moscow",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Canada": "Ottawa",
    "Cuba": "Havana",
    "Peru": "Lima",
    "Australia": "Canberra",
}
OPPOSITES: Mapping[str, str] = {
    "hot": "cold",
    "early": "late",
    "big": "small",
    "happy": "sad",
    "strong": "weak",
    "heavy": "light",
    "open": "closed",
    "rich": "poor",
    "young": "old",
    "empty": "full",
    "first": "last",
    "narrow": "wide",
    "deep": "shallow",
    "clean": "dirty",
    "easy": "hard",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES = ("Anna", "Peter", "Maria", "Thomas", "Julia", "Robert", "Laura", "Daniel", "Emma", "Martin")
LIKED = ("coffee", "music", "swimming", "chocolate", "football", "dancing", "reading", "painting")

# (what is felt, what is said, the answer, its emotion)
FEELINGS = (
    ("I passed my final exam today, I am so {very} happy!", "Congratulations! {you}", "happy"),
    ("We are going to have a baby, I am so {very} happy!", "How wonderful! {you}", "happy"),
    ("My grandmother died last week, and I miss her {very} much.", "I am so sorry. {you}", "sad"),
    ("I lost my job today, and I feel {very} bad.", "I am sorry to hear that. {you}", "sad"),
    (
        "My flight was cancelled again, I am {very} angry!",
        "That is annoying indeed. {you}",
        "normal",
    ),
    ("You will never guess who I met today, I am {very} excited!", "Oh! {you}", "surprise"),
)
VERY = ("very", "really", "truly", "terribly", "just", "deeply")
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "happy": ("Tell me all about it.", "You have earned it."),
    "sad": ("I am here if you want to talk.", "Take all the time you need."),
    "normal": ("Shall we look for another way?", "What would help you now?"),
    "surprise": ("Tell me, who was it?", "I cannot wait to hear it."),
}


def question(material: Material, rng: np.random.Generator) -> Exchange:
    """Draw a question of the split with its answer."""
    makers = (_sum, _capital, _opposite, _next_day)
    drawn: dict[str, Exchange] = {}

    def make() -> str:
        exchange = pick(makers, rng)(rng)
        drawn[exchange.user] = exchange
        return exchange.user

    return drawn[material.text(make)]


def feeling(material: Material, rng: np.random.Generator) -> Exchange:
    """Draw something said with feeling, and an answer that fits it."""
    drawn: dict[str, Exchange] = {}

    def make() -> str:
        said, answer, emotion = pick(FEELINGS, rng)
        user = said.format(very=pick(VERY, rng))
        drawn[user] = Exchange(user, answer.format(you=pick(ENDINGS[emotion], rng)), emotion)
        return user

    return drawn[material.text(make)]


def fact(material: Material, rng: np.random.Generator) -> tuple[Exchange, Exchange]:
    """Draw something told about oneself, and a later question about it."""
    drawn: dict[str, tuple[Exchange, Exchange]] = {}

    def make() -> str:
        told, asked = pick((_name, _likes, _lives), rng)(rng)
        drawn[told.user] = told, asked
        return told.user

    told, asked = drawn[material.text(make)]
    later = _paraphrased(asked.user)
    return told, Exchange(material.one_of(later, rng), asked.assistant)


def instruction(rng: np.random.Generator, material: Material, *texts: str) -> str:
    """Draw one of several ways to ask for something by voice."""
    return material.one_of([form.format(text) for text in texts for form in POLITE], rng)


POLITE = (
    *("{}.", "Please {}.", "{}, please.", "Could you {}?", "Now {}.", "I want you to {}."),
    *("Can you {} for me?", "From now on, {}.", "Would you please {}?", "Okay, {}.", "Just {}."),
    *("Hello, please {}.", "Listen, {}.", "Now please {}.", "Hey, could you {}?", "Next, {}."),
    *("Let us see, {}.", "Would you {}?", "Right, now {}.", "So, please {}.", "Well, {}."),
)
CHAT_SYSTEMS = (
    NO_PROMPT,
    "Answer what you are asked.",
    "You are a friendly assistant. Talk with the user.",
    "Chat with whoever speaks, and keep it short.",
)


def _sum(rng: np.random.Generator) -> Exchange:
    one, other = (int(value) for value in rng.integers(2, 50, 2))
    return Exchange(f"What is {one} plus {other}?", f"{one} plus {other} is {one + other}.")


def _capital(rng: np.random.Generator) -> Exchange:
    country = pick(tuple(CAPITALS), rng)
    asked = pick(("What is the capital of {}?", "Tell me the capital of {}.", *_CAPITAL), rng)
    return Exchange(asked.format(country), f"The capital of {country} is {CAPITALS[country]}.")


_CAPITAL = ("Which city is the capital of {}?", "Do you know the capital of {}?")


def _opposite(rng: np.random.Generator) -> Exchange:
    word = pick(tuple(OPPOSITES), rng)
    asked = pick(("What is the opposite of {}?", "Tell me the opposite of {}."), rng)
    return Exchange(asked.format(word), f"The opposite of {word} is {OPPOSITES[word]}.")


def _next_day(rng: np.random.Generator) -> Exchange:
    day = int(rng.integers(7))
    asked = pick(("Which day comes after {}?", "What day follows {}?"), rng)
    return Exchange(asked.format(DAYS[day]), f"{DAYS[(day + 1) % 7]} comes after {DAYS[day]}.")


def _name(rng: np.random.Generator) -> tuple[Exchange, Exchange]:
    name = pick(NAMES, rng)
    told = pick(("Hello, my name is {}.", "My name is {}.", "Hi there, I am called {}."), rng)
    return (
        Exchange(told.format(name), f"Nice to meet you, {name}."),
        Exchange("what my name is", f"Your name is {name}."),
    )


def _likes(rng: np.random.Generator) -> tuple[Exchange, Exchange]:
    liked = pick(LIKED, rng)
    told = pick(("What I like most is {}.", "My favourite thing is {}.", "I really love {}."), rng)
    return (
        Exchange(told.format(liked), f"I see, you like {liked}."),
        Exchange("what I like", f"You like {liked}."),
    )


def _lives(rng: np.random.Generator) -> tuple[Exchange, Exchange]:
    city = pick(tuple(CAPITALS.values()), rng)
    told = pick(("I live in {}.", "I come from {}.", "My home is in {}."), rng)
    return (
        Exchange(told.format(city), f"I hear that {city} is a fine place."),
        Exchange("where I live", f"You live in {city}."),
    )


def _paraphrased(what: str) -> list[str]:
    return [form.format(what) for form in _RECALLS]


_RECALLS = (
    *("Do you remember {}?", "Tell me {}.", "Can you tell me {}?", "Do you still know {}?"),
    *("Please tell me {}.", "I told you {}, what was it?", "Say again {}.", "Now tell me {}."),
    *("What did I tell you about {}?", "Have you kept in mind {}?", "Repeat {}, please."),
    *("Could you repeat {}?", "Could you say {}?", "Do you recall {}?", "Try to recall {}."),
    *("Earlier I said {}, do you recall?", "So, do you know {}?", "Well, do you know {}?"),
)
