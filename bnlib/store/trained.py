"""What learned of any network, in one small file: the frozen rest is not in it, and must be there again when it is read.

The file is a safetensors file with the tensors that learned and the buffers (running statistics), by their names in the plain
network, without wrappers; of `random:K` the values, and their places under the name with `:places`. Its metadata have, under
`bnlib_trained`, one JSON text: what learned, the frozen tensors, each with kind, shape and a digest of its values, and a digest of
all of it. The digest finds damage, not malice. Nothing in a file is ever run.
"""

import hashlib
import json
import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from bnlib import __version__
from bnlib.freezing import RandomSubset, layers, merge
from bnlib.freezing.subset import put, subset, subsets
from bnlib.store import files
from bnlib.store.files import StoreError
from bnlib.store.tensorfile import checked, refused

HEADER = 1 << 24  # bytes, of which a network of 10,000 tensors takes one
FORMAT = 1
_KEY, _PLACES = "bnlib_trained", ":places"


def save_trained(model: nn.Module, file: str | Path) -> Path:
    """Write what learns in `model`, and its buffers, to `file`, whole or not at all; returns the path.

    What learns is what requires gradients; of `random:K` the values and their places. Buffers are those of the network's
    `state_dict`, not what AveragedModel counts for itself. A file that is there is replaced. Works on any network, also inside
    DataParallel, DistributedDataParallel or torch.compile: the names are those of the plain network. The optimiser is not in it.
    Takes the time to read every frozen tensor once, for a digest of its values.
    Raises ValueError for a layer that has no shape or no values yet, or one with something on top of `random:K`; StoreError if the
    file cannot be written.
    """
    parameters, buffers, random = _parts(model)
    learning = [name for name, tensor in parameters.items() if tensor.requires_grad and name not in random]
    tensors = {name: parameters[name] for name in learning} | buffers
    for name, conv in random.items():
        tensors |= {name: conv.parametrizations["weight"].original, name + _PLACES: subset(conv).index.int()}
    info = {
        "format": FORMAT,
        "version": __version__,
        "network": layers.called(layers.unwrapped(model)),
        "trainable": learning,
        "random": list(random),
        "frozen": frozen(model),
    }
    # Copies: safetensors takes no two tensors that share their memory, as those of one optimiser do.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    info["digest"] = _digest(info, tensors)
    path = Path(file)
    try:
        path = path.expanduser()
        if path.is_dir():
            raise StoreError(f"{path} is a folder; give the name of a file")
        files.put(path.parent, path.name, save(tensors, {_KEY: json.dumps(info)}))
    except KeyError as error:
        raise StoreError(f"{path} cannot be written: safetensors has no numbers of the kind {error}") from None
    except (OSError, RuntimeError, ValueError) as error:  # ~ of a user who is not there
        raise StoreError(f"{path} cannot be written ({getattr(error, 'strerror', None) or error})") from None
    return path


def frozen(model: nn.Module) -> dict[str, list]:
    """What does not learn in `model`, by its name in the plain network: kind, shape, and a digest of its values.

    Of `random:K` of all values but those that learn. Raises ValueError for a layer that has no shape or no values yet.
    """
    parameters, _, random = _parts(model)
    places = {name: subset(conv).index for name, conv in random.items()}
    stays = {name: tensor for name, tensor in parameters.items() if name in random or not tensor.requires_grad}
    return {name: [*_form(tensor), _values(tensor, places.get(name))] for name, tensor in stays.items()}


def load_trained(model: nn.Module, file: str | Path) -> nn.Module:
    """Put what `save_trained` wrote back into `model`, in place, and freeze it as it was; returns the model.

    model: the network that was saved from as it was before its training: the same frozen tensors, by names, shapes and values, on
    any device; what learned may have any values. Wrappers do not matter.
    Raises StoreError, one line, if the file is not there, is damaged, or is no such file, and if it is of another network: the
    first tensor that does not fit is named, and nothing is changed.
    """
    path, info, tensors = _read(Path(file))
    parameters, buffers, _ = _parts(model)
    convs = {f"{path}.weight".removeprefix("."): layer for path, layer in layers.named(model)}
    strange = [name for name in info["random"] if not isinstance(convs.get(name), layers.CONVOLUTION)]
    wrong = _misfit(info, tensors, parameters, buffers)
    if wrong := wrong or (f"{strange[0]!r} is no convolution's" if strange else ""):
        raise StoreError(f"{path} does not fit this {layers.called(layers.unwrapped(model))}: {wrong}")
    merge(model)
    parameters, buffers, _ = _parts(model)
    learning = set(info["trainable"])
    for name, tensor in parameters.items():
        tensor.requires_grad_(name in learning)
        if not tensor.requires_grad:
            tensor.grad = None
    with torch.no_grad():
        for name in info["random"]:
            put(convs[name], tensors[name + _PLACES].long())
            convs[name].parametrizations["weight"].original.copy_(tensors[name])
        for name, tensor in [*parameters.items(), *buffers.items()]:
            if name in learning or name in buffers:
                tensor.copy_(tensors[name])
    return model


