"""The training step: what frozen weights let us leave out.

`Plain` is the reference: the network as PyTorch runs it, under autocast. `Fused` computes the same function of the same
parameters with less work: the frozen convolution weights are cast and laid out once, not at every step, and receive no
gradient; BatchNorm, the shortcut's sum and the ReLU are one pass forward and one backward, with sums taken in two stages
(over the pixels of each image, then over the images), which the compiler turns into vector code. Nothing is approximated:
in fp32 and fp64 both give the same loss, gradients and running statistics up to the order of summation, and tests hold
them to it; in bf16 they round at the same places. A network that is not ours, or a machine without a compiler, uses `Plain`.
"""

import torch
import torch._dynamo
import torch._inductor.config
import torch.nn.functional as F
from torch import nn

from bnlib import models

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}


def _moments(x):
    """Mean and biased variance per feature of x (images, pixels, features), in at least fp32."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    count = x.shape[0] * x.shape[1]
    mean = x.sum(1).sum(0) / count
    # E[x²] − mean² is safe here: a convolution's output has a mean of the order of its deviation, and sums are fp32.
    variance = (x * x).sum(1).sum(0) / count - mean * mean
    return mean, variance.clamp_min(0)


def _forward(x, gamma, beta, added, relu: bool, eps: float):
    mean, variance = _moments(x)
    scale = gamma * torch.rsqrt(variance + eps)
    y = x * scale + (beta - mean * scale)
    if added is not None:
        y = y + added
    if relu:
        y = torch.relu(y)
    return y.to(x.dtype), mean, variance


def _backward(grad, x, y, gamma, mean, variance, relu: bool, added: bool, eps: float):
    """Gradients of the output of `_forward`: for x, γ, β and what was added. y > 0 is the ReLU's mask."""
    count = x.shape[0] * x.shape[1]
    wide = torch.promote_types(x.dtype, torch.float32)
    grad_z = grad.to(wide)
    if relu:
        grad_z = grad_z * (y > 0)
    deviation = torch.rsqrt(variance + eps)
    grad_beta = grad_z.sum(1).sum(0)
    grad_gamma = ((grad_z * x.to(wide)).sum(1).sum(0) - mean * grad_beta) * deviation
    # dx = γ/σ · (dz − mean(dz) − x̂ · mean(dz·x̂)), gathered into one multiply-add for each of dz and x.
    scale = gamma * deviation
    slope = -scale * deviation * grad_gamma / count
    shift = -scale * grad_beta / count - slope * mean
    grad_x = scale * grad_z + slope * x.to(wide) + shift
    return grad_x.to(x.dtype), grad_gamma, grad_beta, grad_z.to(x.dtype) if added else None


_compiled = {"forward": torch.compile(_forward, dynamic=False), "backward": torch.compile(_backward, dynamic=False)}
_eager = {"forward": _forward, "backward": _backward}


def _rows(x):
    """(N, C, H, W) in channels_last to (N, H·W, C), without a copy."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, x.shape[1])


def _image(rows, like):
    """(N, H·W, C) back to the shape of `like`, (N, C, H, W) in channels_last, without a copy."""
    n, c, h, w = like.shape
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


class _Norm(torch.autograd.Function):
    """BatchNorm in training mode, then an optional sum, then an optional ReLU; also gives mean and variance."""

    @staticmethod
    def forward(ctx, x, gamma, beta, added, relu, eps, kernels):
        rows = None if added is None else _rows(added)
        y, mean, variance = kernels["forward"](_rows(x), gamma, beta, rows, relu, eps)
        ctx.relu, ctx.added, ctx.eps, ctx.kernels = relu, added is not None, eps, kernels
        # The output is kept alive by the next convolution's graph anyway: as the mask it costs no memory.
        ctx.save_for_backward(x, y if relu else None, gamma, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return _image(y, x), mean, variance

    @staticmethod
    def backward(ctx, grad, _mean, _variance):
        x, y, gamma, mean, variance = ctx.saved_tensors
        grad = _rows(grad.contiguous(memory_format=torch.channels_last))
        grad_x, grad_gamma, grad_beta, grad_added = ctx.kernels["backward"](
            grad, _rows(x), y, gamma, mean, variance, ctx.relu, ctx.added, ctx.eps
        )
        return _image(grad_x, x), grad_gamma, grad_beta, None if grad_added is None else _image(grad_added, x), None, None, None


class Plain:
    """The reference step: any torch model, as it is, with convolutions in `precision` under autocast."""

    name = "plain"

    def __init__(self, model: nn.Module, precision: str = "bf16"):
        self.model, self.dtype = model, DTYPES[precision]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, classes), at least fp32, of normalised images x (N, 3, H, W), in the model's mode."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            scores = self.model(x)
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def loss(self, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean cross-entropy of the batch, and how many of its images are classified right."""
        scores = self.logits(x)
        return F.cross_entropy(scores, labels), (scores.argmax(1) == labels).sum()


