"""Write the Triton repository's config.pbtxt files from the tensors that the models declare.

`python -m training.export` writes them, `--check` says which are stale. Both configurations serve
every model but checkpoints: a tensor that the loaded one does not have is not sent. A checkpoint's
tensors are as wide as it says, so it gets a repository of its own: `--model NAME --to FOLDER`.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from soundflow.audio import CHUNK_SAMPLES
from soundflow.checkpoint import CheckpointError
from soundflow.features import TensorSpec
from soundflow.models import is_checkpoint, model_names, tensors_of
from soundflow.serving.encoder_batch import ERROR, STATE
from soundflow.serving.tensors import LENGTH

REPOSITORY = Path(__file__).parents[1] / "model_repo"
CODE = "model.py"
HEADER = "# Written by `make export`, from what the models' encoders declare.\n"

# More chunks than a replica encodes within one chunk's time.
MAX_ENCODER_BATCH = 64

_TYPES = {"float32": "TYPE_FP32", "int32": "TYPE_INT32"}


def configs() -> Mapping[Path, str]:
    """Return what each file should hold."""
    return _written(REPOSITORY, every_tensor())


def write_repository(model: str, folder: Path) -> None:
    """Write a whole repository for one model. ValueError, CheckpointError."""
    for path, text in _written(folder, with_lengths(tensors_of(model))).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        write_code(path.parent.name, path.parent / "1")


def write_code(part: str, version: Path) -> None:
    """Write what a version of the encoder or the decoder runs.

    A version whose folder is written to later counts as changed: it would be loaded anew whenever
    another one is, and its sessions lost. The backend's Python would put byte code there, whatever
    its environment says; a file stands in the place of its folder.
    """
    version.mkdir(exist_ok=True)
    shutil.copyfile(REPOSITORY / part / "1" / CODE, version / CODE)
    (version / "__pycache__").touch()


def encoder_config(tensors: Sequence[TensorSpec]) -> ModelConfig:
    """One chunk and a state in, its features and the next state out; batched over sessions."""
    config = ModelConfig(name="encoder", backend="python", max_batch_size=MAX_ENCODER_BATCH)
    config.dynamic_batching.SetInParent()
    config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=1)
    config.input.add(name="session_id", data_type="TYPE_STRING", dims=[1])
    config.input.add(name="index", data_type="TYPE_INT64", dims=[1])
    config.input.add(name="last", data_type="TYPE_BOOL", dims=[1])
    config.input.add(name="pcm", data_type="TYPE_FP32", dims=[CHUNK_SAMPLES])
    config.input.add(name=STATE, data_type="TYPE_STRING", dims=[1])
    for spec in tensors:
        config.output.add(name=spec.name, data_type=_TYPES[spec.dtype], dims=spec.shape)
    config.output.add(name=STATE, data_type="TYPE_STRING", dims=[1])
    config.output.add(name=ERROR, data_type="TYPE_STRING", dims=[1])
    return config


def decoder_config(tensors: Sequence[TensorSpec]) -> ModelConfig:
    """Calls of the engine in, with a row of tensors for each chunk; replies out as they come."""
    config = ModelConfig(name="decoder", backend="python")
    config.model_transaction_policy.decoupled = True
    config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=1)
    config.input.add(name="calls", data_type="TYPE_STRING", dims=[1])
    for spec in tensors:
        config.input.add(
            name=spec.name, data_type=_TYPES[spec.dtype], dims=[-1, *spec.shape], optional=True
        )
    config.output.add(name="replies", data_type="TYPE_STRING", dims=[1])
    return config


def every_tensor() -> Sequence[TensorSpec]:
    """Return all tensors but checkpoints', and lengths for those that vary.

    ValueError when two models differ in one.
    """
    tensors: dict[str, TensorSpec] = {}
    names = [name for name in model_names() if not is_checkpoint(name)]
    for spec in (spec for name in names for spec in tensors_of(name)):
        if tensors.setdefault(spec.name, spec) != spec:
            raise ValueError(f"two models differ in {spec.name!r}: {tensors[spec.name]}, {spec}")
    return with_lengths(tensors.values())


def with_lengths(tensors: Iterable[TensorSpec]) -> Sequence[TensorSpec]:
    """Return the tensors, each that varies with its length behind it."""
    lengths = {
        spec.name: TensorSpec(spec.name + LENGTH, "int32", (1,)) for spec in tensors if spec.varies
    }
    return [one for spec in tensors for one in (spec, lengths.get(spec.name)) if one]


def _written(folder: Path, tensors: Sequence[TensorSpec]) -> Mapping[Path, str]:
    parts = (encoder_config(tensors), decoder_config(tensors))
    return {
        folder / part.name / "config.pbtxt": HEADER + text_format.MessageToString(part)
        for part in parts
    }


def main() -> None:
    """Write the files, or with --check compare them; exit status 1 when one is stale."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="say which files are stale")
    parser.add_argument("--model", help="write a repository for this checkpoint")
    parser.add_argument("--to", type=Path, help="where that repository is written")
    given = parser.parse_args()
    if (given.model is None) != (given.to is None):
        parser.error("--model and --to go together")
    if given.model is not None:
        try:
            write_repository(given.model, given.to)
        except (ValueError, CheckpointError) as error:
            sys.exit(f"error: {error}")
        return
    stale = {p: text for p, text in configs().items() if not p.exists() or p.read_text() != text}
    if not given.check:
        for path, text in stale.items():
            path.write_text(text)
        return
    for path in stale:
        print(f"{path.relative_to(REPOSITORY.parent)} is stale: run 'make export' and commit")
    sys.exit(bool(stale))


if __name__ == "__main__":
    main()
