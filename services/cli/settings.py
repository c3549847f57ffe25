"""The platform's settings where a command starts one: as given, else of the environment."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from services.cli.errors import CliError

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read_settings(
    kind: type[SettingsT], given: Mapping[str, str | int | None] | None = None
) -> SettingsT:
    """Read what is not given, or None, from SOUNDFLOW_… variables. CliError names what is wrong."""
    try:
        return kind.model_validate(
            {name: value for name, value in (given or {}).items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        why = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:  # of several that do not fit each other
            raise CliError(why) from error
        name = "_".join(str(part) for part in fault["loc"])
        raise CliError(f"{name} (SOUNDFLOW_{name.upper()}) is {fault['input']!r}: {why}") from error
