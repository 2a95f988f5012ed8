"""The network behind a stored run: what is kept of it, and how it comes back from its seed."""

from collections.abc import Callable

import torch

from bnlib import freezing, models
from bnlib.spec import RunSpec
from bnlib.store import places, pretrained
from bnlib.store.files import StoreError
from bnlib.store.run import Run


def draw(spec: RunSpec, classes: int | None = None) -> torch.nn.Module:
    """The network of `spec` at its initialisation, nothing frozen. classes: as for `skeleton`."""
    classes = outputs(spec, classes)
    inits = {"weight_init": spec.weight_init, "bn_init": spec.bn_init}
    return models.draw(spec.model, spec.seed, **inits, classes=classes, norm=spec.norm)


def skeleton(spec: RunSpec, classes: int | None = None) -> torch.nn.Module:
    """The network of `spec` without numbers, frozen as in its training: names and shapes; nothing is drawn.

    classes: how many outputs it has; by default as many as the data set of `spec` has classes. Raises ValueError if it is not
    given, and the data set is a folder of pictures, which alone knows.
    """
    return freezing.freeze(models.skeleton(spec.model, outputs(spec, classes), spec.norm), spec.learned, spec.seed)


def layout(spec: RunSpec) -> torch.memory_format:
    """How the network of `spec` lies in memory: channels last with BatchNorm; first with others, which take half the time so."""
    return torch.channels_last if spec.kind == "bn" else torch.contiguous_format


def outputs(spec: RunSpec, classes: int | None = None) -> int:
    """How many outputs the network of `spec` has. classes, raises: see `skeleton`."""
    found = classes or spec.classes
    if found is None:
        raise ValueError(f"{spec.dataset}: how many classes it has must be given; a stored run of it says so, `Run.classes`")
    return found


def drawn_alike(run: Run, model: torch.nn.Module) -> bool:
    """Whether `model`, just drawn, has the weights that the training of `run` began with, bit for bit."""
    return models.checksum(model) == run.info["weights_checksum"]


def unseeded(spec: RunSpec) -> str:
    """Why the trained network of `spec` does not come back from a seed and what is stored, in a few words; empty if it does."""
    if spec.features_learn:
        return "its convolutions were trained and are not stored"
    return f"it began from a network trained on {spec.pretrained}, which no seed draws" if spec.pretrained else ""


def restored(
    spec: RunSpec,
    classes: int,
    weights_checksum: str,
    tensors: dict,
    whose: str,
    begin: Callable[[torch.nn.Module], None] = lambda model: None,
) -> torch.nn.Module:
    """The network of `spec` drawn again, frozen as in its training, `tensors` put in; on the CPU, in evaluation mode.

    begin: what is done to the drawn network before it is frozen. Raises StoreError, which names `whose`, if the seed draws other
    weights here than `weights_checksum` is of.
    """
    model = draw(spec, classes)
    if models.checksum(model) != weights_checksum:
        raise StoreError(f"{whose}: seed {spec.seed} draws other weights on this machine than the training began with")
    begin(model)
    freezing.freeze(model, spec.learned, spec.seed)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, strict=False)
    return model.to(memory_format=layout(spec)).eval()


def trained(run: Run) -> torch.nn.Module:
    """See `Run.model`."""
    if run.spec.features_learn:
        again = "bnlib.train_together([run.spec], keep=True) trains it again and keeps the whole network"
        raise StoreError(f"{run.id}: {unseeded(run.spec)}; {again}")
    if wrong := misfit(run, skeleton(run.spec, run.classes)):
        raise StoreError(f"{run.id}: {wrong}")
    begin = {"begin": lambda model: began(run, model)} if run.spec.pretrained else {}
    return restored(run.spec, run.classes, run.info["weights_checksum"], run.tensors, run.id, **begin)


def begins(run: Run, model: torch.nn.Module) -> bool:
    """Make of `model`, just drawn, what the parent's network here says, see `pretrained.begin`; whether `run` began from that.

    It did not if the parent was trained again: on another machine such a network has other last bits, and in the end other weights.
    """
    return pretrained.begin(run.spec, model, run.folder.parent, places.runs_folder()) == run.info["began"]


def began(run: Run, model: torch.nn.Module) -> None:
    """As `begins`; raises StoreError if the parent's network here is another one than it began from."""
    if not begins(run, model):
        raise StoreError(f"{run.id}: the network of {run.spec.parent.id} that is here is not the one that it began from")


def kept(spec: RunSpec, model) -> dict[str, torch.Tensor]:
    """What a run stores of its network after `freeze`: γ, β, running statistics, and, unless `features` learn, what else does."""
    keep = {name for name, p in model.named_parameters() if p.requires_grad and not spec.features_learn}
    norms = {name for name, module in model.named_modules() if freezing.norm(module)}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in keep or (name.rpartition(".")[0] in norms and not name.endswith("num_batches_tracked"))
    }


def misfit(run: Run, model) -> str:
    """In words, the first tensor that bn.safetensors lacks, or has and should not, or in another shape; empty if none."""
    due = {name: tuple(tensor.shape) for name, tensor in kept(run.spec, model).items()}
    found = {name: tensor.shape for name, tensor in run.tensors.items()}
    wrong = [name for name in {**due, **found} if due.get(name) != found.get(name)]
    return f"bn.safetensors does not fit the network: {wrong[0]}" if wrong else ""