class Fused(Plain):
    """The fast step for the networks of `bnlib.build`; evaluates as `Plain` does.

    Batches of `batch` images go through compiled code, which is made for that one shape; others, such as the last of an
    epoch, through the same functions uncompiled.
    """

    name = "fused"

    def __init__(self, model: models.ResNet, precision: str = "bf16", batch: int | None = None):
        super().__init__(model, precision)
        self.batch = batch
        self.frozen = {
            conv: self._cast(conv.weight.detach())
            for conv in model.modules()
            if isinstance(conv, nn.Conv2d) and not any(p.requires_grad for p in conv.parameters())
        }

    def _cast(self, weight):
        return weight.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _conv(self, conv, x):
        weight = self.frozen.get(conv)
        return F.conv2d(x, self._cast(conv.weight) if weight is None else weight, stride=conv.stride, padding=conv.padding)

    def _norm(self, bn, x, added=None, relu=True):
        y, mean, variance = _Norm.apply(x, bn.weight, bn.bias, added, relu, bn.eps, self.kernels)
        count = x.numel() // x.shape[1]
        self.seen.append((mean, variance * (count / (count - 1))))
        return y

    def logits(self, x):
        """As `Plain.logits`; in training mode by the fused passes, and BatchNorm's running statistics move."""
        if not self.model.training:
            return super().logits(x)
        net, self.seen, order = self.model, [], [self.model.bn]
        self.kernels = _compiled if x.shape[0] == self.batch else _eager
        x = self._norm(net.bn, self._conv(net.conv, x.to(self.dtype)))
        for segment in net.segments:
            for block in segment:
                out = self._norm(block.bn1, self._conv(block.conv1, x))
                order.append(block.bn1)
                if not isinstance(block.shortcut, nn.Identity):
                    x = self._norm(block.shortcut[1], self._conv(block.shortcut[0], x), relu=False)
                    order.append(block.shortcut[1])
                x = self._norm(block.bn2, self._conv(block.conv2, out), added=x)
                order.append(block.bn2)
        self._update(order)
        return net.output(x.to(net.output.weight.dtype).mean(dim=(2, 3)))

    @torch.no_grad()
    def _update(self, order) -> None:
        """Move all running statistics in one go, as `nn.BatchNorm2d` does each."""
        means, variances = zip(*self.seen, strict=True)
        torch._foreach_lerp_([bn.running_mean for bn in order], list(means), order[0].momentum)
        torch._foreach_lerp_([bn.running_var for bn in order], list(variances), order[0].momentum)
        torch._foreach_add_([bn.num_batches_tracked for bn in order], 1)


def make(model: nn.Module, precision: str, *, steps: int, batch: int, depth: int) -> Plain:
    """The step to train `model` with: `Fused` where it pays, else `Plain`.

    Compiling takes 20 to 40 s on a CPU whatever the depth, and a fused step saves about 1 ms a layer: below some
    30,000 layer-steps the plain step is done first. Says so, in one line, where there is no working compiler.
    """
    if steps * depth < 30_000 or not isinstance(model, models.ResNet):
        return Plain(model, precision)
    # Kinds of layers times shapes: PyTorch's default of 8 would send the rest to eager code, silently.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    # Said aloud, because generated code has the number of threads written into it and the compiler's cache on disk does
    # not look at it: code made for two threads and run in a process of one takes ten times as long.
    torch._inductor.config.cpp.threads = torch.get_num_threads()
    try:
        device = next(model.parameters()).device
        torch.compile(torch.neg)(torch.ones(8, device=device))
    except Exception as error:  # whatever the compiler's absence looks like on this machine
        print(f"no compiler here ({type(error).__name__}): training goes on with the plain step, which is slower")
        return Plain(model, precision)
    return Fused(model, precision, batch)
