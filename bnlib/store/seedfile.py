"""A trained network in one small file: its seed, from which the frozen weights are drawn again, and what was trained.

The file is a safetensors file with the tensors `gamma`, `beta`, `running_mean` and `running_var`, each of all BatchNorm layers one
after the other (of other normalisation `gamma` and `beta` alone), and whatever else was trained by its name. Its metadata have,
under `bnlib`, one JSON text: the spec, the test accuracy, the checksum of the drawn weights, of a folder of pictures how many
classes it has, and a digest of all of it. The same run gives the same bytes. The digest finds damage, not malice: who edits a file
can write its digest anew. Nothing in a file is ever run.
"""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

from bnlib import __version__, freezing, models
from bnlib.spec import RunSpec
from bnlib.spec.choices import CLASSES
from bnlib.store import files, networks
from bnlib.store.files import StoreError
from bnlib.store.run import Run
from bnlib.store.tensorfile import checked, refused
from bnlib.words import shown, whole

# What a file may ask of the machine that reads it, before anything in it is believed.
HEADER = 1_000_000  # bytes; the names of a thousand layers' random weights are 100,000
_OF_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}


@dataclass(frozen=True)
class SeedFile:
    """What a seed file says, read and checked.

    classes: how many outputs the network has. accuracy: a fraction, on the test images at the end of the training.
    weights_checksum: of the network as it was drawn. tensors: what was trained, and the running statistics, by their names in
    the network, fp32.
    """

    path: Path
    spec: RunSpec
    classes: int
    accuracy: float
    weights_checksum: str
    tensors: dict[str, np.ndarray]

    def model(self) -> torch.nn.Module:
        """The network; see `load`."""
        return networks.restored(self.spec, self.classes, self.weights_checksum, self.tensors, str(self.path))


def export(run: Run, path: str | Path) -> Path:
    """Write the trained network of a stored run to the new file `path`, whole or not at all; returns the path.

    Raises StoreError if its convolutions were trained, or it began from a trained network, so that a seed is not enough; if it
    diverged; if the file is there or cannot be written.
    """
    spec, info = run.spec, run.info
    if not spec.redrawn:
        raise StoreError(f"{run.id}: {networks.unseeded(spec)}, so there is no network to export")
    if info["status"] != "finished":
        raise StoreError(f"{run.id}: its training {info['status']}, so there is no network to export")
    with refused(run.folder, "is not a run that can be exported"):
        content = _bytes(spec, run.classes, info["accuracy"], info["weights_checksum"], run.tensors)
    path = Path(path)
    try:
        path = path.expanduser()
        if path.exists():
            raise StoreError(f"{path} is there already, and is left as it is; give another name")
        files.put(path.parent, path.name, content)  # not by safetensors, whose files only their owner can read
    except (OSError, RuntimeError) as error:  # RuntimeError: ~ of a user who is not there
        raise StoreError(f"{path} cannot be written ({getattr(error, 'strerror', None) or error})") from None
    return path


def read(path: str | Path) -> SeedFile:
    """What the seed file `path` holds, without drawing its network.

    Checks the header before it reads a tensor, then the digest. Raises StoreError, one line, if the file is not there, is
    damaged, is no seed file, or does not hold what its spec says.
    """
    path = Path(path)
    with refused(path, "is not a seed file that this version of bnlib can read"):
        path = checked(path, "a seed file", HEADER)
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("bnlib")
            if text is None:
                raise StoreError(f"{path} holds tensors, but not a network as its seed: bnlib export writes such files")
            info = json.loads(text)
            if unknown := sorted(set(info["spec"]) - {field.name for field in fields(RunSpec)}):
                raise ValueError(f"its spec has the field {unknown[0]!r}; it is of bnlib {info.get('version')!r}")
            spec = RunSpec(**info["spec"])
            known = spec.classes
            if (known is None) != ("classes" in info):
                said = "does not say" if known is None else "says"
                raise ValueError(f"it {said} how many classes its dataset {shown(spec.dataset)} has")
            classes = known or whole("classes", info["classes"], *CLASSES)
            parts = _parts(spec, classes)
            slices = {name: file.get_slice(name) for name in file.keys()}
            found = {name: (part.get_dtype(), list(part.get_shape())) for name, part in slices.items()}
            due = {name: ("F32", [sum(map(math.prod, shapes.values()))]) for name, shapes in parts.items()}
            for name in {**due, **found}:
                if due.get(name) != found.get(name):
                    raise ValueError(f"the tensor {name!r} does not fit {spec.model} with trainable {spec.learned!r}")
            flat = {name: file.get_tensor(name) for name in due}
        digest, accuracy = info.pop("digest"), info["accuracy"]
        if digest != _digest(info, flat):
            raise StoreError(f"{path} is damaged: what it holds is not what its digest was made of")
        if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy {accuracy!r}")
        if odd := [name for name, tensor in flat.items() if not np.isfinite(tensor).all()]:
            raise ValueError(f"a number in {odd[0]} is not finite")
        tensors = {}
        for name, shapes in parts.items():
            ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
            for (layer, shape), piece in zip(shapes.items(), np.split(flat[name], ends[:-1]), strict=True):
                tensors[layer] = piece.reshape(shape)
        return SeedFile(path, spec, classes, accuracy, info["weights_checksum"], tensors)


