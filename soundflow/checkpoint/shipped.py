"""Models that come with SoundFlow's repository, in its folder `models/`, and are not downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soundflow.checkpoint.errors import ModelMissing

REPOSITORY = Path(__file__).parents[2] / "models"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One such model: a checkpoint of our own form. made: what makes it anew."""

    licence: str
    origin: str
    made: str


SHIPPED: Mapping[str, Shipped] = {
    "small": Shipped(
        licence="Apache-2.0; MIT in part",
        origin="SoundFlow; its ears are OpenAI's Whisper tiny.en (MIT) and Google's YAMNet",
        made="make train-small",
    )
}


def locate_shipped(name: str, root: Path) -> Path:
    """Return a model's folder: in `root`, where one may be put, or in the repository. ModelMissing.

    An installation without the repository around it has the first alone.
    """
    folders = [parent / name for parent in (root, REPOSITORY)]
    for folder in folders:
        if folder.is_dir():
            return folder
    places = " nor ".join(map(str, folders))
    raise ModelMissing(f"the model {name} is neither {places}; {SHIPPED[name].made} makes it")
