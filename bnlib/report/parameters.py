"""The parameters of a notebook: that it has each that was given, and can use its value; before anything is read or trained."""

import ast
import json
from numbers import Real

from bnlib import experiments, store
from bnlib.spec import architecture, canonical, check_depth
from bnlib.spec.architecture import IMAGENET_SEGMENTS, KERAS_DEPTHS, VGG_SEGMENTS
from bnlib.spec.choices import EPOCHS, REPLICATES, SEEDS
from bnlib.words import nearest, one_of, plain, shown, whole


def check(notebook: str, names: dict, **allowed) -> None:
    """Raise ValueError, one line that names it, for a parameter that `notebook` has not, or whose value it cannot use.

    notebook: its name, such as `fig2_depth`. names: its `globals()`, behind papermill's cell of what was given. allowed: the
    values of parameters, where only the notebook knows them. A parameter at its default asks for nothing.
    """
    known = declared(notebook)
    for name in _given(names):
        if name not in known:
            raise ValueError(f"parameter {name!r}: {notebook}.ipynb has {', '.join(known)}{nearest(name, known)}")
    for name, default in known.items():
        value = plain(names.get(name, default))
        if type(value) is type(default) and value == default:
            continue
        if name in allowed:
            one_of(name, value, tuple(allowed[name]))
        else:
            _CHECKS[name](notebook, value)


def declared(notebook: str) -> dict:
    """The parameters of `notebook` and their defaults, in order, as its own cell has them."""
    cells = json.loads((store.ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    own = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return {line.target.id: ast.literal_eval(line.value) for line in ast.parse("".join(own["source"])).body}


def _given(names: dict) -> list[str]:
    """The parameters that were given: papermill warns of one that the notebook has not, and sets it all the same.

    In a kernel they are what the last cell of papermill's sets, not every name: where cells are run again, or a reader adds some,
    there are others. Outside of one there is nothing yet but parameters and modules.
    """
    if "In" not in names:
        return [name for name, value in names.items() if isinstance(value, str | Real | list | dict | None) and name[0] != "_"]
    cells = [text for text in names["In"] if text.startswith("# Parameters\n")]
    lines = ast.parse(cells[-1]).body if cells else []
    return [target.id for line in lines if isinstance(line, ast.Assign) for target in line.targets if isinstance(target, ast.Name)]


def _depth(notebook: str, depth) -> None:
    if notebook not in _LISTED:
        check_depth(depth)
        return
    whose, depths = _LISTED[notebook]
    if isinstance(depth, bool) or not isinstance(depth, int) or depth not in depths:
        near = f"; nearest: {min(depths, key=lambda one: abs(one - depth))}" if isinstance(depth, Real) else ""
        raise ValueError(f"depth {shown(depth)}: {whose} is needed, one of {', '.join(map(str, depths))}{near}")


_LISTED = {  # the depths of networks that do not come at every one
    "ablation_vgg": ("a VGG's", tuple(VGG_SEGMENTS)),
    "fig2_imagenet": ("that of an ImageNet ResNet", tuple(IMAGENET_SEGMENTS)),
    "blog_keras": ("that of a Keras ResNet", KERAS_DEPTHS),
}


def _depths(_notebook: str, depths) -> None:
    _list("depths", depths, "[14, 32]")
    for depth in depths:
        try:
            check_depth(depth)
        except ValueError as error:
            raise ValueError(f"depths {shown(depths)}: {error}") from None


def _numbers(notebook: str, numbers) -> None:
    from bnlib.report import claims, questions  # which import all that a claim looks at

    _list("numbers", numbers, "[1, 8]")
    for number in numbers:
        whole("numbers", number, 1, len(questions.LEARNED if notebook == "learned" else claims.CLAIMS))


def _list(name: str, values, such_as: str) -> None:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{name} {shown(values)}: a list is needed, such as {such_as}; for papermill -y '{name}: {such_as}'")


def _width(_notebook: str, width) -> None:
    whole("width", width, 1, 1000)
    try:
        architecture(f"wrn14-{width}")
    except ValueError as error:
        raise ValueError(f"width {width}: {error}") from None


def _trainable(notebook: str, trainable) -> None:
    if notebook not in experiments.EXPERIMENTS:
        canonical(trainable)
        return
    sets = experiments.EXPERIMENTS[notebook].variants
    try:
        known = canonical(trainable) in sets
    except ValueError:
        known = False
    if not known:
        one_of("trainable", trainable, tuple(sets))


def _model(notebook: str, model) -> None:
    architecture(model)
    if notebook in experiments.EXPERIMENTS and not experiments.EXPERIMENTS[notebook].takes(model):
        networks = "wrnN-W of W below 1" if experiments.EXPERIMENTS[notebook].along == "narrow" else "wrn14-W"
        raise ValueError(f"model {shown(model)}: {notebook} has a place for resnetN and {networks}")


def _recipe(notebook: str, recipe) -> None:
    if notebook == "clusters":  # what a test of seconds would cost says nothing
        one_of("recipe", recipe, experiments.experiment("fig2_depth").recipes)
    experiments.EXPERIMENTS.get(notebook, experiments.EXPERIMENTS["fig2_depth"]).check_recipe(recipe, "auto")


def _threshold(_notebook: str, threshold) -> None:
    from bnlib.report.explorer.content import STOPS

    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not STOPS[0] <= threshold <= STOPS[-1]:
        raise ValueError(f"threshold {shown(threshold)}: a number from {STOPS[0]:g} to {STOPS[-1]:g} is needed")


_CHECKS = {
    "depth": _depth,
    "depths": _depths,
    "epochs": lambda _, value: whole("epochs", value, *EPOCHS),
    "model": _model,
    "numbers": _numbers,
    "recipe": _recipe,
    "seed": lambda _, value: whole("seed", value, *SEEDS),
    "seeds": lambda _, value: whole("seeds", value, *REPLICATES),
    "threshold": _threshold,
    "trainable": _trainable,
    "width": _width,
}
