"""Writing a run: atomically, once, and with digests of its files."""

import json
import os
import re
import secrets
import shutil
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import save

from bnlib.spec import RunSpec
from bnlib.store import files, places
from bnlib.store.files import StoreError
from bnlib.store.form import FORMAT
from bnlib.store.networks import kept
from bnlib.store.run import Run


def add_probes(run: Run, probes: dict) -> None:
    """Store what was found in a run's network, beside what is there. Raises StoreError if that would change a probe.

    Killed at any moment, also by a power cut, it leaves a run that is right. First the digests say which probes.json there is and
    which comes next: either is right from then on. Then the file is replaced. Then the digests say that it is the one.
    """
    run.__dict__.pop("probes", None)  # another process may have asked meanwhile
    known, probes = run.probes or {}, _short(probes)
    if any(probes.get(name, known[name]) != known[name] for name in known):
        raise StoreError(f"{run.id} has its probes already; they are written once")
    run.__dict__.pop("probes", None)
    before, after = files.stored(run.folder, "probes.json"), files.dump(known | probes)
    try:
        now = files.sums(run.folder)[0] | ({"probes.json": files.digest(before)} if before is not None else {})
        new = {"probes.json": files.digest(after)}
        files.put_sums(run.folder, now, new)
        files.put(run.folder, "probes.json", after)
        files.put_sums(run.folder, now | new)
    except OSError as error:
        raise StoreError(f"{run.id}: its probes cannot be written to {run.folder} ({error.strerror or error})") from None


def _short(probes: dict) -> dict:
    """Probes as they are stored: plain JSON values of six decimals."""
    return json.loads(json.dumps(probes), parse_float=lambda number: round(float(number), 6))


def write(spec: RunSpec, model, history: list[dict], info: dict, folder: Path, probes: dict | None = None) -> Run:
    """Store a finished run in `folder`, atomically and once: it appears whole or not at all, with the mode that the umask says.

    probes: of `bnlib.engine.probe`. Keeps γ, β, the running statistics and what else was trained; not the
    convolutions of `all` and `all-bn`. What a killed process left of the same run is removed: whoever calls this holds its lock.
    Raises StoreError if the folder cannot be written, or the run's place is taken.
    """
    target = places.check_writable(folder) / spec.id
    if os.path.lexists(target):
        raise StoreError(places.in_the_way(target) or f"{target} is there already; a run is written once")
    for left in folder.iterdir():
        if (match := re.fullmatch(files.TEMPORARY, left.name)) and match[1] == spec.id:
            shutil.rmtree(left, ignore_errors=True)
    state = {name: tensor.detach().float().cpu().contiguous().numpy() for name, tensor in kept(spec, model).items()}
    part = folder / f".{spec.id}-{secrets.token_hex(4)}"
    try:
        part.mkdir()
        contents = {
            "bn.safetensors": save(state),
            "history.csv": pd.DataFrame(history).to_csv(index=False, float_format="%.6g", lineterminator="\n").encode(),
            "run.json": files.dump({"format": FORMAT, "id": spec.id, "spec": spec.to_dict(), **info}, indent=1),
        }
        if probes is not None:
            contents["probes.json"] = files.dump(_short(probes))
        for name, data in contents.items():
            files.put(part, name, data)
        files.put_sums(part, {name: files.digest(data) for name, data in contents.items()})
        os.replace(part, target)
        files.settle(folder)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, OSError | SafetensorError):
            raise
        raise StoreError(f"the run could not be written to {target} ({getattr(error, 'strerror', None) or error})") from None
    return Run(target)
