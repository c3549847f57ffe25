import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pytest import CaptureFixture, approx, mark, raises

from soundflow.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from tests.training.tiny import write_start
from training.composition.rows import SILENT, Row, Turn, write_rows
from training.evaluate import PAGE, PREDICTIONS, REPORT, main
from training.evaluation.figures import Figure, Result
from training.evaluation.page import page


def sound(path: Path, chunks: int) -> str:
    samples = np.random.default_rng(1).normal(0, 0.1, chunks * CHUNK_SAMPLES)
    soundfile.write(path, samples, SAMPLE_RATE_HZ)
    return path.name


def row(
    folder: Path, name: str, *turns: tuple[int, str], scene: str = "", split: str = "test"
) -> Row:
    made = [
        Turn(audio_path=sound(folder / f"{name}-{n}.flac", chunks), assistant=said)
        for n, (chunks, said) in enumerate(turns)
    ]
    return Row(
        id=name, scene_type=scene, turns=tuple(made), timed=True, system="Listen.", split=split
    )


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def evaluated(to: Path, *arguments: object, model: str = "null") -> dict[str, dict[str, Any]]:
    main([model, "--to", str(to), *map(str, arguments)])
    report = json.loads((to / REPORT).read_text())
    return {
        task: {figure["name"]: figure for figure in result["figures"]}
        for task, result in report["results"].items()
    }


