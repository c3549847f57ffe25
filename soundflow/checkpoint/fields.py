"""Fields of a checkpoint's configuration files: an error names the file, the field, its value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from soundflow.checkpoint.errors import ModelDamaged, ModelMissing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fields:
    """One section of a file. within: the way to it, as `thinker_config.text_config.`."""

    file: Path
    values: Mapping[str, Any]
    within: str = ""

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def section(self, name: str) -> "Fields":
        """Return a section of this one."""
        return Fields(self.file, self._get(name, dict), f"{self.within}{name}.")

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return int(self._get(name, int))

    def number(self, name: str) -> float:
        """Return a number."""
        return float(self._get(name, (int, float)))

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._get(name, bool))

    def require(self, name: str, only: object) -> None:
        """Refuse what the field says unless it is the one thing that is understood."""
        if name not in self.values:
            raise self.error(name, "is missing")
        self.allow(name, only)

    def allow(self, name: str, *known: object) -> None:
        """Refuse what the field says unless it is understood; it may be missing."""
        value = self.values.get(name, known[0])
        if value not in known:
            wanted = " or ".join(repr(one) for one in known)
            raise self.error(name, f"is {value!r}; only {wanted} is understood")

    def fill(self, kind: type[T]) -> T:
        """Make a dataclass whose fields have these names, all of which must be given."""
        known = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
        for name in self.values:
            if name not in known:
                raise self.error(name, "is unknown")
        readers = {int: self.integer, float: self.number, bool: self.flag}
        given = {name: readers[wanted](name) for name, wanted in known.items()}  # type: ignore[index]
        return self.make(kind, **given)

    def make(self, kind: type[T], **given: Any) -> T:
        """Make a checked value out of this section; its ValueError becomes ours."""
        try:
            return kind(**given)
        except ValueError as error:
            raise ModelDamaged(f"{self.file}: {error}") from error

    def error(self, name: str, what: str) -> ModelDamaged:
        """Return the error that says what is wrong with a field."""
        return ModelDamaged(f"{self.file}: {self.within}{name} {what}")

    def _get(self, name: str, kind: type | tuple[type, ...]) -> Any:
        if name not in self.values:
            raise self.error(name, "is missing")
        value = self.values[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"is {value!r}")
        return value


def read_json(file: Path) -> Fields:
    """Read a JSON file. ModelMissing, ModelDamaged."""
    try:
        return _section(file, json.loads(_text(file)))
    except ValueError as error:
        raise ModelDamaged(f"{file} is not JSON: {error}") from error


def read_yaml(file: Path) -> Fields:
    """Read a YAML file. ModelMissing, ModelDamaged."""
    try:
        return _section(file, yaml.safe_load(_text(file)))
    except yaml.YAMLError as error:
        raise ModelDamaged(f"{file} is not YAML: {error}") from error


def _section(file: Path, values: object) -> Fields:
    if not isinstance(values, dict):
        raise ModelDamaged(f"{file} holds no fields")
    return Fields(file, values)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError as error:
        raise ModelMissing(f"{file} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelDamaged(f"{file} cannot be read: {error}") from error
