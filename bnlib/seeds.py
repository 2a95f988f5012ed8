"""What a seed draws, the same bits on every machine: random streams, and a network's first numbers. Paper, section 3."""

import hashlib
import math

import numpy as np


def stream(*key) -> np.random.RandomState:
    """A random stream of its own for each key, such as ("weights", seed, "conv.weight").

    `RandomState` because numpy promises never to change its stream: torch's normal draw gives other bits on
    CPUs of another capability, and a seed that draws another network would make every stored run worthless.
    """
    words = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.RandomState(np.frombuffer(words, dtype="<u4"))


def weights(seed: int, layer: str, shape: tuple[int, ...], kind: str = "kaiming_normal") -> np.ndarray:
    """The weights of the convolution or linear layer called `layer` at the start: (outputs, inputs, …), fp32.

    kind: one of WEIGHT_INITS, see `bnlib.build`.
    """
    random = stream("weights", seed, layer)
    fan_in = math.prod(shape[1:])
    if kind == "kaiming_uniform":
        bound = math.sqrt(6 / fan_in)
        return random.uniform(-bound, bound, shape).astype(np.float32)
    if kind == "glorot_uniform":
        bound = math.sqrt(6 / (fan_in + shape[0] * math.prod(shape[2:])))
        return random.uniform(-bound, bound, shape).astype(np.float32)
    if kind == "orthogonal":
        # Rounded to 6 decimals, so that the last bits of another machine's LAPACK do not show.
        tall = random.standard_normal((max(shape[0], fan_in), min(shape[0], fan_in)))
        q, r = np.linalg.qr(tall)
        q = np.round(q * np.sign(np.diag(r)), 6)
        return (q if shape[0] > fan_in else q.T).reshape(shape).astype(np.float32)
    drawn = (random.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(np.float32)
    if kind == "binary":
        drawn = np.sign(drawn) * np.float32(np.round(drawn.std(dtype=np.float64, ddof=1), 6))
    return drawn


def bias(seed: int, layer: str, shape: tuple[int, ...], kind: str = "kaiming_normal") -> np.ndarray:
    """The bias of the layer called `layer`, whose weights have this shape, at the start: (outputs,), fp32.

    kind: as for `weights`. Zeros with `glorot_uniform`, which is Keras's default as these are; else torch's default.
    """
    if kind == "glorot_uniform":
        return np.zeros(shape[0], np.float32)
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return stream("bias", seed, layer).uniform(-bound, bound, shape[:1]).astype(np.float32)


def places(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a vision transformer adds to its patches, by their places, at the start: normal of standard deviation 0.02, fp32."""
    return (0.02 * stream("places", seed, name).standard_normal(shape)).astype(np.float32)


def gamma(seed: int, layer: str, features: int, bn_init: str = "uniform") -> np.ndarray:
    """γ of the BatchNorm called `layer` at the start, (features,), fp32: to be had without drawing the network."""
    if bn_init in ("ones", "oneone"):
        return np.ones(features, np.float32)
    if bn_init == "he_normal":
        # Keras's, of a vector as if it were a layer of so many inputs: a normal draw cut off at two standard deviations, by drawing
        # again, and widened so that what is left has the variance 2 / features.
        random = stream("gamma", seed, layer)
        drawn = random.standard_normal(features)
        while (off := np.abs(drawn) > 2).any():
            drawn[off] = random.standard_normal(off.sum())
        return (drawn * (math.sqrt(2 / features) / 0.87962566103423978)).astype(np.float32)
    low = 0.0 if bn_init == "uniform" else -1.0
    return stream("gamma", seed, layer).uniform(low, 1.0, features).astype(np.float32)
