"""YAMNet: a MobileNet v1 (arXiv 1704.04861) that names AudioSet's classes in 0.96 s of sound.

Batch normalisation is folded into the convolutions, as in the published graph. Shape suffixes: B
patches, T frames (10 ms), M mel bands, C classes.
"""

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

PATCH_FRAMES = 96
CLASSES = 521

# Each layer after the first: channels, as a multiple of the first one's, and the stride.
LAYERS = (
    *((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2)),
    *((16, 1), (16, 1), (16, 1), (16, 1), (16, 1), (32, 2), (32, 1)),
)


class Yamnet(nn.Module):
    """Logits of the classes. channels: of the first layer; YAMNet has 32."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = [channels, *(channels * times for times, _ in LAYERS)]
        self.first = nn.Conv2d(1, channels, 3, stride=2)
        self.layers = nn.ModuleList(
            _Separable(before, after, stride)
            for (before, after), (_, stride) in zip(pairwise(widths), LAYERS, strict=True)
        )
        self.classifier = nn.Linear(widths[-1], CLASSES)

    def forward(self, patches_BTM: Tensor) -> Tensor:
        """Return the logits `(B, 521)` of patches `(B, 96, 64)`; see `frontend.yamnet_log_mel`."""
        hidden = F.relu(self.first(_padded(patches_BTM[:, None])))
        for layer in self.layers:
            hidden = layer(hidden)
        logits_BC: Tensor = self.classifier(hidden.mean((2, 3)))
        return logits_BC


class _Separable(nn.Module):
    """A convolution of each channel alone, then one over channels alone."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        padding = 1 if stride == 1 else 0
        self.stride = stride
        self.depthwise = nn.Conv2d(before, before, 3, stride=stride, padding=padding, groups=before)
        self.pointwise = nn.Conv2d(before, after, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.stride > 1:
            hidden = _padded(hidden)
        return F.relu(self.pointwise(F.relu(self.depthwise(hidden))))


def _padded(hidden: Tensor) -> Tensor:
    """Pad as TensorFlow does before a stride of 2: at the end only."""
    return F.pad(hidden, (0, 1, 0, 1))
