"""How a unified model runs here; without torch, so that settings may name it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where, how precisely and for how many.

    device: as torch names it; "" = the GPU, or the processor where there is none.
    precision: float32, bfloat16 or float16; "" = as the checkpoint stores it, but float32 in place
    of float16 on the processor.
    weights: float, or int8 or fp8 to halve the memory of the decoder's matrices.
    cache: float, or fp8 to halve what a session's keys and values take.
    sessions: the decoder reserves room for so many; more are refused.
    positions: of one session's sequence at most, as long as the model has so many; 0 = as
    `UnifiedSettings` has it.
    """

    device: str = ""
    precision: str = ""
    weights: str = "float"
    cache: str = "float"
    sessions: int = 64
    positions: int = 0
