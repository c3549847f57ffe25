"""Our own folder: `soundflow.json`, safetensors in the modules' own names, and `tokenizer.json`.

`soundflow.json` has three sections, `encoder`, `decoder` and `control`, with the fields of
`EncoderConfig`, `DecoderConfig` and `ControlTokens`; so that a small model may have a vocabulary of
its own. In the safetensors the names begin with `encoder.` or `decoder.`.
"""

import json
from dataclasses import asdict
from pathlib import Path

from soundflow.checkpoint.errors import ModelDamaged
from soundflow.checkpoint.fields import read_json
from soundflow.checkpoint.placing import Part, prefixed
from soundflow.checkpoint.weights import safetensors_of
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.tokens import ControlTokens

FIELDS = "soundflow.json"
FORMAT = 1
ENCODER = "encoder."
DECODER = "decoder."


def read_configs(folder: Path) -> tuple[EncoderConfig, DecoderConfig, ControlTokens]:
    """Return both shapes and the control tokens. ModelMissing, ModelDamaged."""
    fields = read_json(folder / FIELDS)
    fields.require("format", FORMAT)
    return (
        fields.section("encoder").fill(EncoderConfig),
        fields.section("decoder").fill(DecoderConfig),
        fields.section("control").fill(ControlTokens),
    )


def read_parts(folder: Path) -> tuple[Part, Part]:
    """Return both parts' weights. ModelMissing, ModelDamaged."""
    weights = safetensors_of(folder)
    for name, stored in weights.stored.items():
        if not name.startswith((ENCODER, DECODER)):
            raise ModelDamaged(f"{stored} is unexpected: it begins neither {ENCODER} nor {DECODER}")
    encoder, decoder = weights.under(ENCODER), weights.under(DECODER)
    return Part(encoder, prefixed(ENCODER)), Part(decoder, prefixed(DECODER))


def write_fields(
    folder: Path, encoder: EncoderConfig, decoder: DecoderConfig, control: ControlTokens
) -> None:
    """Write `soundflow.json`."""
    sections = {"encoder": asdict(encoder), "decoder": asdict(decoder), "control": asdict(control)}
    (folder / FIELDS).write_text(json.dumps({"format": FORMAT, **sections}, indent=1) + "\n")
