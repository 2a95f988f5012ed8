"""Writing a run: atomically, and once."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import save_file

from bnlib.spec import RunSpec
from bnlib.store.networks import kept
from bnlib.store.runs import Run, StoreError, check_writable


def add_probes(run: Run, probes: dict) -> None:
    """Store what was found in a run's network, beside what is there. Raises StoreError if that would change a probe."""
    run.__dict__.pop("probes", None)  # another process may have asked meanwhile
    known, probes = run.probes or {}, _short(probes)
    if any(probes.get(name, known[name]) != known[name] for name in known):
        raise StoreError(f"{run.id} has its probes already; they are written once")
    _write_probes(run.folder, known | probes)
    run.__dict__.pop("probes")


def _short(probes: dict) -> dict:
    """Probes as they are stored: plain JSON values of six decimals."""
    return json.loads(json.dumps(probes), parse_float=lambda number: round(float(number), 6))


def _write_probes(folder: Path, probes: dict) -> None:
    part = folder / "probes.json.part"
    part.write_text(json.dumps(_short(probes)) + "\n")
    os.replace(part, folder / "probes.json")


def write(spec: RunSpec, model, history: list[dict], info: dict, folder: Path, probes: dict | None = None) -> Run:
    """Store a finished run in `folder`, atomically and once: it appears whole or not at all.

    probes: of `bnlib.engine.probe`. Keeps γ, β, the running statistics and what else was trained; not the
    convolutions of `all` and `all-bn`.
    Raises StoreError if the folder cannot be written.
    """
    target = check_writable(folder) / spec.id
    state = {name: tensor.detach().float().cpu().contiguous().numpy() for name, tensor in kept(spec, model).items()}
    part = Path(tempfile.mkdtemp(prefix=f".{spec.id}-", dir=target.parent))
    try:
        save_file(state, part / "bn.safetensors")
        pd.DataFrame(history).to_csv(part / "history.csv", index=False, float_format="%.6g")
        document = {"id": spec.id, "spec": spec.to_dict(), **info}
        (part / "run.json").write_text(json.dumps(document, indent=1) + "\n")
        if probes is not None:
            _write_probes(part, probes)
        part.chmod(0o755)
        os.replace(part, target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, OSError | SafetensorError):
            raise
        if (target / "run.json").exists():
            raise StoreError(f"{target} is there already; a run is written once") from None
        raise StoreError(f"the run could not be written to {target} ({error})") from None
    return Run(target)
