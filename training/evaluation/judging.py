"""A judge of open replies: any endpoint that speaks the OpenAI interface."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan

from openai import OpenAI

from training.evaluation.answers import Judge

_ASKED = """Mark a spoken assistant's reply from 1 to 5.
1: wrong, unhelpful or empty. 3: partly helpful. 5: right, helpful, and fit to be listened to.
Say the number alone.

Request: {question}
Reply: {reply}"""
_MARK = re.compile(r"[1-5](?:\.\d+)?(?!\d)")


@contextmanager
def endpoint_judge(url: str, model: str, key: str = "none") -> Iterator[Judge]:
    """Give a judge that asks a model. A reply without a mark is NaN; OpenAIError is raised."""

    def judge(question: str, reply: str) -> float:
        if not reply:
            return 1.0
        asked = _ASKED.format(question=question, reply=reply)
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": asked}], temperature=0
        )
        return mark_of(answer.choices[0].message.content or "")

    with OpenAI(base_url=url, api_key=key) as client:
        yield judge


def mark_of(text: str) -> float:
    """Read a mark; NaN where there is none."""
    found = _MARK.search(text)
    return min(5.0, float(found.group())) if found else nan
