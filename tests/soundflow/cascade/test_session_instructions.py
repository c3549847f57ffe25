"""What a session does when it is told what to do, at its start, on the way, or by a voice."""

from soundflow.cascade.whisper_model import Task
from soundflow.interaction import Action, EndReason, Kind
from tests.soundflow.cascade.stage import ADVICE, BARK, GLASS, stage


def test_what_is_not_understood_is_said_once() -> None:
    on = stage("make me a sandwich")
    on.hear_next(5)
    [(kind, notice)] = on.told
    assert kind is Kind.NOTICE
    assert "make me a sandwich" in notice


def test_an_instruction_replaces_the_one_before_and_ends_its_open_turn() -> None:
    on = stage("transcribe")
    on.hear_next(3, speech=True)
    [turn] = on.kinds
    assert on.ended(turn) is None
    on.session.instruct("count the dog barks")
    on.hear_next(2, speech=True)
    assert on.ended(turn) is EndReason.CANCELLED
    on.hear_next(sounds=BARK, burst=True)
    on.hear_next(3)
    assert on.told[1:] == [(Kind.COUNT, "One.")]


def test_an_instruction_that_names_another_language_is_heard_in_it() -> None:
    on = stage("translate", source_language="fr")
    on.say("Good morning.")
    on.session.instruct("translate from Spanish")
    on.say("Good morning.")
    assert [job.window.language for job in on.whisper.jobs[:1]] == ["fr"]
    assert [job.window.language for job in on.whisper.jobs[-1:]] == ["es"]
    assert on.told_of(Kind.TRANSLATION) == ["Good morning."] * 2


def test_a_spoken_command_starts_a_translation_beside_the_transcript() -> None:
    on = stage("transcribe")
    on.say("Start translating.")
    on.hear_next()
    [notice] = on.told_of(Kind.NOTICE)
    assert "translate speech" in notice
    on.say("Buenos días.")
    assert on.told_of(Kind.TRANSLATION) == ["Buenos días."]
    assert {job.window.task for job in on.whisper.jobs[-2:]} == {Task.TRANSCRIBE, Task.TRANSLATE}


def test_a_spoken_stop_ends_all_but_the_warnings() -> None:
    on = stage("transcribe and warn me of danger")
    on.say("Stop.")
    on.hear_next()
    [notice] = on.told_of(Kind.NOTICE)
    assert "warn of danger" in notice
    on.say("Nobody writes this down.")
    on.hear_next(sounds=GLASS)
    assert on.told_of(Kind.TRANSCRIPT) == ["Stop."]
    assert on.told_of(Kind.ADVICE) == [ADVICE["glass"]]


def test_a_command_is_heard_where_nobody_asked_for_text() -> None:
    on = stage("count the dog barks")
    verdicts = on.say("Start transcribing.")
    assert {verdict.action for verdict in verdicts} == {Action.SILENT}
    [job] = on.whisper.jobs  # one pass: nobody would see the text grow
    assert job.window.language == "en"
    on.hear_next()
    on.say("Good morning.")
    assert on.told_of(Kind.TRANSCRIPT) == ["Good morning."]


def test_a_command_is_followed_once_however_many_listen() -> None:
    on = stage("transcribe and translate")
    on.say("Stop translating.")
    on.hear_next()
    assert len(on.told_of(Kind.NOTICE)) == 1
