"""The platform's settings where commands start one: as given, else of the environment."""

from collections.abc import Mapping

from pydantic import ValidationError

from services.cli.errors import CliError
from services.ingestion.config import IngestionConfig


def read_settings(given: Mapping[str, str | int | None]) -> IngestionConfig:
    """Read what is not given (None) from SOUNDFLOW_… variables. CliError names what is wrong."""
    try:
        return IngestionConfig.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name = "_".join(str(part) for part in fault["loc"])
        raise CliError(
            f"{name} (SOUNDFLOW_{name.upper()}) is {fault['input']!r}: {fault['msg']}"
        ) from error
