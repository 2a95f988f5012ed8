"""What the layers of a network are, whoever wrote it: wrappers and the names inside them, and kinds of normalisation."""

import re
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel

CONVOLUTION, TRANSPOSED = _ConvNd, _ConvTransposeNd
WRAPPED = ("module", "_orig_mod")  # DataParallel, DistributedDataParallel, AveragedModel; torch.compile
# A kind of normalisation, by its group: its name in words, its class in PyTorch, and how the class of somebody else is called.
_KINDS = {
    "bn": ("BatchNorm", _BatchNorm, r"batch_?norm"),
    "ln": ("LayerNorm", nn.LayerNorm, r"layer_?norm"),
    "gn": ("GroupNorm", nn.GroupNorm, r"group_?norm"),
    "in": ("InstanceNorm", _InstanceNorm, r"instance_?norm"),
    "rms": ("RMSNorm", nn.RMSNorm, r"rms_?norm"),
}
TITLES = {kind: title for kind, (title, *_) in _KINDS.items()}


def inner(module: nn.Module) -> str | None:
    """Where a wrapper, which has one child alone and no tensors, holds its network; None of what is no wrapper.

    AveragedModel is one, though it counts in a buffer how many networks it has averaged.
    """
    names = [name for name, _ in module.named_children()]
    if len(names) != 1 or names[0] not in WRAPPED or _direct(module):
        return None
    counts = isinstance(module, AveragedModel) or next(module.buffers(recurse=False), None) is None
    return names[0] if counts else None


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside of its wrappers."""
    while name := inner(model):
        model = getattr(model, name)
    return model


def named(model: nn.Module, parts: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """Every layer of `model` once, with its path: the same in the model, in its DataParallel and in its compiled form.

    parts: also the modules of which `torch.nn.utils.parametrize` makes a layer's tensors, after the layer.
    """
    short, inside = {"": ""}, set()  # of each path with wrappers, the one without; paths that are parts of a layer
    for path, module in model.named_modules():
        above, _, name = path.rpartition(".")
        if path:
            hidden = name in WRAPPED and inner(model.get_submodule(above)) == name
            short[path] = short[above] if hidden else f"{short[above]}.{name}".removeprefix(".")
            if above in inside or name == "parametrizations" and parametrize.is_parametrized(model.get_submodule(above)):
                inside.add(path)
        if inner(module) is None and (parts or path not in inside):
            yield short[path], module


def check_shapes(model: nn.Module) -> None:
    """Raise ValueError, which names the layer, if a parameter of `model` has no shape yet."""
    for path, module in named(model):
        if any(map(is_lazy, [*_direct(module).values(), *module.buffers(recurse=False)])):
            raise ValueError(f"the layer {path!r} ({called(module)}) has no shape yet; put a batch through the network first")


def called(module: nn.Module) -> str:
    """The name of a layer's class; of a scripted or parametrized one that of the class that it was."""
    if isinstance(module, torch.jit.ScriptModule):
        return module.original_name
    return (type(module).__bases__[0] if parametrize.is_parametrized(module) else type(module)).__name__


def _direct(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a module holds itself, by name; one that it holds twice under both."""
    return dict(module.named_parameters(recurse=False, remove_duplicate=False))


def norm(module: nn.Module) -> str | None:
    """The kind of normalisation that a layer is, by its group (`gamma` and `beta` are of kind `bn`), affine or not; else None.

    By its class, or, where that is nobody's subclass, such as LlamaRMSNorm, by the class's name if all its parameters are vectors.
    """
    for kind, (_, base, _) in _KINDS.items():
        if isinstance(module, base):
            return kind
    for kind, (_, _, pattern) in _KINDS.items():
        if re.search(pattern + r"(act)?\d?d?$", called(module), re.IGNORECASE):
            held = [parameter for _, holder, name in own(module) for parameter in [getattr(holder, name)]]
            alone = len(held) == len(list(module.parameters()))  # else its children do the work
            return kind if alone and all(parameter.dim() == 1 for parameter in held) else None
    return None


def own(module: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """The parameters that make a layer: for each the name of the layer's tensor, and the holder and the name of the parameter.

    The three agree but where the tensor is made from others by `torch.nn.utils.parametrize`, which hold the parameters.
    """
    found = [(name, module, name) for name in _direct(module)]
    for name in module.parametrizations if parametrize.is_parametrized(module) else ():
        found += [(name, part, one) for part in module.parametrizations[name].modules() for one in _direct(part)]
    return found
