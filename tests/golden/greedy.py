"""The published loop on any features, a step at a time: what every faster way must say too."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from soundflow.unified.pages import PagedCache
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.transformer import LanguageModel

PAGES = 300


def greedy_turns(
    model: LanguageModel,
    control: ControlTokens,
    system_ids: Sequence[int],
    queues: Iterable[Sequence[Tensor]],
) -> list[list[int]]:
    """Return the tokens of each drained queue's turn; the silent one's is one token.

    queues: of frames `(10, D)` a chunk. Each is heard once the turn before is over.
    """
    lane = PagedCache(model.config, PAGES).lane()
    before, said = list(control.prefix_ids(system_ids)), []
    for queue in queues:
        embedded = model.embed([*before, *control.block * len(queue)])
        blocks = embedded[len(before) :].view(len(queue), len(control.block), -1)
        blocks[:, 1:-1] = torch.stack([torch.as_tensor(frames) for frames in queue])
        turn = [int(model.extend([(lane, embedded)]).argmax())]
        while turn[0] == control.text_begin and turn[-1] != control.text_end:
            turn.append(int(model.extend([(lane, model.embed(turn[-1:]))]).argmax()))
        said.append(turn)
        before = turn[-1:]
    return said
