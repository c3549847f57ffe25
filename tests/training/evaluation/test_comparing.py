from math import nan

from soundflow.interaction import Ability
from training.evaluation.comparing import defaults, side_by_side, verdicts
from training.evaluation.figures import Figure, Result


def warned(value: float, low: float, high: float) -> Result:
    return Result("Warnings: near", (Figure("balanced accuracy", value, low, high, 47),))


def wrote(value: float, low: float = nan, high: float = nan) -> Result:
    return Result("Transcription: speakers", (Figure("word error rate", value, low, high, 90),))


def test_more_accuracy_and_fewer_errors_are_better() -> None:
    reports = {
        "one": [warned(0.9, 0.8, 0.95), wrote(0.4, 0.3, 0.5)],
        "other": [warned(0.7, 0.6, 0.79), wrote(0.1, 0.05, 0.35)],
    }
    warning, transcription = verdicts(reports)
    assert (warning.best, warning.clear) == ("one", True)
    assert (transcription.best, transcription.clear) == ("other", False)  # 0.3 to 0.35 is in both


def test_a_default_gives_way_to_what_is_better_by_more_than_chance() -> None:
    worse, better = warned(0.7, 0.6, 0.79), warned(0.9, 0.8, 0.95)
    a_little = verdicts({"one": [worse, wrote(0.4, 0.3, 0.5)], "other": [wrote(0.1, 0.05, 0.35)]})
    assert defaults(a_little) == {Ability.PROACTIVE: "one", Ability.TRANSCRIBE: "one"}
    assert defaults(verdicts({"one": [worse], "other": [better]})) == {Ability.PROACTIVE: "other"}


def test_who_was_not_measured_is_not_better_and_of_equals_the_first_is() -> None:
    [verdict] = verdicts({"silent": [wrote(nan)], "one": [wrote(0.5)], "other": [wrote(0.5)]})
    assert (verdict.best, verdict.better, verdict.clear) == ("one", "one", False)
    [same] = verdicts({"one": [wrote(0.5)], "other": [wrote(0.5)]})
    assert (same.best, same.better) == ("one", "")
    assert verdicts({"silent": [wrote(nan)]}) == []
    [alone] = verdicts({"one": [wrote(0.5, 0.4, 0.6)]})
    assert (alone.best, alone.clear) == ("one", False)


def test_every_figure_is_set_side_by_side() -> None:
    rows = list(side_by_side({"one": [warned(0.9, 0.8, 1.0)], "other": [wrote(0.1)]}))
    assert [(result, name) for result, name, _ in rows] == [
        ("Warnings: near", "balanced accuracy"),
        ("Transcription: speakers", "word error rate"),
    ]
    assert rows[0][2]["one"].value == 0.9
    assert rows[0][2]["other"].value != rows[0][2]["other"].value
