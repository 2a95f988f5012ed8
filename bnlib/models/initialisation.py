"""A network at its random initialisation: the numbers of `bnlib.seeds` put into its layers."""

import hashlib

import torch
from torch import nn

from bnlib import seeds
from bnlib.spec.choices import BN_INITS, SEEDS, WEIGHT_INITS
from bnlib.words import one_of, whole

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)


@torch.no_grad()
def initialise(model: nn.Module, seed: int, *, weight_init: str = "kaiming_normal", bn_init: str = "uniform") -> None:
    """Draw every convolution, linear and normalisation layer of `model` anew, each tensor from its own stream of the seed.

    γ and β of GroupNorm, LayerNorm and InstanceNorm are those that BatchNorm would have in their place. Of an attention, queries,
    keys and values are a linear layer like the others; of a vision transformer, the class token and what is added for the place of
    a patch are normal with the standard deviation 0.02, which torchvision gives the latter.

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
        elif isinstance(module, nn.MultiheadAttention):
            own, shape = f"{name}.in_proj", tuple(module.in_proj_weight.shape)
            module.in_proj_weight.copy_(torch.from_numpy(seeds.weights(seed, own, shape, weight_init)))
            module.in_proj_bias.copy_(torch.from_numpy(seeds.bias(seed, own, shape, weight_init)))
        elif isinstance(module, NORMS):
            module.reset_parameters()  # γ = 1, β = 0; of BatchNorm, running mean 0 and variance 1
            module.weight.copy_(torch.from_numpy(seeds.gamma(seed, name, len(module.weight), bn_init)))
            if bn_init == "oneone":
                module.bias.fill_(1.0)
    for name, parameter in model.named_parameters():
        if name in ("class_token", "encoder.pos_embedding"):
            parameter.copy_(torch.from_numpy(seeds.places(seed, name, tuple(parameter.shape))))


def checksum(model: nn.Module) -> str:
    """SHA-256 (hex) over all parameters of a freshly drawn model: equal on two machines exactly when they drew the same."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().contiguous().cpu().numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