def test_a_corpus(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # The null model replies at the close of chunks 4 and 9, whatever it hears.
    rows = [
        row(corpus, "a", (4, "one"), (6, "two"), (3, SILENT)),  # due at 3 and 9
        row(corpus, "b", (5, "one"), (7, SILENT)),  # due at 4
        row(corpus, "c", (5, "chunk"), (5, "five chunk 9"), scene="real-time ASR"),
        row(corpus, "d", (5, "one"), split="train"),
    ]
    write_rows(corpus / "base.jsonl", rows)
    found = evaluated(tmp_path / "out", "--corpus", corpus)
    triggers = found["Corpus: triggers"]
    assert triggers["recall"]["value"] == 1.0
    assert triggers["precision"]["value"] == approx(3 / 4)
    assert triggers["trigger accuracy"]["value"] == approx(1 - 1 / 25)
    assert triggers["false alarms"]["value"] == approx(3600 / (25 * 0.4))
    assert triggers["delay, 90 %"]["value"] == 400
    assert found["Corpus: stability over turns"]["turn 2"]["value"] == 1.0
    written = found["Corpus: live transcription"]
    assert written["word error rate"]["value"] == approx(1 / 4)  # "four" for "five"


def test_the_proactive_bench_and_predictions_of_others(tmp_path: Path) -> None:
    (tmp_path / "Human").mkdir()
    clips = [
        {
            "id": n,
            "path": f"Human/{sound(tmp_path / 'Human' / f'{n}.flac', 3)}",
            "description": "",
            "decision": ["RESPOND", "IGNORE"][n % 2],
        }
        for n in range(4)
    ]
    manifest = lines(tmp_path / "manifest.jsonl", *clips)
    others = lines(
        tmp_path / "others.jsonl",
        *({"id": n, "_raw_reply": f"<Decision>{clips[n]['decision']}</Decision>"} for n in (0, 1)),
    )
    to = tmp_path / "out"
    found = evaluated(to, "--proactive", manifest, "--predictions", others)
    assert found["Proactive-Sound-Bench, others.jsonl"]["plain accuracy"]["value"] == 0.5
    assert found["Proactive-Sound-Bench, others.jsonl"]["accuracy, public scorer"]["value"] == 1.0
    single = found["Proactive-Sound-Bench, single"]  # it always speaks
    assert (single["recall"]["value"], single["specificity"]["value"]) == (1.0, 0.0)
    assert single["balanced accuracy"]["value"] == 0.5
    assert single["human: plain accuracy"]["value"] == 0.5
    assert "Proactive-Sound-Bench, multiple" in found
    told = [json.loads(line) for line in (to / PREDICTIONS).read_text().splitlines()]
    assert told[0] == {
        "id": "0",
        "_raw_reply": "<Decision>RESPOND</Decision><Reply>chunk 4 chunk 9</Reply>",
    }


def test_the_public_benchmarks(tmp_path: Path) -> None:
    name = sound(tmp_path / "a.flac", 3)
    (tmp_path / "x.trans.txt").write_text("a CHUNK FIVE\n")
    (tmp_path / "x.alignment.txt").write_text('a ",CHUNK,FIVE" "0.2,0.6,1.0"\n')
    covost = tmp_path / "covost_v2.en_de.test.tsv"
    covost.write_text(f"path\tsentence\ttranslation\n{name}\tx\tchunk 4\n")
    mmau = tmp_path / "mmau.json"
    question = {"id": "1", "audio_id": name, "question": "?", "choices": ["chunk 4", "chunk 7"]}
    mmau.write_text(json.dumps([{**question, "answer": "chunk 4", "task": "sound"}]))
    llama = tmp_path / "llama_questions.csv"
    llama.write_text(f"Questions,Answer,audio_filename\nwhat?,4,{name}\n")
    web = tmp_path / "web_questions.csv"
    web.write_text(f"question,answers,audio_filename\nwhat?,5;6,{name}\n")
    asked = {"prompt": "what?", "audio": name}
    found = evaluated(
        tmp_path / "out",
        *("--librispeech", tmp_path, "--alignments", tmp_path),
        *("--covost2", covost, "--covost2-clips", tmp_path, "--language", "de"),
        *("--mmau", mmau, "--llama-questions", llama, "--web-questions", web),
        *("--sd-qa", lines(tmp_path / "sd.jsonl", {**asked, "reference": "chunk"})),
        *("--alpaca-eval", lines(tmp_path / "alpaca.jsonl", asked)),
    )
    assert found["LibriSpeech, live"]["word error rate"]["value"] == 0.5
    assert found["LibriSpeech, live"]["word delay, median"]["value"] == 2000 - 600
    assert found["CoVoST2 into de, live"]["LAAL"]["value"] == approx(2000)
    assert found["MMAU"]["accuracy"]["value"] == 1.0
    assert found["Llama Questions"]["accuracy"]["value"] == 1.0
    assert found["Web Questions"]["accuracy"]["value"] == 0.0
    assert found["SD-QA"]["accuracy"]["value"] == 1.0
    assert found["AlpacaEval"]["mark"]["value"] is None


def test_what_was_measured_before_the_judge_failed_is_kept(tmp_path: Path) -> None:
    asked = {"prompt": "what?", "audio": sound(tmp_path / "a.flac", 3), "reference": "chunk"}
    given = (
        *("--sd-qa", lines(tmp_path / "sd.jsonl", asked)),
        *("--alpaca-eval", lines(tmp_path / "alpaca.jsonl", asked)),
        *("--judge-url", "http://127.0.0.1:9/v1"),
    )
    with raises(SystemExit, match="error: Connection error"):
        evaluated(tmp_path / "out", *given)
    report = json.loads((tmp_path / "out" / REPORT).read_text())
    assert list(report["results"]) == ["SD-QA"]


def test_a_checkpoint_is_also_asked_offline(tmp_path: Path) -> None:
    sound(tmp_path / "a.flac", 3)
    (tmp_path / "x.trans.txt").write_text("a CHUNK FIVE\n")
    model = str(write_start(tmp_path / "tiny"))
    found = evaluated(tmp_path / "out", "--librispeech", tmp_path, model=model)
    assert set(found) == {"LibriSpeech, live", "LibriSpeech, offline"}


def test_a_checkpoint_of_half_precision_is_asked_offline_by_its_name(tmp_path: Path) -> None:
    sound(tmp_path / "a.flac", 3)
    (tmp_path / "x.trans.txt").write_text("a CHUNK FIVE\n")
    found = evaluated(tmp_path / "out", "--librispeech", tmp_path, model="small")
    assert set(found) == {"LibriSpeech, live", "LibriSpeech, offline"}


def test_what_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    with raises(SystemExit, match="error: .*nowhere: there is no"):
        evaluated(tmp_path / "out", "--librispeech", tmp_path / "nowhere")


@mark.parametrize(
    ("options", "told"),
    [
        ((), "nothing to play: give at least one of --held-out, --corpus"),
        (("--covost2", "table.tsv"), "--covost2-clips names the folder"),
        (("--corpus", "rows", "--predictions", "others.jsonl"), "that --proactive names"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_loaded(
    tmp_path: Path, capsys: CaptureFixture[str], options: tuple[str, ...], told: str
) -> None:
    with raises(SystemExit, match="2"):
        evaluated(tmp_path / "out", *options, model="absent")
    assert told in capsys.readouterr().err


def test_a_report_where_a_file_is_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with raises(SystemExit, match="error: .*out"):
        evaluated(tmp_path / "out", "--corpus", tmp_path)


def test_the_page_draws_values_with_their_intervals() -> None:
    half = Figure("half <b>", 0.5, 0.25, 1.0, 8, note="& more")
    nothing = Figure("nothing", float("nan"), unit="ms")
    text = page("A & B", {"model": "x"}, [Result("Task", (half, nothing), "a note")])
    assert "half &lt;b&gt;" in text
    assert "&amp; more" in text
    assert '<td class="number">0.250 to 1.000</td>' in text
    assert text.count("<svg") == 1
    assert 'd="M68.0 9.0H254.0"' in text  # from a quarter of the way to its end
    assert 'cx="130.0"' in text
    assert (page("A", {}, []).count("<h2>"), text.count("<h2>")) == (0, 1)
    assert PAGE.endswith(".html")
