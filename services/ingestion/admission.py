"""What a caller may ask of a session, checked before anything is opened."""

import dataclasses
import re

from services.core.errors import BadRequest
from services.ingestion.config import IngestionConfig
from soundflow.interaction import ModelInfo, SessionSpec

_LANGUAGE = re.compile("[a-z]{2,3}")


def check_spec(spec: SessionSpec, model: ModelInfo, config: IngestionConfig) -> SessionSpec:
    """Fill in the platform's model; refuse what it cannot do. BadRequest."""
    if spec.model not in ("", model.name):
        raise BadRequest(
            "unknown_model", f"there is no model {spec.model!r} here; use {model.name!r}"
        )
    unknown = spec.abilities - model.abilities
    if unknown:
        names = ", ".join(sorted(unknown))
        raise BadRequest("unknown_ability", f"model {model.name!r} cannot {names}; leave that out")
    for language in (spec.source_language, spec.target_language):
        if language and not _LANGUAGE.fullmatch(language):
            raise BadRequest(
                "bad_language", f"{language!r} is no language code; use one like 'de' or 'fr'"
            )
    if spec.source_language and model.languages:
        _check_heard(spec.source_language, model)
    _check_length(spec.instruction, config)
    return dataclasses.replace(spec, model=model.name)


def check_instruction(text: str, config: IngestionConfig) -> None:
    """Refuse an instruction that cannot be followed. BadRequest."""
    if not text.strip():
        raise BadRequest("empty_instruction", "an instruction needs words; say what to do")
    _check_length(text, config)


def _check_heard(language: str, model: ModelInfo) -> None:
    if language not in model.languages:
        raise BadRequest(
            "unknown_language",
            f"model {model.name!r} does not hear {language!r}; leave source_language out "
            f"to have it found out, or use one of {', '.join(sorted(model.languages))}",
        )


def _check_length(instruction: str, config: IngestionConfig) -> None:
    limit = config.max_instruction_chars
    if len(instruction) > limit:
        raise BadRequest(
            "instruction_too_long",
            f"an instruction may have {limit} characters, this one has {len(instruction)}",
        )
