"""The training step: what frozen weights let us leave out.

`Plain` is the reference: any network, as PyTorch's autograd runs it. `Fused` computes the same gradients of the same
parameters with less work, for the networks of `bnlib.build`:

- Frozen convolution weights are cast and laid out once, not at every step, and receive no gradient. Then the backward pass
  needs a convolution's input no more (PyTorch keeps it regardless); of each layer only the convolution's output is kept,
  from which BatchNorm's backward pass and the ReLU's mask follow, and of each block a mask for the ReLU behind the sum.
- BatchNorm, the shortcut's sum and the ReLU are one pass forward and one backward: on a CPU those of `passes.c`, which serve
  every shape of layer; on a GPU compiled by PyTorch for each shape, not for each layer, so that this takes equally long at
  every depth.
- The chain of layers is walked backward by hand: no autograd graph, no node for the sum of a block's two gradients.

Nothing is approximated: in fp64 and fp32 both give the same loss, gradients and running statistics up to the order of
summation, and tests hold them to it; in bf16 they round at the same places, where each convolution reads and writes.
Where a processor has no bf16 instructions, convolutions run in fp32 on numbers rounded to bf16: in training the same
arithmetic, since the hardware's bf16 products are summed in fp32 too.
"""

import contextlib
import functools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from bnlib import models
from bnlib.engine import convolution, passes, passes_c
from bnlib.engine.convolution import native
from bnlib.freezing.subset import subset

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}


