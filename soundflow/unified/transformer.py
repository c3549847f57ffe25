"""The language model: a Qwen2.5-style decoder that extends many sequences in one forward.

Shape suffixes: N new positions of all lanes in a row, B lanes, T positions, D width, H query heads,
K key-value heads, E head width, V vocabulary.

Its parameters, for who loads them (`out, in` as `nn.Linear` has them; Q = heads x head_width,
C = kv_heads x head_width, F = ffn):

| name | shape | |
|---|---|---|
| `embedding.weight` | (V, D) | |
| `blocks.{i}.attention_norm.weight` | (D,) | |
| `blocks.{i}.attention.qkv.weight` | (Q + 2C, D) | queries, keys, values stacked in this order |
| `blocks.{i}.attention.qkv.bias` | (Q + 2C,) | absent where `qkv_bias` is false |
| `blocks.{i}.attention.out.weight` | (D, Q) | |
| `blocks.{i}.mlp_norm.weight` | (D,) | |
| `blocks.{i}.mlp.gate.weight` | (F, D) | what SiLU is applied to |
| `blocks.{i}.mlp.up.weight` | (F, D) | |
| `blocks.{i}.mlp.down.weight` | (D, F) | |
| `norm.weight` | (D,) | |
| `head.weight` | (V, D) | may be the same tensor as `embedding.weight` |

Made `without_weights()` it costs nothing; load it piece by piece with
`load_state_dict(piece, strict=False, assign=True)`. It computes in the type of `embedding.weight`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundflow.unified.attention import Attention, Plan
from soundflow.unified.config import DecoderConfig
from soundflow.unified.flashinfer_attention import attention_for
from soundflow.unified.pages import Lane, PagedCache
from soundflow.unified.quantised import WeightFormat, linear
from soundflow.unified.rotation import Rotation, Rotations, rotate

# Queries `(…, H, E)`, keys and values `(…, K, E)` of new positions to what they take from all.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class LanguageModel(nn.Module):
    """Embedding, blocks, norm and head; the sequences' state is in the lanes, none in here.

    weights: what matrices are kept as. attention: how lanes are attended to; None = the best way
    that there is on the device of the cache.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        weights: WeightFormat = WeightFormat.FLOAT,
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config, weights) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.norm_eps)
        self.head = linear(config.width, config.vocabulary, weights=weights, bias=False)
        self._attention = attention
        self._rotations = Rotations(config)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.embedding.weight.dtype

    def forward(self, embedded_BTD: Tensor, wanted_BT: Tensor | None = None) -> Tensor:
        """Return logits `(B, T, V)` after every position of whole sequences: for training.

        wanted_BT: bool; given, logits `(n, V)` after those positions only, in their order.
        """
        positions_T = torch.arange(embedded_BTD.shape[1], device=embedded_BTD.device)
        rotation_T = self._rotations.at(positions_T, embedded_BTD.dtype)
        hidden = embedded_BTD
        for block in self.blocks:
            hidden = block(hidden, rotation_T, attend_whole)
        return self._logits(hidden if wanted_BT is None else hidden[wanted_BT])

    @torch.no_grad()
    def embed(self, ids: Sequence[int] | Tensor) -> Tensor:
        """Return the embeddings `(n, D)` of n tokens."""
        tokens = torch.as_tensor(ids, dtype=torch.long, device=self.device)
        embedded: Tensor = self.embedding(tokens)
        return embedded

    @torch.inference_mode()
    def extend(self, batch: Sequence[tuple[Lane, Tensor]]) -> Tensor:
        """Append embeddings `(n, D)` to each lane; n may differ. Return logits `(B, V)` float32.

        They are what follows each lane's last new position. All lanes are of one cache. CacheFull
        before anything has changed.
        """
        if not batch:
            raise ValueError("a batch has at least one lane")
        lanes = [lane for lane, _ in batch]
        cache = lanes[0].cache
        with cache.extending(lanes, [len(embedded) for _, embedded in batch]) as extension:
            hidden_ND = torch.cat([embedded.to(self.device, self.dtype) for _, embedded in batch])
            attention = self._attention or attention_for(cache.device)
            plan = attention.plan(cache, extension, self.dtype)
            rotation_N = self._rotations.at(extension.positions_N, self.dtype)
            for layer, block in enumerate(self.blocks):
                attend = Paged(cache, extension.slots_N, plan, layer)
                hidden_ND = block(hidden_ND, rotation_N, attend)
            last_B = torch.from_numpy(extension.new_B.cumsum() - 1).to(self.device)
            return self._logits(hidden_ND.index_select(0, last_B)).float()

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(hidden))
        return logits


class Block(nn.Module):
    """One layer: attention, then the MLP, each added to what came in."""

    def __init__(self, config: DecoderConfig, weights: WeightFormat) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, config.norm_eps)
        self.attention = GroupedAttention(config, weights)
        self.mlp_norm = nn.RMSNorm(config.width, config.norm_eps)
        self.mlp = GatedMLP(config, weights)

    def forward(self, hidden: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        """Return the next layer's input, of the same shape `(…, D)`."""
        hidden = hidden + self.attention(self.attention_norm(hidden), rotation, attend)
        mixed: Tensor = hidden + self.mlp(self.mlp_norm(hidden))
        return mixed


class GroupedAttention(nn.Module):
    """Attention in which several query heads share one head of keys and values."""

    def __init__(self, config: DecoderConfig, weights: WeightFormat) -> None:
        super().__init__()
        self._heads = (config.heads, config.kv_heads, config.kv_heads)
        self._head_width = config.head_width
        stacked = sum(self._heads) * config.head_width
        self.qkv = linear(config.width, stacked, weights=weights, bias=config.qkv_bias)
        self.out = linear(
            config.heads * config.head_width, config.width, weights=weights, bias=False
        )

    def forward(self, hidden: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        """Return what attention adds `(…, D)`."""
        stacked = self.qkv(hidden).unflatten(-1, (-1, self._head_width))
        query, key, value = stacked.split(self._heads, dim=-2)
        attended = attend(rotate(query, rotation), rotate(key, rotation), value)
        added: Tensor = self.out(attended.flatten(-2))
        return added


class GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: DecoderConfig, weights: WeightFormat) -> None:
        super().__init__()
        self.gate = linear(config.width, config.ffn, weights=weights, bias=False)
        self.up = linear(config.width, config.ffn, weights=weights, bias=False)
        self.down = linear(config.ffn, config.width, weights=weights, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what the MLP adds `(…, D)`."""
        added: Tensor = self.down(functional.silu(self.gate(hidden)) * self.up(hidden))
        return added


@dataclass(frozen=True, slots=True)
class Paged:
    """Attention of one layer over the cache: new keys and values go there first."""

    cache: PagedCache
    slots_N: Tensor
    plan: Plan
    layer: int

    def __call__(self, query_NHE: Tensor, key_NKE: Tensor, value_NKE: Tensor) -> Tensor:
        """Return what the queries take `(N, H, E)`."""
        self.cache.pool.write(self.layer, self.slots_N, key_NKE, value_NKE)
        return self.plan.attend(self.layer, query_NHE)


def attend_whole(query_BTHE: Tensor, key_BTKE: Tensor, value_BTKE: Tensor) -> Tensor:
    """Attend to whole sequences that have no past: each position to those up to itself."""
    query, key, value = (part.transpose(1, 2) for part in (query_BTHE, key_BTKE, value_BTKE))
    attended_BHTE = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=True
    )
    return attended_BHTE.transpose(1, 2)
