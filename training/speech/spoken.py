"""Written text as it is said: numbers, dates, times, amounts, symbols and abbreviations in words.

English only. What is not understood stays as it is; a text that is already spoken is not changed.
"""

import re
from collections.abc import Callable
from datetime import date

from num2words import num2words

_ABBREVIATIONS = {
    r"\bDr\.": "Doctor",
    r"\bMrs\.": "Missus",
    r"\bMr\.": "Mister",
    r"\bMs\.": "Miz",
    r"\bProf\.": "Professor",
    r"\be\.g\.,?": "for example",
    r"\bi\.e\.,?": "that is",
    r"\betc\.": "et cetera",
    r"\bapprox\.": "approximately",
    r"\bvs\.": "versus",
    r"\bNo\. ?(?=\d)": "number ",
    r"\bSt\.(?= [A-Z])": "Saint",
    r"(?<=[a-z]) St\.": " Street",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_UNITS = {
    "km/h": "kilometre per hour",
    "mph": "mile per hour",
    "m/s": "metre per second",
    "km": "kilometre",
    "cm": "centimetre",
    "mm": "millimetre",
    "m": "metre",
    "mi": "mile",
    "kg": "kilogram",
    "mg": "milligram",
    "g": "gram",
    "l": "litre",
    "ml": "millilitre",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
    "kHz": "kilohertz",
    "°C": "degree Celsius",
    "°F": "degree Fahrenheit",
    "°": "degree",
    "%": "percent",
}
_SYMBOLS = {"&": "and", "@": "at", "+": "plus", "=": "equals", "#": "number", "~": "about"}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def spoken(text: str) -> str:
    """Return a text as one would read it aloud."""
    for pattern, said in _ABBREVIATIONS.items():
        text = re.sub(pattern, said, text)
    for pattern, say in _RULES:
        text = re.sub(pattern, say, text)
    for symbol, said in _SYMBOLS.items():
        text = text.replace(symbol, f" {said} ")
    text = re.sub(r"\b[A-Z]{2,5}\b", _letters, text)
    return re.sub(r"\s+(?=[,.;:?!])|(?<=\s)\s+", "", text).strip()


def _cardinal(number: str) -> str:
    digits = number.replace(",", "")
    value = float(digits) if "." in digits else int(digits)
    return str(num2words(value)).replace(",", "")


def _ordinal(number: str) -> str:
    return str(num2words(int(number), to="ordinal")).replace(",", "")


def _year(number: str) -> str:
    return str(num2words(int(number), to="year")).replace(",", "")


def _digits(match: re.Match[str]) -> str:
    """Read a telephone number: digit by digit, with a pause where it is divided."""
    return re.sub(r"\d", lambda digit: f" {_cardinal(digit[0])}", match[0]).replace("-", ",")


def _letters(match: re.Match[str]) -> str:
    """Spell what has no vowel to be read by; other capitals may be a shouted word."""
    word = match[0]
    return word if len(word) > 3 and re.search("[AEIOUY]", word) else " ".join(word)


def _iso_date(match: re.Match[str]) -> str:
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return match[0]
    return f"{_MONTHS[day.month - 1]} {_ordinal(str(day.day))}, {_year(match['year'])}"


def _named_date(match: re.Match[str]) -> str:
    month = next(name for name in _MONTHS if name[:3] == match["month"][:3])
    said = f"{month} {_ordinal(match['day'])}"
    return f"{said}, {_year(match['year'])}" if match["year"] else said


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = match["half"]
    if hour > 23 or minute > 59:
        return match[0]
    minutes = f"oh {_cardinal(str(minute))}" if 0 < minute < 10 else _cardinal(str(minute))
    after = "" if not minute and half else " hundred" if not minute else f" {minutes}"
    if not minute and not half and hour <= 12:
        after = " o'clock"
    said = f"{_cardinal(str(hour))}{after}"
    return f"{said} {half[0].lower()} m" if half else said


def _money(match: re.Match[str]) -> str:
    one, small = _MONEY[match["sign"]]
    whole, _, rest = match["amount"].replace(",", "").partition(".")
    if match["scale"]:
        return f"{_cardinal(match['amount'])} {match['scale']} {one}s"
    said = f"{_cardinal(whole)} {one if int(whole) == 1 else one + 's'}"
    cents = int(rest.ljust(2, "0")[:2]) if rest else 0
    if not cents:
        return said
    many = "pence" if small == "penny" else f"{small}s"
    return f"{said} and {_cardinal(str(cents))} {small if cents == 1 else many}"


def _measure(match: re.Match[str]) -> str:
    unit, one = _UNITS[match["unit"]], match["amount"] == "1"
    said = _cardinal(match["amount"])
    if one or unit == "percent":
        return f"{said} {unit}"
    head, space, rest = unit.partition(" ")
    return f"{said} {head if head.endswith('hertz') else head + 's'}{space}{rest}"


_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
# The first rule that fits takes the digits, so the more particular ones come first.
_RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b", _iso_date),
    (
        rf"\b(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b"
        r"(?:,? (?P<year>\d{4})\b)?",
        _named_date,
    ),
    (
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?P<month>{_MONTH})\b\.?(?: (?P<year>\d{{4}})\b)?",
        _named_date,
    ),
    (
        r"\b(?P<hour>\d{1,2})[:.](?P<minute>\d{2}) ?(?P<half>[aApP])\.?[mM]\b\.?",
        _time,
    ),
    (r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})\b(?P<half>)", _time),
    (r"\b(?P<hour>\d{1,2})(?P<minute>) ?(?P<half>[aApP])\.?[mM]\b\.?", _time),
    (r"\b(?:\d{3}-)?\d{3}-\d{4}\b", _digits),
    (r"(?<![\w.])[-−](?=\d)", lambda _: "minus "),
    (
        rf"(?P<sign>[$£€])(?P<amount>{_NUMBER})(?: (?P<scale>thousand|million|billion)\b)?",
        _money,
    ),
    (rf"(?P<amount>{_NUMBER}) ?(?P<unit>{_UNIT})(?![\w/])", _measure),
    (r"\b(\d+)(?:st|nd|rd|th)\b", lambda match: _ordinal(match[1])),
    (rf"\b(in|{_MONTH}) (1[1-9]\d\d|20\d\d)\b", lambda m: f"{m[1]} {_year(m[2])}"),
    (rf"\b({_NUMBER})\s?[-–]\s?(?=\d)", lambda match: f"{match[1]} to "),
    (_NUMBER, lambda match: _cardinal(match[0])),
)