class Plain:
    """The reference step: any torch model, as it is, with convolutions in `precision`, `bf16` or `fp32`."""

    name, passes_name = "plain", "PyTorch's autograd"
    scale = 1.0  # what a gradient is multiplied by: the batch's share, where several processes make one

    def __init__(self, model: nn.Module, precision: str = "bf16"):
        self.model, self.dtype = model, DTYPES[precision]
        self.device = next(model.parameters(), torch.empty(0)).device
        self.native = native(self.dtype, self.device.type)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, classes), at least fp32, of normalised images x (N, 3, H, W), in the model's mode."""
        cast = self.dtype == torch.bfloat16 and self.native
        # Without its cache, which is emptied only where no other autocast is around: weights change from step to step.
        autocast = torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        casting = autocast if cast else contextlib.nullcontext()
        instead = contextlib.nullcontext()
        if self.device.type == "cpu" or not self.native:
            instead = convolution.Convolutions(rounded=not self.native)
        if self.dtype == torch.float32 and x.is_floating_point():  # a model of another precision runs in its own
            kinds = dict.fromkeys(p.dtype for p in self.model.parameters() if p.is_floating_point())
            x = x if x.dtype in kinds else x.to(next(iter(kinds), x.dtype))
        with casting, instead:
            scores = self.model(x)
        # Some models give more than scores: Hugging Face's an object that has them, Inception's and GoogLeNet's other heads' too.
        scores = scores.logits if hasattr(scores, "logits") else scores[0] if isinstance(scores, tuple) else scores
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def loss(self, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean cross-entropy of the batch, and how many of its images are classified right."""
        scores = self.logits(x)
        return F.cross_entropy(scores, labels), (scores.argmax(1) == labels).sum()

    def gradients(self, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `loss`, and adds the loss's gradient to `.grad` of every parameter that learns; running statistics move."""
        loss, correct = self.loss(x, labels)
        if loss.requires_grad:
            loss.backward(torch.full_like(loss, self.scale))
        return loss.detach(), correct


class _Layer:
    """A convolution and the BatchNorm behind it: conv → BN → (+ what is added) → ReLU, forward and backward."""

    def __init__(self, step: "Fused", conv: nn.Conv2d, bn: nn.BatchNorm2d, relu: bool = True, first: bool = False):
        self.step, self.conv, self.bn, self.relu, self.first = step, conv, bn, relu, first
        self.learns = any(p.requires_grad for p in conv.parameters())
        self.frozen = None if self.learns else self._cast(conv.weight)

    def _cast(self, weight):
        return weight.detach().to(self.step.dtype).to(self.step.compute).contiguous(memory_format=torch.channels_last)

    def forward(self, x, added=None):
        """The output, for x and what is added (N, C, H, W); keeps what `backward` needs if anything below the output learns."""
        weight = self.frozen
        if self.learns:
            with torch.enable_grad():
                self.weight = self.conv.weight  # under `random:K` a function of what learns; autograd knows the way on
            weight = self._cast(self.weight)
        out = F.conv2d(x, weight, stride=self.conv.stride, padding=self.conv.padding)
        self.count = out[:, 0].numel()
        y, self.found, kept = self.step.passes.forward(out, self.bn, added, self.relu)
        if self.step.deep:  # of the input only the shape matters, unless the weight learns
            self.kept = kept, weight, x if self.learns else x.shape
        return y

    def fold(self, x):
        """The convolution with BatchNorm's running statistics, γ and β folded into its weight and bias.

        Where bf16 has no instructions, in fp32 without rounding: it evaluates, and trains nothing.
        """
        bn = self.bn
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        weight = (self.conv.weight * scale[:, None, None, None]).to(self.step.compute)
        bias = (bn.bias - bn.running_mean * scale).to(self.step.compute)
        return F.conv2d(x, weight, bias, stride=self.conv.stride, padding=self.conv.padding)

    def backward(self, *grads):
        """Given the output's gradient, in one or two parts, those of the input (None for the stem) and of what was added."""
        (kept, weight, x), self.kept = self.kept, None
        grad, self.grads, added = self.step.passes.backward(kept, self.found, grads, self.bn)
        del kept
        if self.first and not self.learns:
            return None, added
        if not self.learns:  # memory that nobody touches costs nothing
            x = torch.empty(x, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last)
        below, of_weight = convolution.backward(grad, x, weight, self.conv, (not self.first, self.learns))
        if self.learns:
            torch.autograd.backward(self.weight, of_weight.to(self.weight.dtype))
        return below, added


class Fused(Plain):
    """The fast step for the networks that `fits` names, whatever learns; the fewer convolutions do, the more it saves.

    make_passes: what lies between two convolutions, given the dtype that values are rounded to and the one that convolutions
    compute in; `passes_c.InC`, or `passes.InTorch`, the default, which needs no compiler. To be made anew when `freeze` has
    changed what learns.
    """

    name = "fused"

    def __init__(self, model: models.ResNet, precision: str = "bf16", make_passes=passes.InTorch):
        super().__init__(model, precision)
        self.compute = self.dtype if self.native else torch.float32
        self.passes = make_passes(self.dtype, self.compute)
        self.passes_name = self.passes.name
        self.deep = any(p.requires_grad for name, p in model.named_parameters() if not name.startswith("output."))
        self.stem = _Layer(self, model.conv, model.bn, first=True)
        self.blocks = []
        for block in (block for segment in model.segments for block in segment):
            short = None if isinstance(block.shortcut, nn.Identity) else _Layer(self, *block.shortcut, relu=False)
            self.blocks.append((_Layer(self, block.conv1, block.bn1), _Layer(self, block.conv2, block.bn2), short))
        self.layers = [self.stem, *(layer for block in self.blocks for layer in block if layer)]

    def gradients(self, x, labels):
        """As `Plain.gradients`, by hand below the output layer."""
        output = self.model.output
        with torch.no_grad():
            x = self.stem.forward(x.to(self.dtype).to(self.compute))
            for one, two, short in self.blocks:
                x = two.forward(one.forward(x), short.forward(x) if short else x)
            pooled = x.to(output.weight.dtype).mean(dim=(2, 3))
            self._move_statistics()
        scores = output(pooled.requires_grad_(self.deep))
        loss = F.cross_entropy(scores, labels)
        if loss.requires_grad:
            loss.backward(torch.full_like(loss, self.scale))
        if self.deep:
            with torch.no_grad():
                grad = (pooled.grad / (x.shape[2] * x.shape[3])).to(self.compute)
                grad = grad[:, :, None, None].expand(x.shape).contiguous(memory_format=torch.channels_last)
                grads = [grad]
                del x, grad
                for one, two, short in reversed(self.blocks):
                    # Of a block's input there are two gradients; the pass before adds them up.
                    inner, around = two.backward(*grads)
                    grads = [one.backward(inner)[0], short.backward(around)[0] if short else around]
                self.stem.backward(*grads)
                self._add_gradients()
        return loss.detach(), (scores.detach().argmax(1) == labels).sum()

    def logits(self, x):
        """As `Plain.logits`; in evaluation mode BatchNorm, by then an affine map, is folded into the convolutions."""
        if self.model.training:
            return super().logits(x)
        with torch.no_grad():
            x = self.stem.fold(x.to(self.compute)).relu_()
            for one, two, short in self.blocks:
                x = two.fold(one.fold(x).relu_()).add_(short.fold(x) if short else x).relu_()
            return self.model.output(x.to(self.model.output.weight.dtype).mean(dim=(2, 3)))

    @torch.no_grad()
    def _move_statistics(self) -> None:
        """Move all running statistics in one go, as `nn.BatchNorm2d` does each."""
        norms, layers = [layer.bn for layer in self.layers], self.layers
        unbiased = torch._foreach_mul([layer.found[1] for layer in layers], [n.count / (n.count - 1) for n in layers])
        torch._foreach_lerp_([bn.running_mean for bn in norms], [layer.found[0] for layer in layers], norms[0].momentum)
        torch._foreach_lerp_([bn.running_var for bn in norms], unbiased, norms[0].momentum)
        torch._foreach_add_([bn.num_batches_tracked for bn in norms], 1)

    def _add_gradients(self) -> None:
        """Add the gradients of γ and β to theirs, where they learn."""
        pairs = [(p, g) for layer in self.layers for p, g in zip((layer.bn.weight, layer.bn.bias), layer.grads, strict=True)]
        pairs = [(p, g) for p, g in pairs if p.requires_grad]
        for p, _ in pairs:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        if pairs:
            torch._foreach_add_([p.grad for p, _ in pairs], [g for _, g in pairs])


def fits(model: nn.Module) -> bool:
    """Whether `Fused` computes what the network does: a CIFAR ResNet as `bnlib.build` makes it, with BatchNorm, in fp32.

    Not where something has been changed since, but for which linear layer is the output: of other layers, hooks, and a forward
    pass of its own `Fused` would know nothing.
    """
    if type(model) is not models.ResNet or any(p.dtype != torch.float32 for p in model.parameters()):
        return False
    with torch.device("meta"):
        made = models.ResNet(*model.made)
    theirs, own = (dict(one.named_modules()) for one in (made, model))
    own = {name: module for name, module in own.items() if ".parametrizations" not in name}
    if own.keys() != theirs.keys() or type(made.bn) is not nn.BatchNorm2d:
        return False
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    asks = any("forward" in vars(module) or any(getattr(module, kind) for kind in hooks) for module in own.values())
    return not asks and all(_alike(own[name], theirs[name], name == "output") for name in theirs)


def _alike(module: nn.Module, made: nn.Module, of_any_size: bool) -> bool:
    """Whether the one module is of the other's kind and computes as it does."""
    kind = parametrize.type_before_parametrizations(module) if subset(module) else type(module)
    return kind is type(made) and (of_any_size or module.extra_repr() == made.extra_repr())


def make(model: nn.Module, precision: str, *, steps: int, sizes: tuple[int, ...], depth: int) -> Plain:
    """The step to train `model` with, for so many `steps` of batches of `sizes`: `Fused` where it pays, else `Plain`.

    On a CPU the passes are compiled once a machine, in a second or two, and a fused step saves about a millisecond a layer; on a
    GPU once a process, in half a minute. Below so many layer-steps the plain step is done first. Says so, in one line, where
    there is no working compiler.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    if steps * depth < (3_000 if on_cpu else 30_000) or not fits(model):
        return Plain(model, precision)
    try:
        if on_cpu:
            return Fused(model, precision, passes_c.InC)
        with torch.no_grad():
            passes.compiled(torch.neg, [torch.ones(8, device=next(model.parameters()).device)])
    except Exception as error:  # whatever the compiler's absence looks like on this machine
        why = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:120]}"
        print(f"the fused step cannot be compiled here ({why}): training goes on with the plain step, which is slower")
        return Plain(model, precision)
    return Fused(model, precision, functools.partial(passes.InTorch, sizes=sizes))