def load(path: str | Path) -> tuple[RunSpec, torch.nn.Module]:
    """The spec and the trained network of the seed file `path`, on the CPU in evaluation mode.

    The frozen weights are drawn from the seed and compared with those of the training, bit for bit. Raises StoreError as `read`
    does, and if this machine draws others.
    """
    seed = read(path)
    return seed.spec, seed.model()


def sizes(spec: RunSpec, classes: int | None = None) -> tuple[int, int]:
    """Bytes of the tensors in the `state_dict` of the network of `spec`, and of its seed file, header and all; nothing is drawn.

    classes: of its images, where the spec does not say.
    """
    state = models.skeleton(spec.model, networks.outputs(spec, classes), spec.norm).state_dict()
    tensors = {name: np.zeros(shape, "<f4") for shapes in _parts(spec, classes).values() for name, shape in shapes.items()}
    file = _bytes(spec, classes, 0.1234, "0" * 64, tensors)
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values()), len(file)


def _parts(spec: RunSpec, classes: int | None) -> dict[str, dict[str, tuple[int, ...]]]:
    """For each tensor of the file those tensors of the network, and their shapes, that lie in it one after the other."""
    if not spec.redrawn:
        raise ValueError(f"such a network comes back from no seed: {networks.unseeded(spec)}")
    network, parts = networks.skeleton(spec, classes), {}
    norms = {name for name, module in network.named_modules() if freezing.norm(module)}
    for name, tensor in networks.kept(spec, network).items():
        layer, _, kind = name.rpartition(".")
        place = _OF_NORM[kind] if layer in norms else name
        parts.setdefault(place, {})[name] = tuple(tensor.shape)
    return parts


def _bytes(spec: RunSpec, classes: int | None, accuracy: float, weights_checksum: str, tensors: dict[str, np.ndarray]) -> bytes:
    """The file. Of the spec, what is not at its default: a field that is new one day hinders no older version."""
    parts = _parts(spec, classes)
    due = {name: shape for shapes in parts.values() for name, shape in shapes.items()}
    if wrong := due.items() ^ {name: tensor.shape for name, tensor in tensors.items()}.items():
        raise ValueError(f"the tensor {min(wrong)[0]!r} does not fit {spec.model} with trainable {spec.learned!r}")
    flat = {name: np.concatenate([tensors[one].ravel() for one in shapes]).astype("<f4") for name, shapes in parts.items()}
    given = {f.name: getattr(spec, f.name) for f in fields(spec) if getattr(spec, f.name) != f.default}
    info = {"version": __version__, "spec": given, "accuracy": accuracy, "weights_checksum": weights_checksum}
    if spec.classes is None:
        info["classes"] = classes
    info["digest"] = _digest(info, flat)
    return save(flat, {"bnlib": json.dumps(info)})  # one key: of several, safetensors would mix the order


def _digest(info: dict, flat: dict[str, np.ndarray]) -> str:
    """SHA-256 (hex) of everything that a file says."""
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name in sorted(flat):
        digest.update(f"\n{name} {len(flat[name])}\n".encode())
        digest.update(flat[name].astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
