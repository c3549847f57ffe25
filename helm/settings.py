"""The services' settings as the chart's values have them: one section for each config class.

`python -m helm.settings` writes what the classes say into values.schema.json.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings

from services.core.runner import RunnerConfig
from services.inference.config import InferenceConfig
from services.ingestion.config import IngestionConfig
from services.state.redis.config import RedisConfig
from services.transport.kafka.config import KafkaConfig
from soundflow.serving.settings import ModelSettings

SCHEMA = Path(__file__).parent / "soundflow" / "values.schema.json"

SECTIONS: Mapping[str, type[BaseSettings]] = {
    "kafka": KafkaConfig,
    "redis": RedisConfig,
    "runner": RunnerConfig,
    "ingestion": IngestionConfig,
    "inference": InferenceConfig,
    "model": ModelSettings,
}
# What a manifest knows better than its reader: where pods listen, and files are mounted.
FROM_MANIFEST = frozenset(
    {"host", "delivery_address", "encoder_addresses", "decoder_addresses", "kafka_ca_file"}
)

# What JSON schema and Helm's values have in common of what pydantic says.
_KEPT = ("type", "enum", "items", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

Schema = dict[str, Any]


def variable(field: str) -> str:
    """Return the environment variable that sets a field."""
    return f"SOUNDFLOW_{field.upper()}"


def properties(kind: type[BaseSettings]) -> dict[str, Schema]:
    """Return the schema of each of a class's fields, by its name in the values, but no secrets."""
    return {
        to_camel(field): {key: schema[key] for key in _KEPT if key in schema}
        for field, schema in _fields(kind)
        if not schema.get("writeOnly")
    }


def secrets(kind: type[BaseSettings]) -> list[str]:
    """Return the names of the fields that only a Secret may set."""
    return [to_camel(field) for field, schema in _fields(kind) if schema.get("writeOnly")]


def own_fields(kind: type[BaseSettings]) -> set[str]:
    """Return the names of a class's fields that are its section's: not those of another's."""
    parents = [parent for parent in SECTIONS.values() if issubclass(kind, parent)]
    inherited = {name for parent in parents if parent is not kind for name in parent.model_fields}
    return set(kind.model_fields) - inherited - FROM_MANIFEST


def _fields(kind: type[BaseSettings]) -> Iterator[tuple[str, Schema]]:
    own = own_fields(kind)
    for field, schema in kind.model_json_schema()["properties"].items():
        if field in own:
            yield field, schema


def write(schema: Schema) -> None:
    """Put what the classes say in the place of what the schema says."""
    parts = schema["properties"]
    parts["config"] = _closed(
        {section: _closed(properties(kind)) for section, kind in SECTIONS.items()}
    )
    parts["secrets"] = _closed(
        {
            section: _closed({name: {"$ref": "#/$defs/secret"} for name in secrets(kind)})
            for section, kind in SECTIONS.items()
            if secrets(kind)
        }
    )


def _closed(names: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(names),
        "properties": dict(names),
    }


def main() -> None:
    """Bring the file up to date."""
    schema = json.loads(SCHEMA.read_text())
    write(schema)
    SCHEMA.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
