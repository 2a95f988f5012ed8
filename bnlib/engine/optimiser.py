"""The optimiser: one flat tensor of all that learns, instead of some hundred small ones."""

import torch
from torch import nn

from bnlib import freezing
from bnlib.spec import Recipe
from bnlib.spec.trainable import NORMS


def make(model: nn.Module, settings: Recipe) -> torch.optim.Optimizer | None:
    """The recipe's optimiser over what learns in `model`, as one flat tensor for each weight decay; None if nothing learns."""
    found = freezing.groups(model)
    norms = {id(getattr(holder, name)) for group in NORMS for holder, name in found.get(group, ())}
    decays = {}
    for p in model.parameters():
        if p.requires_grad:
            decay = settings.weight_decay if settings.decay_bn or id(p) not in norms else 0.0
            decays.setdefault((decay, p.dtype, p.device), []).append(p)
    if not decays:
        return None
    groups = [{"params": [flatten(members)], "weight_decay": decay} for (decay, *_), members in decays.items()]
    if settings.optimiser == "adam":
        on_gpu = next(model.parameters()).device.type == "cuda"
        optimiser = torch.optim.Adam(groups, lr=0.0, betas=(settings.momentum, 0.999), capturable=on_gpu)
    else:
        optimiser = torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum)
    # Its state is made now, as a CUDA graph holds on to it from the first step on; all zeros is what it starts from.
    before = [(group["params"][0], group["params"][0].detach().clone()) for group in groups]
    optimiser.step()
    with torch.no_grad():
        for flat, value in before:
            flat.copy_(value)
    for state in optimiser.state.values():
        for tensor in state.values():
            if tensor is not None:
                tensor.zero_()
    return optimiser


def flatten(parameters: list[nn.Parameter]) -> nn.Parameter:
    """One flat parameter that holds `parameters`: their values and gradients become views of its own.

    An optimiser then has one tensor to move instead of some hundred small ones. Their memory formats stay as they are; one that
    leaves gaps, as a part of a larger tensor does, becomes dense, as else its view would reach into the next one's.
    """
    total = sum(p.numel() for p in parameters)
    flat = nn.Parameter(torch.empty(total, dtype=parameters[0].dtype, device=parameters[0].device))
    flat.grad, offset = torch.zeros_like(flat), 0
    for p in parameters:
        strides = torch.empty_like(p, device="meta").stride()  # its own, if it leaves no gaps
        value, grad = (t.as_strided(p.shape, strides, offset) for t in (flat.data, flat.grad))
        value.copy_(p.data)
        p.data, p.grad, offset = value, grad, offset + p.numel()
    return flat


def unflatten(model: nn.Module) -> None:
    """Give every parameter that learns memory of its own again, without a gradient: as before `make`."""
    for p in model.parameters():
        if p.requires_grad:
            p.data, p.grad = p.data.clone(memory_format=torch.preserve_format), None
