"""What the decoder is built from: the numbers that a checkpoint's configuration gives."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The shape of the language model; the defaults are those of Qwen2.5-3B.

    heads: of the queries; each kv_head serves heads / kv_heads of them. ffn: width inside the MLP.
    max_positions: the longest sequence, and how far the table of rotations goes.
    """

    layers: int = 36
    width: int = 2048
    heads: int = 16
    kv_heads: int = 2
    head_width: int = 128
    ffn: int = 11008
    vocabulary: int = 151_936
    rope_base: float = 1e6
    norm_eps: float = 1e-6
    max_positions: int = 4096
    qkv_bias: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "qkv_bias" and getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} is positive, got {getattr(self, field.name)}")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} kv_heads evenly")
        if self.head_width % 2:
            raise ValueError(f"rotations turn pairs, so head_width is even, got {self.head_width}")

    @property
    def position_values(self) -> int:
        """How many numbers one position keeps in the cache, all layers together."""
        return self.layers * 2 * self.kv_heads * self.head_width
