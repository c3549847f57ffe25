"""The planner behind an OpenAI-compatible endpoint: what it writes is believed once it is valid.

Where it cannot be had, or is no scenario twice in a row, the rules plan; all of that is counted.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, TypeVar

from openai import OpenAI, OpenAIError
from pydantic import BaseModel, Field, ValidationError

from training.curation.scenario import Annotation, GrammarPlanner, Planner, Query, Scenario

log = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)

PLAN = """Plan a short, believable scene of sounds for a listener who hears nothing else.
Use only sounds from the list, spelt as they are there; use as many as make sense together.
role: foreground (short, clear, one after the other), background or ambient.
after: numbers of the events, counted from 0, that must come earlier.
apart_from: numbers of events that must not sound at the same time."""
REFINE = """For each event of this scene, in the same order, write two things.
text: a search query of two to five words that would find a recording of it.
caption: one sentence that tells a sound generator what it sounds like, and for how long."""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Which model plans.

    input_price, output_price: of a million tokens, in whatever currency the cost is to be in.
    attempts: before the rules plan instead.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    timeout_s: float = 60.0
    attempts: int = 2
    temperature: float = 0.8
    input_price: float = 0.0
    output_price: float = 0.0


@dataclass(slots=True)
class Spent:
    """What planning has cost so far.

    unavailable: requests without an answer. invalid: answers that were not what was asked for.
    fallbacks: plans, and refinements, that the rules made in the end.
    """

    requests: int = 0
    unavailable: int = 0
    invalid: int = 0
    fallbacks: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


class Queries(BaseModel):
    """The answer to REFINE."""

    queries: Annotated[list[Query], Field(min_length=1)]


class EndpointPlanner:
    """Implement `training.curation.scenario.Planner`. spent: grows with each call."""

    def __init__(self, config: EndpointConfig, fallback: Planner | None = None) -> None:
        self.spent = Spent()
        self._config = config
        self._fallback = fallback or GrammarPlanner()
        self._client = OpenAI(
            base_url=config.base_url,
            api_key=config.api_key or "none",  # the client insists on one, local servers do not
            timeout=config.timeout_s,
            max_retries=0,  # attempts are counted here
        )

    def plan(self, bag: Sequence[Annotation], seed: int) -> Scenario:
        """See `Planner.plan`."""
        sounds = {each.label for each in bag}

        def check(scenario: Scenario) -> str:
            unknown = [event.sound for event in scenario.events if event.sound not in sounds]
            return f"these sounds are not in the list: {unknown}" if unknown else ""

        listed = [asdict(each) for each in bag]
        scenario = self._ask(Scenario, PLAN, {"sounds": listed, "seed": seed}, check)
        return scenario or self._fallback.plan(bag, seed)

    def refine(self, scenario: Scenario) -> Sequence[Query]:
        """See `Planner.refine`."""

        def check(answer: Queries) -> str:
            few = len(answer.queries) != len(scenario.events)
            return f"{len(answer.queries)} queries for {len(scenario.events)} events" if few else ""

        answer = self._ask(Queries, REFINE, scenario.model_dump(mode="json"), check)
        return answer.queries if answer else self._fallback.refine(scenario)

    def _ask(
        self, kind: type[ModelT], task: str, given: object, check: Callable[[ModelT], str]
    ) -> ModelT | None:
        """Return a valid answer; None when there is none after all attempts."""
        schema = json.dumps(kind.model_json_schema())
        prompt = f"{task}\n\nAnswer with one JSON object of this schema:\n{schema}"
        asked = json.dumps(given, ensure_ascii=False)
        for _ in range(self._config.attempts):
            try:
                answer = kind.model_validate_json(self._complete(prompt, asked))
                wrong = check(answer)
            except OpenAIError as error:
                self.spent.unavailable += 1
                # Not its words: they may repeat the key.
                log.warning("the planner at %s: %s", self._config.base_url, type(error).__name__)
                continue
            except ValidationError as error:
                wrong = str(error)
            if not wrong:
                return answer
            self.spent.invalid += 1
            prompt = f"{prompt}\n\nYour last answer was wrong: {wrong}"
        self.spent.fallbacks += 1
        return None

    def _complete(self, prompt: str, asked: str) -> str:
        """Ask once, and count what it costs. OpenAIError."""
        self.spent.requests += 1
        started = time.monotonic()
        try:
            completion = self._client.chat.completions.create(
                model=self._config.model,
                messages=[
                    {"role": "system", "content": prompt},
                    {"role": "user", "content": asked},
                ],
                response_format={"type": "json_object"},
                temperature=self._config.temperature,
            )
        finally:
            self.spent.seconds += time.monotonic() - started
        if usage := completion.usage:
            self.spent.input_tokens += usage.prompt_tokens
            self.spent.output_tokens += usage.completion_tokens
            price = (
                usage.prompt_tokens * self._config.input_price
                + usage.completion_tokens * self._config.output_price
            )
            self.spent.cost += price / 1e6
        return completion.choices[0].message.content or "" if completion.choices else ""
