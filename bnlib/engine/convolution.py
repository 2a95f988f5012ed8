"""Convolutions in training: which dtypes a device has instructions for, and what stands in for those that it does badly."""

import functools
import platform

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode


@functools.cache
def native(dtype: torch.dtype, device_type: str) -> bool:
    """Whether convolutions in `dtype` run on the device's own instructions.

    bf16 on a CPU without them takes longer than fp32: twice as long with AVX-512, where oneDNN emulates it and says that it is
    supported, and twenty times as long without.
    """
    if dtype != torch.bfloat16:
        return True
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    own = getattr(torch.cpu, "_is_avx512_bf16_supported", None) if platform.machine() in ("x86_64", "AMD64") else None
    return bool(supported and supported() and (own is None or own()))


def overruns(x: torch.Tensor, weight: torch.Tensor, stride, padding) -> bool:
    """Whether a CPU may write past its memory for the gradient of this convolution's `weight` (O, I/groups, k, k).

    x: its input (N, I, H, W). The gradients are wrong then, or the process dies: of strided 1×1 convolutions in channels_last with
    fewer features than a vector has numbers, at most 16, by oneDNN up to the 3.10 of PyTorch 2.11 at least.
    https://github.com/uxlfoundation/oneDNN/issues/6035
    """
    strided = tuple(weight.shape[2:]) == (1, 1) and stride not in (1, (1, 1)) and padding in (0, (0, 0), "valid")
    return strided and weight.shape[1] < 16 and x.dim() == 4 and x.device.type == "cpu"


def thinned(x: torch.Tensor, stride) -> torch.Tensor:
    """The pixels of x (N, I, H, W) that a 1×1 convolution of `stride` reads: of them it is one of stride 1."""
    down, across = (stride, stride) if isinstance(stride, int) else stride
    return x[:, :, ::down, ::across]


def backward(grad, x, weight, conv: nn.Conv2d, wanted: tuple[bool, bool]):
    """The gradients of the input x (N, I, H, W) and of the weight (O, I, k, k) of `conv`, of one group, where wanted, else None.

    grad: of its output (N, O, H', W').
    """
    below, learns = wanted
    by_hand = learns and overruns(x, weight, conv.stride, conv.padding)
    of_input = of_weight = None
    if below or not by_hand:
        settings = (conv.stride, conv.padding, conv.dilation, False, (0, 0), 1)
        mask = (below, learns and not by_hand, False)
        of_input, of_weight, _ = torch.ops.aten.convolution_backward(grad, x, weight, None, *settings, mask)
    if by_hand:
        of_weight = torch.einsum("nohw,nihw->oi", grad, thinned(x, conv.stride))[:, :, None, None]
    return of_input, of_weight


class Convolutions(TorchFunctionMode):
    """Inside, convolutions avoid what `overruns`; if `rounded`, they and their gradients are of fp32 numbers rounded to bf16."""

    def __init__(self, rounded: bool):
        super().__init__()
        self.rounded = rounded

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in (torch.conv2d, F.conv2d):
            return function(*args, **(kwargs or {}))
        return self._convolved(*args, **(kwargs or {}))

    def _convolved(self, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if overruns(input, weight, stride, padding):
            input, stride = thinned(input, stride), 1
        if self.rounded:
            input, weight, bias = (t if t is None else t.bfloat16().float() for t in (input, weight, bias))
        out = F.conv2d(input, weight, bias, stride, padding, dilation, groups)
        return out.bfloat16().float() if self.rounded else out
