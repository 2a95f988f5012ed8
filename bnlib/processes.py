"""One training in several processes, as torchrun starts them: who takes which part, and what they tell each other."""

import atexit
import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from bnlib.words import Mendable


class Gone(Mendable):
    """Another process of the same training is gone; the message says what is kept."""


@dataclass(frozen=True)
class Processes:
    """The processes of one training: this one's `rank`, from 0, and their `count`. Alone, no method changes anything."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks for all."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """What a source of images needs to know to give this process its part: (rank, count)."""
        return self.rank, self.count

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Put the sum over all processes into `tensor`; returns it."""
        if self.count > 1:
            dist.all_reduce(tensor)
        return tensor

    def same(self, tensors) -> None:
        """Put the first process's values into `tensors` everywhere."""
        for tensor in tensors if self.count > 1 else ():
            dist.broadcast(tensor, 0)

    def told(self, value=None):
        """The first process's `value`, everywhere."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    @contextlib.contextmanager
    def guarded(self, says):
        """A context that turns a lost connection into Gone, one line; says(): what is kept."""
        try:
            yield
        except RuntimeError as error:
            lost = self.count > 1 and any(word in str(error).lower() for word in ("connection", "gloo", "nccl", "peer", "rank"))
            if not lost:
                raise
            raise Gone(f"process {self.rank} of {self.count}: another process of this training is gone; {says()}") from None


ALONE = Processes()


def started(device: str | None = None) -> Processes:
    """The processes that torchrun has started this one among, connected; ALONE without torchrun.

    On a GPU each process takes the one with its local rank, and they speak by NCCL; on a CPU by gloo. Raises ValueError if there
    are more processes here than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1:
        return ALONE
    local = int(os.environ.get("LOCAL_RANK", 0))
    on_gpu = device == "cuda" or (device is None and torch.cuda.is_available())
    if on_gpu:
        if local >= torch.cuda.device_count():
            here = torch.cuda.device_count()
            raise ValueError(
                f"{local + 1} processes or more on this machine, which has {here} GPUs; nearest: --nproc-per-node {here}"
            )
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        atexit.register(dist.destroy_process_group)  # else its threads may end a process that is through with an error
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(hours=2))  # the first one may have to ask and store
    return Processes(dist.get_rank(), count)
