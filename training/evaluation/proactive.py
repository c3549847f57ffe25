"""Proactive-Sound-Bench: 644 clips, of which some call for help and the others for silence.

It reads the public manifest (`{"id", "path", "description", "decision"}`; `onset_s` beside them
where the sound does not begin with its clip) and the public prediction rows
(`{"id", "_raw_reply"}`). A prediction that says nothing clear, or that is not there, is wrong;
the public scorer leaves it out of its denominator, so its number is told beside ours. As silence
alone is right on 58.5 % of the clips, what counts is balanced accuracy.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path, PurePosixPath
from typing import Literal

from training.evaluation.figures import Figure, Result, per_hour, quantile, share
from training.evaluation.interval import mean_of_shares

Decision = Literal["RESPOND", "IGNORE"]
RESPOND: Decision = "RESPOND"
IGNORE: Decision = "IGNORE"

DOMAINS = ("human", "daily living", "equipment", "traffic", "nature", "music")
OTHER = "other"
_TAG = re.compile(r"<\s*Decision\s*>\s*(RESPOND|IGNORE)\s*<\s*/\s*Decision\s*>", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\W_\d]+")


@dataclass(frozen=True, slots=True)
class Clip:
    """A row of the manifest. path: of the audio, from the manifest's folder.

    onset_s: where in it that begins which it is about; what is said before answers nothing.
    """

    id: str
    path: str
    description: str
    decision: Decision
    onset_s: float = 0.0

    @property
    def category(self) -> str:
        """The folder that it lies in."""
        return PurePosixPath(self.path).parent.name


@dataclass(frozen=True, slots=True)
class Judged:
    """One clip, and what was predicted of it; None = nothing that could be read.

    replies: how many came. delay_ms: of the first, from the sound's onset; NaN = not known.
    """

    domain: str
    expected: Decision
    predicted: Decision | None
    replies: int = 0
    delay_ms: float = nan

    @property
    def right(self) -> bool:
        """Whether that was right."""
        return self.predicted == self.expected


def read_manifest(path: Path) -> list[Clip]:
    """Read a manifest, JSON or JSON lines. ValueError, which names the row."""
    clips = []
    for number, row in enumerate(_rows(path), 1):
        decision = str(row.get("decision", "")).strip().upper()
        if decision not in (RESPOND, IGNORE) or "id" not in row or "path" not in row:
            raise ValueError(f"{path}, row {number}: no clip with a decision: {row}")
        decided: Decision = RESPOND if decision == RESPOND else IGNORE
        told = str(row.get("description", ""))
        onset_s = float(str(row.get("onset_s", 0.0)))
        clips.append(Clip(str(row["id"]), str(row["path"]), told, decided, onset_s))
    return clips


def read_predictions(path: Path) -> dict[str, str]:
    """Return the raw replies by clip. ValueError."""
    rows = _rows(path)
    try:
        return {str(row["id"]): str(row["_raw_reply"]) for row in rows}
    except KeyError as error:
        raise ValueError(f"{path}: a row has no {error}") from error


def parse(reply: str) -> Decision | None:
    """Read a reply's decision; None where it has none, or both."""
    found = {match.upper() for match in _TAG.findall(reply)}
    if len(found) != 1:
        return None
    return RESPOND if found == {RESPOND} else IGNORE


def written(decision: Decision, reply: str) -> str:
    """Write what a session did as the `_raw_reply` of a prediction."""
    return f"<Decision>{decision}</Decision><Reply>{reply}</Reply>"


def domain_of(path: str, domains: Mapping[str, str] | None = None) -> str:
    """Return a clip's domain by the folders it lies in, the outermost first.

    domains: of folders whose name does not begin with that of a domain.
    """
    known = {folder.casefold(): domain for folder, domain in (domains or {}).items()}
    for folder in PurePosixPath(path).parts[:-1]:
        if given := known.get(folder.casefold()):
            return given
        words = _SEPARATORS.sub(" ", folder).casefold().strip()
        for domain in DOMAINS:
            if words.startswith(domain):
                return domain
    return OTHER


def judge(
    clips: Iterable[Clip],
    replies: Mapping[str, str],
    domains: Mapping[str, str] | None = None,
) -> list[Judged]:
    """Set each clip beside what was predicted of it."""
    return [
        Judged(domain_of(clip.path, domains), clip.decision, parse(replies.get(clip.id, "")))
        for clip in clips
    ]


def score(name: str, judged: Sequence[Judged], seconds: float = 0.0, strays: int = 0) -> Result:
    """Return all figures.

    seconds: how long the model listened, where that is known. strays: replies to no clip at all.
    """
    figures = [
        _balanced("balanced accuracy", judged),
        *_rates(judged),
        _plain("plain accuracy", judged),
        _public(judged),
    ]
    if seconds:
        false = sum(one.replies for one in judged if one.expected == IGNORE)
        figures += [*_delays(judged), per_hour("false alarms", false + strays, seconds)]
    for domain in (*DOMAINS, OTHER):
        inside = [one for one in judged if one.domain == domain]
        if inside:
            figures += [
                _balanced(f"{domain}: balanced accuracy", inside),
                _plain(f"{domain}: plain accuracy", inside),
            ]
    return Result(name, tuple(figures))


def _balanced(name: str, judged: Sequence[Judged]) -> Figure:
    """The mean of the shares that are right among RESPOND and among IGNORE; of one, its own."""
    rights = [
        [one.right for one in judged if one.expected == decision] for decision in (RESPOND, IGNORE)
    ]
    shares = [(sum(right), len(right)) for right in rights if right]
    if not shares:
        return Figure(name, nan)
    value = sum(hits / trials for hits, trials in shares) / len(shares)
    low, high = mean_of_shares(shares)
    note = "" if len(shares) == 2 else "the clips call for one decision only"
    return Figure(name, value, low, high, len(judged), note=note)


def _rates(judged: Sequence[Judged]) -> tuple[Figure, Figure, Figure]:
    called = [one for one in judged if one.expected == RESPOND]
    spoke = [one for one in judged if one.predicted == RESPOND]
    ignored = [one for one in judged if one.expected == IGNORE]
    return (
        share("recall", sum(one.right for one in called), len(called), "RESPOND clips"),
        share("precision", sum(one.right for one in spoke), len(spoke), "replies"),
        share("specificity", sum(one.right for one in ignored), len(ignored), "IGNORE clips"),
    )


def _delays(judged: Sequence[Judged]) -> list[Figure]:
    """How long after the onset of what calls for help the first reply began."""
    delays_ms = [
        one.delay_ms for one in judged if one.expected == RESPOND and not isnan(one.delay_ms)
    ]
    return [
        Figure(f"reply delay, {name}", quantile(delays_ms, at), of=len(delays_ms), unit="ms")
        for name, at in (("median", 0.5), ("90 %", 0.9))
    ]


def _plain(name: str, judged: Sequence[Judged]) -> Figure:
    return share(name, sum(one.right for one in judged), len(judged))


def _public(judged: Sequence[Judged]) -> Figure:
    read = [one for one in judged if one.predicted is not None]
    dropped = len(judged) - len(read)
    note = f"without the {dropped} that could not be read"
    return share("accuracy, public scorer", sum(one.right for one in read), len(read), note)


def _rows(path: Path) -> list[dict[str, object]]:
    text = path.read_text()
    try:
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: a row is no object")
    return list(rows)
