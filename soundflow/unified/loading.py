"""From a checkpoint's folder to an encoder and a decoder that run."""

from dataclasses import replace

import torch

from soundflow.checkpoint.errors import ModelDamaged
from soundflow.checkpoint.folder import Checkpoint
from soundflow.checkpoint.placing import Part
from soundflow.unified.decoder import UnifiedDecoder
from soundflow.unified.encoder import UnifiedEncoder
from soundflow.unified.kv_pool import FP8
from soundflow.unified.pages import PagedCache
from soundflow.unified.quantised import WeightFormat
from soundflow.unified.runtime import Runtime
from soundflow.unified.settings import UnifiedSettings

PAGE_POSITIONS = 16


def encoder_of(checkpoint: Checkpoint, runtime: Runtime) -> UnifiedEncoder:
    """Return the encoder with its weights. ModelMissing, ModelDamaged, ValueError."""
    device = _device(runtime)
    tower = checkpoint.make_encoder(dtype_of(runtime, device, checkpoint.encoder), device)
    return UnifiedEncoder(tower)


def decoder_of(
    checkpoint: Checkpoint, runtime: Runtime, settings: UnifiedSettings | None = None
) -> UnifiedDecoder:
    """Return the decoder with its weights, and a cache for its sessions.

    ModelMissing, ModelDamaged, ValueError. settings: None = the default ones, in as many positions
    as the model has.
    """
    settings = settings or settings_for(checkpoint, runtime.positions)
    weights, device = WeightFormat(runtime.weights), _device(runtime)
    text_tokens = checkpoint.read_tokenizer()
    dtype = dtype_of(runtime, device, checkpoint.decoder)
    model = checkpoint.make_decoder(dtype, device, weights).requires_grad_(False).eval()
    pages_of_session = -(-settings.positions // PAGE_POSITIONS)
    pages = runtime.sessions * pages_of_session
    kept_as = FP8 if runtime.cache == "fp8" else model.dtype
    cache = PagedCache(model.config, pages, PAGE_POSITIONS, kept_as, device)
    name = checkpoint.path.resolve().name
    return UnifiedDecoder(model, cache, checkpoint.control, text_tokens, settings, name=name)


def settings_for(checkpoint: Checkpoint, positions: int = 0) -> UnifiedSettings:
    """Return the usual settings, in as many positions as a model has. ModelDamaged, ValueError.

    positions: of a session at most; 0 = as many as is usual.
    """
    usual, most = UnifiedSettings(), checkpoint.decoder_config.max_positions
    try:
        return replace(usual, positions=min(positions or usual.positions, most))
    except ValueError as error:
        if 0 < positions < most:
            raise ValueError(f"SOUNDFLOW_UNIFIED_POSITIONS is too small: {error}") from error
        raise ModelDamaged(f"{checkpoint.path}: the decoder is too short: {error}") from error


def dtype_of(runtime: Runtime, device: str, part: Part) -> torch.dtype | None:
    """Return how precisely a part is to run; None: as it is stored."""
    if runtime.precision:
        dtype: torch.dtype = getattr(torch, runtime.precision)
        return dtype
    stored = {one.dtype for one in part.weights.stored.values()}
    # Processors compute in float16 several times slower than in float32.
    return torch.float32 if device == "cpu" and torch.float16 in stored else None


def _device(runtime: Runtime) -> str:
    device = runtime.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter of a torch without CUDA
        why = str(error).partition("\n")[0]
        raise ValueError(
            f"the device {device!r} (SOUNDFLOW_UNIFIED_DEVICE) cannot be used here: {why}"
        ) from error
    return device
