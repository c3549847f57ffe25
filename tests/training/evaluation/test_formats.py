import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pytest import mark, raises

from training.evaluation import formats
from training.evaluation.formats import Item


def test_librispeech(tmp_path: Path) -> None:
    chapter = tmp_path / "1089" / "134686"
    chapter.mkdir(parents=True)
    (chapter / "1089-134686.trans.txt").write_text(
        "1089-134686-0000 HE HOPED THERE WOULD BE STEW\n1089-134686-0001 STUFF IT INTO YOU\n"
    )
    items = list(formats.librispeech(tmp_path))
    assert items[0] == Item(
        "1089-134686-0000",
        chapter / "1089-134686-0000.flac",
        expected=("HE HOPED THERE WOULD BE STEW",),
    )
    assert len(items) == 2
    with raises(ValueError, match="no \\*.trans.txt"):
        list(formats.librispeech(chapter / "empty"))


def test_alignments(tmp_path: Path) -> None:
    (tmp_path / "84-121123.alignment.txt").write_text(
        '84-121123-0000 ",GO,,DO,YOU,HEAR," "0.490,0.890,1.270,1.380,1.490,1.890,2.090"\n'
    )
    spoken = formats.alignments(tmp_path)["84-121123-0000"]
    assert [(word.text, round(word.start_ms), round(word.end_ms)) for word in spoken] == [
        ("go", 490, 890),
        ("do", 1270, 1380),
        ("you", 1380, 1490),
        ("hear", 1490, 1890),
    ]
    with raises(ValueError, match="no \\*.alignment.txt"):
        formats.alignments(tmp_path / "elsewhere")


def test_covost2(tmp_path: Path) -> None:
    table = tmp_path / "covost_v2.en_zh-CN.test.tsv"
    table.write_text(
        "path\tsentence\ttranslation\tclient_id\n"
        'common_voice_en_1.mp3\tHe said "no.\t他说“不”。\tabc\n'
    )
    [item] = formats.covost2(table, tmp_path / "clips")
    assert item.audio == tmp_path / "clips" / "common_voice_en_1.mp3"
    assert item.expected == ("他说“不”。",)


@mark.parametrize("choices", [["Dog", "Cat"], "['Dog', 'Cat']"])
def test_mmau(tmp_path: Path, choices: object) -> None:
    file = tmp_path / "mmau-test-mini.json"
    row = {
        "id": "3fe6",
        "audio_id": "./test-mini-audios/3fe6.wav",
        "question": "Which animal is it?",
        "choices": choices,
        "answer": "Dog",
        "task": "sound",
        "difficulty": "easy",
    }
    file.write_text(json.dumps([row]))
    [item] = formats.mmau(file)
    assert item == Item(
        "3fe6",
        tmp_path / "test-mini-audios" / "3fe6.wav",
        "Which animal is it?",
        ("Dog",),
        ("Dog", "Cat"),
        "sound",
    )


def test_llama_questions(tmp_path: Path) -> None:
    (tmp_path / "audios").mkdir()
    file = tmp_path / "llama_questions.csv"
    file.write_text('Questions,Answer,audio_filename\n"What, now?",Paris; France,0.wav\n')
    [item] = formats.llama_questions(file)
    assert item == Item("0", tmp_path / "audios" / "0.wav", "What, now?", ("Paris; France",))


def test_web_questions(tmp_path: Path) -> None:
    file = tmp_path / "web_questions.csv"
    file.write_text("question,answers,audio_filename\nwho?,Ann;Bob Smith,1.wav\n")
    [item] = formats.web_questions(file)
    assert item.expected == ("Ann", "Bob Smith")
    assert item.audio == tmp_path / "1.wav"


def test_alpaca_eval(tmp_path: Path) -> None:
    file = tmp_path / "alpacaeval.jsonl"
    row = {"prompt": "Tell me a joke.", "audio": {"path": "7.wav"}, "dataset": "helpful_base"}
    file.write_text(json.dumps(row) + "\n")
    [item] = formats.alpaca_eval(file)
    assert item == Item("0", tmp_path / "7.wav", "Tell me a joke.", group="helpful_base")


def test_sd_qa(tmp_path: Path) -> None:
    file = tmp_path / "sd-qa.json"
    row = {"prompt": "when?", "reference": "1969", "audio": "usa/1.wav", "accent": "usa"}
    file.write_text(json.dumps([row]))
    [item] = formats.sd_qa(file)
    assert item == Item("0", tmp_path / "usa" / "1.wav", "when?", ("1969",), group="usa")


@mark.parametrize(
    ("read", "text", "told"),
    [
        (formats.mmau, '[{"audio_id": "a", "question": "b", "answer": "c"}]', "no choices"),
        (formats.sd_qa, '{"prompt": "a", "audio": "b"}', "no answer in any of"),
        (formats.web_questions, '{"question": "a", "answers": ["b"]}', "none of audio_filename"),
        (formats.alpaca_eval, '{"prompt": ', "delimiter|Expecting"),
    ],
)
def test_what_is_broken_is_named(
    tmp_path: Path, read: Callable[[Path], Iterator[Item]], text: str, told: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with raises(ValueError, match=told) as raised:
        list(read(file))
    assert "broken.json" in str(raised.value)


@mark.parametrize(
    ("name", "text", "read", "told"),
    [
        ("a.alignment.txt", '1 ",GO" "0.1,0.2"\n\n', formats.alignments, "row 2"),
        ("mmau.json", '[{"audio_id": "a.wav", "choices": "Dog or cat"}]', formats.mmau, "row 1"),
        ("sd_qa.json", '["what?"]', formats.sd_qa, "row 1: no object"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_row(
    tmp_path: Path, name: str, text: str, read: Callable[[Path], Iterable[object]], told: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with raises(ValueError, match=f"{re.escape(str(file))}, {told}"):
        list(read(tmp_path if read is formats.alignments else file))
