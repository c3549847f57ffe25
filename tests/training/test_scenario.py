import numpy as np
import pytest
from pydantic import ValidationError

from training.compose import Role
from training.curation.scenario import Annotation, GrammarPlanner, Scenario, SubEvent

BAG = [
    Annotation("dog barking", 0.6),
    Annotation("thunder", 4.0),
    Annotation("rain", 20.0),
    Annotation("glass breaking", 0.8),
    Annotation("smoke alarm", 3.0),
    Annotation("city ambience", 60.0),
    Annotation("piano", 5.0),
    Annotation("coughing", 0.05),
    Annotation("symphony", 300.0),
]


def event(sound: str, role: Role = Role.FOREGROUND, **others: object) -> SubEvent:
    return SubEvent.model_validate({"sound": sound, "role": role, "duration_s": 1, **others})


@pytest.mark.parametrize("seed", range(40))
def test_rules_plan_possible_scenarios_of_the_bag(seed: int) -> None:
    scenario = GrammarPlanner().plan(BAG, seed)
    events = scenario.events
    assert 3 <= len(events) <= 15
    assert {each.sound for each in events} <= {each.label for each in BAG}
    order = scenario.order()
    assert sorted(order) == [n for n, e in enumerate(events) if e.role is Role.FOREGROUND]
    for place, number in enumerate(order):
        assert not set(order[place:]) & set(events[number].after)
    for each in events:
        if each.sound in ("rain", "city ambience", "symphony"):
            assert each.role is not Role.FOREGROUND or len(order) == 1
        assert each.duration_s <= (10 if each.role is Role.FOREGROUND else 30)
        if each.role is not Role.FOREGROUND:
            same = {n for n in order if events[n].sound == each.sound}
            assert set(each.apart_from) == same
    assert scenario == GrammarPlanner().plan(BAG, seed)
    queries = GrammarPlanner().refine(scenario)
    assert [query.text for query in queries] == [each.sound for each in events]


def test_plans_differ_and_causes_come_first() -> None:
    plans = [GrammarPlanner().plan(BAG, seed) for seed in range(60)]
    assert len(set(plans)) > 50
    assert {len(plan.events) for plan in plans} == set(range(3, 16))
    pairs = [
        (plan.events[before].sound, each.sound)
        for plan in plans
        for each in plan.events
        for before in each.after
    ]
    assert set(pairs) == {("thunder", "rain"), ("glass breaking", "smoke alarm")}


def test_one_label_is_enough_and_none_is_not() -> None:
    scenario = GrammarPlanner().plan([Annotation("rain", 500.0)], 0)
    assert max(each.duration_s for each in scenario.events) <= 30
    with pytest.raises(ValueError, match="nothing to plan with"):
        GrammarPlanner().plan([], 0)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([event("a"), event("b")], "at least 3"),
        ([event("a")] * 16, "at most 15"),
        ([event("a"), event("b"), event("c", after=[3])], "not there: \\[3\\]"),
        ([event("a"), event("b"), event("c", apart_from=[-1])], "not there: \\[-1\\]"),
        ([event("a", after=[1]), event("b", after=[0]), event("c")], "come after one another"),
        ([event("a", after=[0]), event("b"), event("c")], "come after one another"),
        ([event("a", Role.AMBIENT)] * 3, "nothing is in the foreground"),
        ([event("a"), event("b"), event("c", Role.NOISE)], "event 2 is noise"),
    ],
)
def test_what_cannot_be_is_no_scenario(events: list[SubEvent], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Scenario(title="", events=tuple(events))


@pytest.mark.parametrize("duration_s", [0.1, 31, float("nan")])
def test_durations_have_bounds(duration_s: float) -> None:
    with pytest.raises(ValidationError):
        SubEvent(sound="a", role=Role.FOREGROUND, duration_s=duration_s)


def test_order_follows_constraints_through_the_background() -> None:
    events = [event("c", after=[1]), event("b", Role.BACKGROUND, after=[2]), event("a")]
    assert Scenario(title="", events=tuple(events)).order() == (2, 0)
    assert np.isfinite(events[0].duration_s)
