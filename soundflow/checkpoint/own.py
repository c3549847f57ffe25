"""Our own folder: `soundflow.json`, safetensors in the modules' own names, and `tokenizer.json`.

`soundflow.json` has three sections, `encoder`, `decoder` and `control`, with the fields of
`EncoderConfig`, `DecoderConfig` and `ControlTokens`; so that a small model may have a vocabulary of
its own. An `encoder` whose `kind` is `small` has those of `SmallTowerConfig`. In the safetensors
the names begin with `encoder.` or `decoder.`.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from soundflow.checkpoint.errors import ModelDamaged
from soundflow.checkpoint.fields import Fields, read_json
from soundflow.checkpoint.placing import Part, prefixed
from soundflow.checkpoint.weights import safetensors_of
from soundflow.unified.audio_tower import EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.small_tower import SmallTowerConfig
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.towers import TowerConfig

FIELDS = "soundflow.json"
FORMAT = 1
ENCODER = "encoder."
DECODER = "decoder."

KIND = "kind"
SMALL = "small"


def read_configs(folder: Path) -> tuple[TowerConfig, DecoderConfig, ControlTokens]:
    """Return both shapes and the control tokens. ModelMissing, ModelDamaged."""
    fields = read_json(folder / FIELDS)
    fields.require("format", FORMAT)
    return (
        _encoder_config(fields.section("encoder")),
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
    folder: Path, encoder: TowerConfig, decoder: DecoderConfig, control: ControlTokens
) -> None:
    """Write `soundflow.json`."""
    kind = {KIND: SMALL} if isinstance(encoder, SmallTowerConfig) else {}
    sections = {
        "encoder": {**kind, **asdict(encoder)},
        "decoder": asdict(decoder),
        "control": asdict(control),
    }
    (folder / FIELDS).write_text(json.dumps({"format": FORMAT, **sections}, indent=1) + "\n")


def _encoder_config(fields: Fields) -> TowerConfig:
    if KIND not in fields:
        return fields.fill(EncoderConfig)
    fields.require(KIND, SMALL)
    others = {name: value for name, value in fields.values.items() if name != KIND}
    return replace(fields, values=others).fill(SmallTowerConfig)
