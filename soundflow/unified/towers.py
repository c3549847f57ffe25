"""The towers that a model may hear through: the published one, and the small one."""

from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.small_tower import SmallTower, SmallTowerConfig

Tower = AudioTower | SmallTower
TowerConfig = EncoderConfig | SmallTowerConfig


def tower_of(config: TowerConfig) -> Tower:
    """Return a tower of this shape with random weights."""
    match config:
        case EncoderConfig():
            return AudioTower(config)
        case SmallTowerConfig():
            return SmallTower(config)
