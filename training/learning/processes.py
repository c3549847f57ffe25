"""The processes of one run: one, or as many as torchrun started, each with its shard."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.distributed.fsdp import fully_shard

from training.learning.batch import Targets
from training.learning.network import Network


@dataclass(frozen=True, slots=True)
class Processes:
    """Where this process stands among those of the run. device: where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def shard(self, network: Network) -> Network:
        """Move the network to the device and, among several, keep a shard of each part of it.

        The tower is of one part with the embedding: where what is heard comes as frames, nobody
        comes by the tower, and a part of its own would never be gathered.
        """
        network = network.to(self.device)
        if self.size > 1:
            for block in network.decoder.blocks:
                fully_shard(block)
            fully_shard(network)
        return network

    def total(self, targets: Targets) -> Targets:
        """Add up the targets of all processes."""
        summed = self.sum(torch.tensor([targets.text, targets.stream], device=self.device))
        text, stream = summed.tolist()
        return Targets(text, stream)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, to each."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Return when all have come here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun started; without it, be the only one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield Processes(0, 1, device)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
