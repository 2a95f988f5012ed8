"""A network at its random initialisation: the numbers of `bnlib.seeds` put into its layers."""

import hashlib

import torch
from torch import nn

from bnlib import seeds
from bnlib.spec.choices import BN_INITS, SEEDS, WEIGHT_INITS
from bnlib.words import one_of, whole


@torch.no_grad()
def initialise(model: nn.Module, seed: int, *, weight_init: str = "kaiming_normal", bn_init: str = "uniform") -> None:
    """Draw every convolution, linear and BatchNorm layer of `model` anew, each tensor from its own stream of the seed.

    Raises ValueError for a seed that is none, or an initialiser that does not exist.
    """
    seed = whole("seed", seed, *SEEDS)
    one_of("weight_init", weight_init, WEIGHT_INITS)
    one_of("bn_init", bn_init, BN_INITS)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            shape = tuple(module.weight.shape)
            module.weight.copy_(torch.from_numpy(seeds.weights(seed, name, shape, weight_init)))
            if module.bias is not None:  # torch's default, which the authors' code leaves as it is; or Keras's
                module.bias.copy_(torch.from_numpy(seeds.bias(seed, name, shape, weight_init)))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # γ = 1, β = 0, running mean 0 and variance 1
            module.weight.copy_(torch.from_numpy(seeds.gamma(seed, name, module.num_features, bn_init)))
            if bn_init == "oneone":
                module.bias.fill_(1.0)


def checksum(model: nn.Module) -> str:
    """SHA-256 (hex) over all parameters of a freshly drawn model: equal on two machines exactly when they drew the same."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().contiguous().cpu().numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
