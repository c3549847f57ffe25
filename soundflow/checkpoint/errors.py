"""What can go wrong between a model's name and its weights; every message says what to do."""


class CheckpointError(Exception):
    """Root of this package's errors."""


class UnknownModel(CheckpointError):
    """No model, group or folder has this name."""


class ModelMissing(CheckpointError):
    """A file is not where it should be."""


class ModelDamaged(CheckpointError):
    """A file is there, but does not hold what it should."""


class SourceFailed(CheckpointError):
    """One source could not deliver; the next one is tried."""


class ModelUnreachable(CheckpointError):
    """No source could deliver; the message holds each one's reason."""


class CacheUnwritable(CheckpointError):
    """The cache cannot be written: no permission, no folder, or no room."""