@torch.no_grad()
def _parts(model: nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, nn.Module]]:
    """Parameters and buffers by their names in the plain network, each tensor once; and the convolutions of `random:K`.

    These stand under the names of their weights, which are among the parameters whole.
    """
    layers.check_shapes(model)
    parameters, buffers, seen = {}, {}, set()
    random = {f"{path}.weight".removeprefix("."): conv for path, conv in subsets(model)}
    for path, layer in layers.named(model, parts=True):
        if isinstance(layer, RandomSubset) or isinstance(layer, ParametrizationList) and isinstance(layer[0], RandomSubset):
            continue
        own = [(parameters, pair) for pair in layer.named_parameters(recurse=False)]
        own += [(parameters, ("weight", layer.weight))] if subset(layer) else []
        passing = getattr(layer, "_non_persistent_buffers_set", ())
        own += [(buffers, pair) for pair in layer.named_buffers(recurse=False) if pair[0] not in passing]
        for place, (name, tensor) in own:
            if tensor.is_meta:
                raise ValueError(f"{path}.{name} is on the meta device and has no values")
            if id(tensor) not in seen:
                place[f"{path}.{name}".removeprefix(".")] = tensor
            seen.add(id(tensor))
    return parameters, buffers, random


def _misfit(info: dict, tensors: dict, parameters: dict, buffers: dict) -> str:
    """In words, the first tensor of a file that does not fit the network, or of the network that is not in the file; else empty."""
    there = {name: tuple(form) for name, (*form, _) in info["frozen"].items()}
    there |= {name: _form(tensors[name]) for name in info["trainable"]}
    for title, due, found in (
        ("the parameter", {name: _form(tensor) for name, tensor in parameters.items()}, there),
        ("the buffer", {name: _form(tensor) for name, tensor in buffers.items()}, _buffers(info, tensors)),
    ):
        for name in [*due, *found]:
            if name not in found or name not in due:
                return f"{title} {name!r} is only in the {'network' if name in due else 'file'}"
            if due[name] != found[name]:
                said = [f"{kind} {'×'.join(map(str, shape)) or 'a number'}" for kind, shape in (due[name], found[name])]
                return f"{title} {name!r} is {said[0]} here, {said[1]} in the file"
    for name, (*_, values) in info["frozen"].items():
        if _values(parameters[name], tensors.get(name + _PLACES)) != values:
            return f"the frozen {name!r} has other values here than where the file was written"
    return ""


def _read(path: Path) -> tuple[Path, dict, dict[str, torch.Tensor]]:
    """What a file says and holds, checked for itself; see `load_trained`."""
    with refused(path, "is not a file of save_trained that this version of bnlib can read"):
        path = checked(path, "a file of save_trained", HEADER)
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            if text is None:
                raise StoreError(f"{path} holds tensors, but not what learned: bnlib.save_trained writes such files")
            info = json.loads(text)
            if info["format"] != FORMAT:
                raise ValueError(f"its format is {info['format']!r}, not {FORMAT}; it is of bnlib {info['version']!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        digest = info.pop("digest")
        if digest != _digest(info, tensors):
            raise StoreError(f"{path} is damaged: what it holds is not what its digest was made of")
        for kind, shape, values in info["frozen"].values():
            if not all(isinstance(size, int) for size in shape) or not isinstance(kind, str) or not isinstance(values, str):
                raise ValueError(f"a frozen tensor of the form {[kind, shape, values]!r}")
        if unknown := [name for name in info["trainable"] if name not in tensors or name in info["frozen"]]:
            raise ValueError(f"the tensor {unknown[0]!r} learned, and is not there or frozen")
        for name in info["random"]:
            index, (kind, shape, _) = tensors[name + _PLACES], info["frozen"][name]
            values, numbers = tensors[name], math.prod(shape)
            fits = index.shape == values.shape and index.dim() == 2 and str(values.dtype) == f"torch.{kind}"
            if not fits or index.dtype != torch.int32 or index.unique().numel() != index.numel():
                raise ValueError(f"the places {name + _PLACES!r} are not those of its values")
            if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < numbers:
                raise ValueError(f"the places {name + _PLACES!r} are outside of its {numbers} weights")
    return path, info, tensors


def _buffers(info: dict, tensors: dict) -> dict[str, tuple]:
    """The forms of a file's buffers: what neither learned nor has a place."""
    others = {*info["trainable"], *info["random"], *(name + _PLACES for name in info["random"])}
    return {name: _form(tensor) for name, tensor in tensors.items() if name not in others}


def _form(tensor: torch.Tensor) -> tuple[str, list[int]]:
    """Kind of numbers, and shape, as JSON has them."""
    return str(tensor.dtype).removeprefix("torch."), list(tensor.shape)


def _bytes(tensor: torch.Tensor) -> memoryview:
    """The numbers of a tensor one after the other, whatever its memory format and device."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _values(tensor: torch.Tensor, places: torch.Tensor | None) -> str:
    """A digest of a tensor's values, but for those at `places`: 64 bits of SHA-256, hex."""
    tensor = tensor.detach().cpu()
    if places is not None:
        tensor = tensor.flatten().index_fill(0, places.cpu().long().flatten(), 0)
    return hashlib.sha256(_bytes(tensor)).hexdigest()[:16]


def _digest(info: dict, tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 (hex) of everything that a file says."""
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"\n{name} {_form(tensors[name])}\n".encode())
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()
