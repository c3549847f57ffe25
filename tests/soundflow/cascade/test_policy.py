import re

import pytest

from soundflow.cascade.policy import POLICY, Row
from soundflow.cascade.sound_classes import CLASS_NAMES

rows = pytest.mark.parametrize("row", POLICY, ids=lambda row: row.name)


@rows
def test_a_row_names_classes_that_exist(row: Row) -> None:
    named = {name for alternative in row.evidence for name in alternative} | set(row.rivals)
    assert named <= set(CLASS_NAMES)


@rows
def test_no_class_is_evidence_and_rival_of_the_same_row(row: Row) -> None:
    evidence = {name for alternative in row.evidence for name in alternative}
    assert not evidence & set(row.rivals)


@rows
def test_thresholds_make_a_hysteresis(row: Row) -> None:
    assert 0 < row.off <= row.on < 1
    assert 1 <= row.chunks <= row.span_chunks
    assert row.quiet_chunks > 4, "the same sound is in the scores of up to four chunks"


@rows
def test_advice_is_short_and_says_what_to_do(row: Row) -> None:
    assert len(row.advice.split()) <= 35
    assert "?" not in row.advice
    assert re.search(r"(?i)\b(call|get|go|keep|pull|check|press|stop|sit|look)\b", row.advice)


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in POLICY}) == len(POLICY)


def test_there_are_the_classes_of_audioset() -> None:
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 521
    assert CLASS_NAMES[0] == "Speech"
    assert CLASS_NAMES[494] == "Silence"
