"""Numbers drawn from a seed, the same bits on every machine: the initialisation of a network, after the paper's section 3."""

import hashlib
import math

import numpy as np
import torch
from torch import nn

WEIGHT_INITS = ("kaiming_normal", "kaiming_uniform", "orthogonal", "binary")
BN_INITS = ("uniform", "ones", "oneone", "signed_uniform")


def stream(*key) -> np.random.RandomState:
    """A random stream of its own for each key, such as ("weights", seed, "conv.weight").

    `RandomState` because numpy promises never to change its stream: torch's normal draw gives other bits on
    CPUs of another capability, and a seed that draws another network would make every stored run worthless.
    """
    words = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.RandomState(np.frombuffer(words, dtype="<u4"))


@torch.no_grad()
def initialise(model: nn.Module, seed: int, *, weight_init: str = "kaiming_normal", bn_init: str = "uniform") -> None:
    """Draw every convolution, linear and BatchNorm layer of `model` anew, each tensor from its own stream of the seed."""
    for kind, value, allowed in (("weight_init", weight_init, WEIGHT_INITS), ("bn_init", bn_init, BN_INITS)):
        if value not in allowed:
            raise ValueError(f"{kind} {value!r}: use one of {', '.join(allowed)}")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(_weights(tuple(module.weight.shape), weight_init, stream("weights", seed, name)))
            if module.bias is not None:  # torch's default, which the authors' code leaves as it is
                bound = 1 / math.sqrt(module.weight[0].numel())
                module.bias.copy_(_uniform(-bound, bound, module.bias.shape, stream("bias", seed, name)))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # γ = 1, β = 0, running mean 0 and variance 1
            module.weight.copy_(torch.from_numpy(gamma(seed, name, module.num_features, bn_init)))
            if bn_init == "oneone":
                module.bias.fill_(1.0)


def gamma(seed: int, layer: str, features: int, bn_init: str = "uniform") -> np.ndarray:
    """γ of the BatchNorm called `layer` at the start, (features,), fp32: to be had without drawing the network."""
    if bn_init in ("ones", "oneone"):
        return np.ones(features, np.float32)
    low = 0.0 if bn_init == "uniform" else -1.0
    return stream("gamma", seed, layer).uniform(low, 1.0, features).astype(np.float32)


def _uniform(low: float, high: float, shape, random: np.random.RandomState) -> torch.Tensor:
    return torch.from_numpy(random.uniform(low, high, tuple(shape)).astype(np.float32))


def _weights(shape: tuple[int, ...], kind: str, random: np.random.RandomState) -> torch.Tensor:
    """One weight tensor (outputs, inputs, …), fp32."""
    fan_in = math.prod(shape[1:])
    if kind == "kaiming_uniform":
        bound = math.sqrt(6 / fan_in)
        return _uniform(-bound, bound, shape, random)
    if kind == "orthogonal":
        # Rounded to 6 decimals, so that the last bits of another machine's LAPACK do not show.
        tall = random.standard_normal((max(shape[0], fan_in), min(shape[0], fan_in)))
        q, r = np.linalg.qr(tall)
        q = np.round(q * np.sign(np.diag(r)), 6)
        return torch.from_numpy((q if shape[0] > fan_in else q.T).reshape(shape).astype(np.float32))
    weights = (random.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(np.float32)
    if kind == "binary":
        weights = np.sign(weights) * np.float32(np.round(weights.std(dtype=np.float64, ddof=1), 6))
    return torch.from_numpy(weights)


def checksum(model: nn.Module) -> str:
    """SHA-256 (hex) over all parameters of a freshly drawn model: equal on two machines exactly when they drew the same."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().contiguous().cpu().numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
