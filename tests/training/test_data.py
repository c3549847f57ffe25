from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundflow.audio import CHUNK_SAMPLES
from soundflow.unified.prompts import NO_PROMPT
from soundflow.unified.settings import UnifiedSettings
from tests.training.corpus import CONTROL, PARTS, made_row
from training.composition.rows import SILENT, OfflineRow, Row, Turn, write_rows
from training.composition.sequence import TokenSequence, read
from training.composition.timeline import Answer, Response
from training.data import Layout, RowSource, hear, open_sources


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [made_row(seed, tmp_path, turns=30 if seed == 3 else 0) for seed in range(6)]
    audio = rows[0].turns[0].audio_path
    write_rows(tmp_path / "base.jsonl", [*rows, OfflineRow(assistant="Hello.", user="Hi")])
    write_rows(tmp_path / "silent.jsonl", [OfflineRow(assistant="Noise.", audio_path=audio)])
    return tmp_path


def test_a_folder_opens_as_the_kinds_it_holds(corpus: Path) -> None:
    sources = open_sources(corpus, CONTROL, PARTS.text)
    assert {kind: len(source) for kind, source in sources.items()} == {"base": 7, "silent": 1}
    (corpus / "base.jsonl").unlink()
    with pytest.raises(ValueError, match="no base.jsonl"):
        open_sources(corpus, CONTROL, PARTS.text)


def test_a_number_always_gives_the_same_example(corpus: Path) -> None:
    one, other = (RowSource(corpus / "base.jsonl", Layout(PARTS)) for _ in range(2))
    for index in (6, 3, 0):
        np.testing.assert_array_equal(one[index].tokens_T, other[index].tokens_T)
        np.testing.assert_array_equal(one[index].text_T, other[index].text_T)
    assert one[0].name == "base/row-0"
    other = RowSource(corpus / "base.jsonl", Layout(PARTS), seed=1)
    assert any(one[n].tokens_T.tolist() != other[n].tokens_T.tolist() for n in range(4))


def test_examples_fit_their_audio(corpus: Path) -> None:
    source = RowSource(corpus / "base.jsonl", Layout(PARTS))
    for example in (source[index] for index in range(len(source))):
        places = np.isin(example.tokens_T, [CONTROL.pad, CONTROL.audio_pad]).sum()
        assert places == 10 * len(example.blocks_N)
        assert (example.text_T | example.stream_T).any()
        sequence = TokenSequence(
            example.tokens_T, example.text_T, example.stream_T, example.blocks_N
        )
        if example.chunks:
            assert read(sequence, PARTS).system == "Listen."


def test_a_long_stream_is_cut_as_a_session_cuts_it(corpus: Path) -> None:
    found = [RowSource(corpus / "base.jsonl", Layout(PARTS), seed=seed)[3] for seed in range(5)]
    assert all(len(example.blocks_N) <= 60 < example.chunks for example in found)
    assert len({example.tokens_T.tobytes() for example in found}) > 1


def test_a_row_without_pauses_gets_them_and_answers_after_its_audio(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(CHUNK_SAMPLES + 10, 0.5), 16_000)
    turns = [
        Turn(audio_path="a.wav", assistant="Yes.", emotion="happy"),
        Turn(audio_path="a.wav", assistant=SILENT),
        Turn(audio_path="a.wav", assistant="No."),
    ]
    heard = hear(Row(id="a", turns=tuple(turns)), tmp_path, np.random.default_rng(0))
    loud = np.abs(heard.pcm_S.reshape(-1, CHUNK_SAMPLES)).max(axis=1) > 0
    ends = [n for n in np.flatnonzero(loud) if not loud[n + 1]]
    assert len(ends) == 3
    assert heard.timeline.chunks == len(loud) == ends[2] + 3
    assert heard.timeline.system == NO_PROMPT
    assert [response.chunk for response in heard.timeline.responses] == [ends[0], ends[2]]
    first = heard.timeline.responses[0]
    evidence = int(np.flatnonzero(heard.pcm_S[: (ends[0] + 1) * CHUNK_SAMPLES])[-1]) + 1
    assert first == Response(int(ends[0]), Answer("Yes.", "happy"), evidence)
    starts = [n for n in np.flatnonzero(loud) if not loud[n - 1]]
    pauses = [starts[0], starts[1] - ends[0] - 1, starts[2] - ends[1] - 1]
    assert all(2 <= pause <= 6 for pause in pauses)


def test_transcripts_may_be_joined_and_nothing_else(tmp_path: Path) -> None:
    row = made_row(1, tmp_path)
    spoken = row.model_copy(update={"scene_type": "real-time ASR"})
    for each, joins in ((row, False), (spoken, True)):
        heard = hear(each, tmp_path, np.random.default_rng(0))
        assert {response.joins for response in heard.timeline.responses} == {joins}


def test_no_sequence_is_longer_than_a_session(corpus: Path) -> None:
    small = UnifiedSettings(
        window_chunks=20,
        kept_chunks=6,
        positions=800,
        system_tokens=64,
        past_tokens=96,
        reply_tokens=64,
    )
    for seed in range(4):
        source = RowSource(corpus / "base.jsonl", Layout(PARTS, small), seed=seed)
        example = source[3]
        assert len(example.blocks_N) <= 20
        assert len(example.tokens_T) <= 800
