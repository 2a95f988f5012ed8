"""BatchNorm whose statistics are those of the whole batch, of which each process has a part."""

import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm

from bnlib.processes import Processes


class _Synced:
    """In training mode mean and variance are of the images of all processes; else as it was.

    PyTorch's own SyncBatchNorm needs a GPU; this is the same on every device, with the sum of squares taken around the mean.
    """

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        over, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = all_reduce(values.new_tensor(float(x.numel() // x.shape[1])))
        mean = all_reduce(values.sum(over)) / count
        centred = values - mean.view(shape)
        var = all_reduce((centred * centred).sum(over)) / count
        if self.track_running_stats:
            with torch.no_grad():
                self.num_batches_tracked += 1
                share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
                self.running_var.lerp_((var * count / (count - 1)).to(self.running_var.dtype), share)
        out = centred * torch.rsqrt(var + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)


def synced(model: nn.Module, processes: Processes) -> nn.Module:
    """Let every BatchNorm of `model` take its statistics over all `processes`, in place; returns the model."""
    for module in model.modules() if processes.count > 1 else ():
        if isinstance(module, _BatchNorm):  # its parameters, buffers and name stay: only the way it computes changes
            module.__class__ = type(f"Synced{type(module).__name__}", (_Synced, type(module)), {})
    return model
