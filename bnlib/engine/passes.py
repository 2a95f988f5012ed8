"""BatchNorm, the shortcut's sum and the ReLU as one pass over the activations forward and one backward.

Plain functions of tensors: the reference for `passes.c`, which a CPU takes, and what PyTorch compiles for a GPU.
"""

import functools

import torch


def _rows(x):
    """(N, C, H, W) in channels_last as (N, H·W, C), without a copy."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, x.shape[1])


def _image(rows, like):
    """(N, H·W, C) as the shape of `like`, (N, C, H, W) in channels_last, without a copy."""
    n, c, h, w = like.shape
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


def _round(x, dtype):
    """Values of fp32 x rounded to `dtype`, still as fp32, where convolutions compute in fp32 for want of bf16 instructions.

    By Veltkamp's splitting, since compilers take x.to(bf16).to(fp32) for nothing: 2¹⁶ + 1 leaves 8 of 24 bits.
    """
    if x.dtype == dtype or dtype != torch.bfloat16:
        return x
    large = x * 65537.0
    return large - (large - x)


def forward(x, gamma, beta, *added, relu: bool, eps: float, dtype: torch.dtype):
    """BatchNorm in training mode of x (N, C, H, W), then the sum with `added`, then ReLU; values rounded to `dtype`.

    Returns the output; mean, biased variance, and the scale and offset that they make with γ and β (C,); then x and, behind a sum,
    the output again as `dtype`, if x is not. What there is one of for each feature is a result, so that the compiler computes it
    once and not again for every value: a square root each, more work than all the rest.
    """
    rows = _round(_rows(x), dtype)
    wide = rows.to(torch.promote_types(dtype, torch.float32))
    count = wide.shape[0] * wide.shape[1]
    mean = wide.sum(1).sum(0) / count
    # E[x²] − mean² is safe here: a convolution's output has a mean of the order of its deviation, and sums are fp32.
    variance = ((wide * wide).sum(1).sum(0) / count - mean * mean).clamp_min(0)
    scale = gamma * torch.rsqrt(variance + eps)
    offset = beta - mean * scale
    y = wide * scale + offset
    if added:
        y = y + _rows(added[0])
    if relu:
        y = torch.relu(y)
    y = _round(y, dtype) if dtype != x.dtype else y.to(dtype)
    kept = [] if dtype == x.dtype else [rows, y] if added else [rows]
    return _image(y, x), mean, variance, scale, offset, *(_image(k.to(dtype), x) for k in kept)


def backward(x, mean, variance, scale, offset, grad, *more, relu: bool, summed: bool, eps: float, dtype: torch.dtype):
    """The gradients behind `forward`, given that of its output, `grad`: for x (as `dtype`), γ and β; if `summed`, for the sum too.

    mean, variance, scale, offset: of `forward`. Between γ's and β's and the sum's gradient: two intermediate results, for the
    reason given there. more: a second gradient of the same output, which is added to the first, if there is one; if `summed`,
    the output last.
    """
    rows = _rows(x).to(torch.promote_types(x.dtype, torch.float32))
    g = _round(_rows(grad), x.dtype).to(rows.dtype)
    if len(more) > summed:
        g = g + _rows(more[0])
    if summed:
        g = g * (_rows(more[-1]) > 0)
    elif relu:
        g = g * (rows * scale + offset > 0)
    count = rows.shape[0] * rows.shape[1]
    grad_beta = g.sum(1).sum(0)
    inverse = torch.rsqrt(variance + eps)
    grad_gamma = ((g * rows).sum(1).sum(0) - mean * grad_beta) * inverse
    # dx = γ/σ · (g − mean(g) − x̂ · mean(g·x̂)), gathered into one multiply-add for each of g and x.
    slope = -scale * inverse * grad_gamma / count
    shift = -scale * grad_beta / count - slope * mean
    grad_x = scale * g + slope * rows + shift
    grad_x = _round(grad_x, x.dtype) if dtype != x.dtype else grad_x.to(dtype)
    return _image(grad_x, x), grad_gamma, grad_beta, slope, shift, *([_image(g.to(x.dtype), x)] if summed else [])


_compiled = {}


class InTorch:
    """The passes above as PyTorch runs them: compiled, once a process, for batches of `sizes`; for others uncompiled.

    dtype: what values are rounded to; compute: what convolutions read and write.
    """

    def __init__(self, dtype: torch.dtype, compute: torch.dtype, sizes: tuple[int, ...] = ()):
        self.dtype, self.compute, self.sizes, self.threads = dtype, compute, sizes, torch.get_num_threads()
        self.name = "PyTorch's compiler" if sizes else "PyTorch, uncompiled"

    def forward(self, x, bn, added, relu: bool):
        """What follows a convolution with output x (N, C, H, W): BatchNorm `bn` in training mode, + `added` if not None, ReLU.

        Returns the result; mean, biased variance, scale and offset of each feature; and what `backward` needs to be given.
        """
        added = () if added is None else (added,)
        y, *found = self._call(forward, x, bn.weight, bn.bias, *added, relu=relu, eps=bn.eps, dtype=self.dtype)
        found, kept = found[:4], found[4:] or [x, y]
        # Of the result only the ReLU behind a sum is needed: elsewhere the mask follows from x.
        return y, found, (kept[: 1 + len(added)], relu)

    def backward(self, kept, found, grads, bn):
        """Given the result's gradient in one or two parts: that of x; those of γ and β; that of what was added, or None."""
        (x, *summed), relu = kept
        if summed and len(grads) == 1:  # with zeros one function is compiled for both
            grads = [*grads, torch.zeros_like(grads[0], dtype=self.dtype)]
        flags = {"relu": relu, "summed": bool(summed), "eps": bn.eps, "dtype": self.compute}
        grad, grad_gamma, grad_beta, _, _, *rest = self._call(backward, x, *found, *grads, *summed, **flags)
        return grad, (grad_gamma, grad_beta), rest[0] if summed else None

    def _call(self, function, *tensors, **flags):
        if tensors[0].shape[0] not in self.sizes:
            return function(*tensors, **flags)
        key = (function, self.threads, tensors[0].device, *flags.values(), *((t.shape, t.dtype) for t in tensors))
        if key not in _compiled:
            _compiled[key] = compiled(functools.partial(function, **flags), tensors)
        return _compiled[key](*tensors)


def compiled(function, tensors):
    """`function` for tensors like these, by PyTorch's inductor.

    Without Dynamo in front: its guards cost 0.1 ms a call, at depth 110 a third of all that is not a convolution.
    """
    import torch._inductor.config
    from torch._guards import TracingContext, tracing
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # The number of threads is said aloud, because it is written into the generated code and the compiler's cache on disk does
    # not look at it: code made for two threads takes ten times as long in a process of one.
    options = {"cpp.threads": torch.get_num_threads()}
    # No intermediate result is written to memory to be read again: these passes wait for memory, not for arithmetic.
    options |= dict.fromkeys(("realize_reads_threshold", "realize_acc_reads_threshold", "realize_opcount_threshold"), 1000)
    if hasattr(torch._inductor.config, "deterministic"):  # on a GPU: no order of summation that is chosen by timing
        options["deterministic"] = True
    mode = FakeTensorMode(shape_env=ShapeEnv())
    with tracing(TracingContext(mode)):  # else the compiler's cache on disk is passed by
        shapes = [mode.from_tensor(t, static_shapes=True) for t in tensors]
        with mode:
            graph = make_fx(function)(*shapes)
        return torch._inductor.compile(graph, shapes, options=options)
