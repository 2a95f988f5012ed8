"""Sweeps on an executor: what a worker is asked, what becomes of one that fails or is killed, and a real Dask cluster."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest
import yaml
from click.testing import CliRunner
from filelock import FileLock
from patience import PATIENCE, until

from bnlib import experiments, store, training
from bnlib.cli import main
from bnlib.report import analysis
from bnlib.report import statements as say
from bnlib.training import cluster, costs, executors, sweep, workers
from bnlib.words import Mendable


class Inline(Executor):
    """Does each task at once, in the environment `env`; a task for which `breaks` says so is one of a worker that was killed."""

    def __init__(self, env=(), breaks=lambda task, *_: False):
        self.env, self.breaks, self.tasks = dict(env), breaks, []

    def submit(self, task, /, *args):
        self.tasks.append(task.__name__)
        future = Future()
        try:
            if self.breaks(task, *args):
                raise BrokenProcessPool("A process was terminated abruptly")
            with pytest.MonkeyPatch.context() as patch:
                for name, value in self.env.items():
                    patch.setenv(name, value)
                future.set_result(task(*args))
        except Exception as error:
            future.set_exception(error)
        return future


# On any executor.


def test_each_training_is_a_task_and_says_in_a_line_how_it_ended(tiny, capsys):
    specs, executor = [tiny(epochs=1, seed=seed) for seed in range(2)], Inline()
    assert sweep.sweep(specs, executor=executor) == [] and executor.tasks == ["look", "train", "train"]
    said = capsys.readouterr().out
    for spec in specs:
        assert re.search(rf"^{re.escape(spec.id)}: {store.find(spec).accuracy:.2%} test accuracy, finished in ", said, flags=re.M)
    started = [store.find(spec).info["started"] for spec in specs]
    assert sweep.sweep(specs, executor=Inline()) == [] and [store.find(spec).info["started"] for spec in specs] == started
    assert not list(store.runs_folder().glob(".unfinished/.sweep-*"))


def test_a_worker_that_fails_or_is_killed_takes_no_other_along(tiny, monkeypatch, capsys):
    good, bad, gone = tiny(epochs=1), tiny(epochs=1, seed=1), tiny(epochs=1, seed=2)
    train = training.together.train_together

    def fails(specs, **settings):
        if bad in specs:
            raise RuntimeError("a bug\nof two lines")
        return train(specs, **settings)

    monkeypatch.setattr("bnlib.training.together.train_together", fails)
    executor = Inline(breaks=lambda task, fields, *_: task is workers.train and fields[0]["seed"] == 2)
    with pytest.raises(sweep.Failed, match="2 of 3 trainings failed"):
        sweep.sweep([bad, gone, good], executor=executor)
    said = capsys.readouterr().out.splitlines()
    assert store.find(good) and not store.find(bad) and not store.find(gone)
    assert [line for line in said if line.startswith(bad.id)][0].endswith("RuntimeError: a bug of two lines")
    assert "BrokenProcessPool" in [line for line in said if line.startswith(gone.id)][0]
    with pytest.raises(sweep.Failed, match="1 of 1 trainings failed"):  # a pool that takes no more
        sweep.sweep([gone], executor=Inline(breaks=lambda task, *_: task is workers.train))


def test_the_command_trains_the_others_says_how_many_and_ends_with_status_1(tiny, monkeypatch):
    specs = [tiny(epochs=1), tiny(epochs=1, seed=1)]
    monkeypatch.setattr(experiments, "wanted", lambda *_: specs)
    executor = Inline(breaks=lambda task, fields, *_: task is workers.train and fields[0]["seed"] == 0)
    monkeypatch.setattr(cluster, "connected", lambda address, resources: contextlib.nullcontext(executor))
    done = CliRunner().invoke(main, ["sweep", "fig2_depth", "--scheduler", "tcp://here:1", "--resources", "GPU=1"])
    assert done.exit_code == 1 and "fig2_depth, recipe paper: 1 trained, 1 left" in done.output
    assert done.output.splitlines()[-1] == "Error: 1 of 2 trainings failed; what was said is above"
    assert executor.tasks == ["look", "price", "look", "train", "train"]


def test_a_worker_leaves_what_another_process_is_at_and_is_asked_once_more_at_the_end(tiny, runs_folder, capsys):
    busy, free = tiny(epochs=1), tiny(epochs=1, seed=1)
    lock = FileLock(store.check_writable(runs_folder / ".unfinished") / f"{busy.id}.lock")
    with lock:
        assert sweep.sweep([busy, free], executor=Inline()) == [busy]
    assert capsys.readouterr().out.count(f"{busy.id}: another process is at it") == 1 and store.find(free)
    lock.acquire()
    executor = Inline(breaks=lambda task, fields, *_: task is workers.train and fields[0]["seed"] == 2 and lock.release())
    assert sweep.sweep([busy, tiny(epochs=1, seed=2)], executor=executor) == []  # free by then: its process has ended


def test_no_task_begins_when_the_time_is_over_and_none_is_given_that_the_list_prices_out(tiny, capsys):
    spec, dear = tiny(epochs=1), tiny(epochs=1, seed=1)
    with workers.here() as wanted:
        assert workers.train([spec.to_dict()], wanted, {}, end=time.time() - 1) == [
            [workers.LATE, "out of time; goes on next time"]
        ]
    executor = Inline()
    expected = {spec: sweep.Cost(1.0, 1.0), dear: sweep.Cost(4000.0, 4000.0)}
    assert sweep.sweep([dear, spec], budget=3600.0, expected=expected, executor=executor) == [dear]
    assert executor.tasks == ["look", "train"]


def test_workers_must_see_the_same_results_have_the_same_code_and_the_data(tiny, tmp_path, monkeypatch):
    specs = [tiny(epochs=1)]
    with pytest.raises(Mendable, match="its results folder .*elsewhere is not .*runs on .*set BNLIB_RUNS") as error:
        sweep.sweep(specs, executor=Inline(env={"BNLIB_RUNS": str(tmp_path / "elsewhere")}))
    assert "\n" not in str(error.value) and not (tmp_path / "elsewhere").exists()
    monkeypatch.setattr(store, "find", lambda *_: None)
    with pytest.raises(Mendable, match="CIFAR-10"):
        sweep.sweep([tiny(dataset="cifar10")], executor=Inline(), data_root=str(tmp_path / "nothing"))
    with workers.here() as wanted:
        assert workers.look(wanted)["unfit"] == ""
        other = {**wanted, "digest": "0", "bnlib": "9.9, commit abc", "host": "there"}
        assert re.search("another bnlib .* than the sweep on there .9.9, commit abc", workers.look(other)["unfit"])
        assert workers.train([specs[0].to_dict()], other, {})[0][0] == workers.FAILED  # a worker that came later
        assert "cuda" in workers.look(wanted, device="cuda")["unfit"] or workers.look(wanted, device="cuda")["device"]
    gone = Inline(breaks=lambda *_: True)
    with pytest.raises(Mendable, match="a worker cannot run what it is asked .BrokenProcessPool"):
        sweep.sweep(specs, executor=gone)


def test_replicates_train_together_where_a_worker_has_a_gpu(tiny, monkeypatch):
    given = []
    monkeypatch.setattr(executors, "check", lambda *_: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(
        workers, "train", lambda fields, *_: given.append([one["seed"] for one in fields]) or [[workers.LATE, ""]] * 2
    )
    sweep.sweep([tiny(seed=seed) for seed in range(1, 3)], executor=Inline())
    assert given == [[1, 2]]


def test_nothing_is_begun_after_ctrl_c(tiny, capsys, monkeypatch):
    left = Future()

    def interrupted(pending, **_):
        raise KeyboardInterrupt

    class Slow(Inline):
        def submit(self, task, /, *args):
            return super().submit(task, *args) if task is workers.look else left

    monkeypatch.setattr(executors, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep([tiny()], executor=Slow())
    assert left.cancelled() and "nothing else is begun" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pool_of_processes_is_an_executor(tiny, capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    specs = [tiny(epochs=1, seed=seed) for seed in range(2)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert sweep.sweep(specs, executor=pool) == []
    assert capfd.readouterr().out.count("test accuracy, finished in") == 2


# What the command says before any work.


@pytest.mark.parametrize(
    "words, message",
    [
        ("--scheduler 10.0.0.1", "scheduler '10.0.0.1': its address is needed as it prints it, such as tcp://10.0.0.1:8786"),
        ("--scheduler tcp://127.0.0.1:x", "its address is needed"),
        ("--scheduler tcp://127.0.0.1:1 --jobs 2", "--jobs 2 is for trainings here"),
        ("--resources GPU=1", "it needs --scheduler"),
        ("--scheduler tcp://127.0.0.1:1 --resources GPU", "'GPU': a name and how much of it are needed, such as GPU=1"),
        ("--scheduler tcp://127.0.0.1:1 --resources GPU=0", "'GPU=0': a name and how much"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused_in_one_line(words, message):
    done = CliRunner().invoke(main, ["sweep", "fig2_depth", *words.split()])
    assert done.exit_code in (1, 2) and message in done.output.splitlines()[-1]


def test_without_dask_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(main, ["sweep", "fig2_depth", "--scheduler", "tcp://127.0.0.1:1"])
    assert done.exit_code == 1 and done.output == "Error: sweeps on other machines need Dask: pip install distributed\n"


# The page on clusters: what it shows is what there is.

CELLS = json.loads((store.ROOT / "notebooks" / "clusters.ipynb").read_text(encoding="utf-8"))["cells"]
PROSE = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PROSE, flags=re.S)


def test_the_page_has_a_job_that_kubernetes_could_read():
    (job,) = map(yaml.safe_load, blocks("yaml"))
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    main.commands["sweep"].make_context("sweep", container["command"][2:])
    assert container["command"][:2] == ["bnlib", "sweep"] and job["spec"]["completions"] == job["spec"]["parallelism"]
    assert [one["name"] for one in container["volumeMounts"]] == [one["name"] for one in pod["volumes"]]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1} and pod["restartPolicy"] == "OnFailure"


@pytest.mark.slow
def test_the_page_asks_slurm_for_workers_of_one_gpu_and_one_thread():
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    (block,) = [block for block in blocks("python") if "SLURMCluster" in block]
    names = {}
    exec(re.sub(r"(?m)^(cluster\.adapt|print).*$", "", block), names)
    with names["cluster"] as made:
        script = made.job_script()
    assert "#SBATCH --gres=gpu:1" in script and script.count("--cpus-per-task=8") == script.count("--cpus-per-task") == 1
    assert "--nthreads 1" in script and "--resources GPU=1" in script and made.scheduler_address.startswith("tcp://")


def test_the_whole_paper_is_priced_by_machines_that_trained_and_no_gpu_is_made_up(monkeypatch):
    now, twice = ((frame := experiments.whole_cost("short", seeds))[~frame.gpu.astype(bool)] for seeds in (1, 2))
    assert now.seconds.min() > now.longest.min() > 0 and (now.known > 1).all()
    assert twice.seconds.tolist() == pytest.approx((2 * now.seconds).tolist()) and twice.longest.tolist() == now.longest.tolist()
    assert (
        "not measured" in analysis.whole_cost(now).to_html()
        and "on a GPU has not been measured" in say.whole_cost(now, "short").text
    )
    gpu = now[:1].assign(device="NVIDIA H100 80GB HBM3", gpu=True, seconds=8e5, longest=2e5)
    assert "not measured" not in analysis.whole_cost(gpu).to_html() and "55 h" in analysis.whole_cost(gpu).to_html()
    # A machine that has trained one network only, however often, says nothing of how it scales.
    one = [run for run in store.all_runs() if run.spec.model == "resnet14" and run.info["device"] == now.device.iloc[0]]
    assert len({costs.epoch_work(run.spec) for run in one}) > 1
    monkeypatch.setattr(store, "all_runs", lambda: one)
    assert not len(experiments.whole_cost())
    monkeypatch.setattr("bnlib.store.runs.all_runs", list)
    monkeypatch.setattr(store, "all_runs", list)
    nothing = experiments.whole_cost()
    assert not len(nothing) and "is not known" in say.whole_cost(nothing, "paper").text
    assert "not measured" in analysis.whole_cost(nothing).to_html()


# A real cluster: a scheduler and three workers.


class Cluster:
    """A scheduler and three workers, each a process of its own with its log, on one results folder."""

    def __init__(self, folder):
        self.folder, self.runs, self.processes, self.workers = folder, folder / "runs", [], {}
        file = folder / "scheduler.json"
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file, "--no-dashboard")
        self.wait(file.exists, "the scheduler")
        self.address = re.search(r'"(tcp://[^"]+)"', file.read_text())[1]
        for name in ("one", "two", "three"):
            words = (
                "--nthreads",
                "1",
                "--no-nanny",
                "--resources",
                "GPU=1",
                "--name",
                name,
                "--no-dashboard",
                "--memory-limit",
                "0",
            )
            self.workers[name] = self.start("worker", self.address, *words, "--local-directory", folder / name)

    def start(self, kind, *words):
        log = self.folder / f"{words[words.index('--name') + 1] if '--name' in words else kind}.log"
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, words)]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "BNLIB_RUNS": str(self.runs)}
        with log.open("w") as file:
            self.processes.append(subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.STDOUT))
        return self.processes[-1]

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def wait(self, there, what):
        def come():
            dead = [process.args for process in self.processes if process.poll() not in (None, -signal.SIGKILL)]
            assert not dead, f"no {what}: {dead} {logs()}"
            return there()

        logs = lambda: [self.log(name) for name in self.workers]  # noqa: E731
        until(come, lambda: f"no {what}: {logs()}", every=0.02)

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    pytest.importorskip("distributed", reason="pip install distributed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def shared(dask, monkeypatch):
    """The cluster, and its results folder as this process's own."""
    monkeypatch.setenv("BNLIB_RUNS", str(dask.runs))
    return dask


@pytest.mark.slow
def test_a_run_of_a_worker_that_is_killed_goes_on_elsewhere_and_each_is_stored_once(shared, tiny, capsys):
    long = tiny(model="resnet14", epochs=12, train_images=320)
    specs, left = [long, *(tiny(epochs=2, seed=seed) for seed in range(3))], []

    def train():
        with cluster.connected(shared.address, {"GPU": 1.0}) as executor:
            shared.wait(lambda: len(executor._workers()) == 3, "worker")
            left.append(sweep.sweep(specs, executor=executor))

    thread = threading.Thread(target=train)
    thread.start()
    at_it = lambda: [name for name in shared.workers if "measuring resnet14" in shared.log(name)]  # noqa: E731
    try:
        shared.wait(lambda: (shared.runs / ".unfinished" / f"{long.id}.pt").exists(), "checkpoint")
        (first,) = at_it()
        shared.workers[first].kill()
    finally:
        thread.join(PATIENCE)  # else what it prints is another test's
    assert left == [[]]
    (second,) = set(at_it()) - {first}
    went_on = re.search(r"going on after epoch (\d+) of 12", shared.log(second))
    assert went_on and 1 <= int(went_on[1]) < 12
    run = store.find(long)
    assert run.history.epoch.tolist() == list(range(1, 13)) and run.history.test_accuracy.iloc[-1] == run.accuracy
    said = capsys.readouterr().out
    for spec in specs:
        assert len(re.findall(rf"^{re.escape(spec.id)}: [\d.]+% test accuracy, finished", said, flags=re.M)) == 1
    assert sorted(path.name for path in shared.runs.iterdir() if path.name != ".unfinished") == sorted(spec.id for spec in specs)
    assert not list(shared.runs.glob(".unfinished/*.pt")) and not list(shared.runs.glob(".unfinished/.sweep-*"))


@pytest.mark.slow
def test_the_command_sweeps_on_the_cluster(shared, tiny, monkeypatch):
    specs = [tiny(epochs=1, seed=10), tiny(epochs=1, seed=11, pretrained="digits")]
    monkeypatch.setattr(experiments, "wanted", lambda *_: specs)
    words = ["sweep", "fig2_depth", "--scheduler", shared.address]
    listed = CliRunner().invoke(main, [*words, "--list"])
    assert listed.exit_code == 0 and "missing, about " in listed.output and not store.find(specs[0])
    done = CliRunner().invoke(main, [*words, "--resources", "GPU=1", "--budget", "10m"])
    assert done.exit_code == 0, done.output
    assert "2 trained, 0 left" in done.output and done.output.count("test accuracy, finished") == 2
    assert store.find(specs[1].parent), "a worker trains first what a training begins from"


@pytest.mark.slow
def test_what_the_workers_lack_is_said_before_any_work(dask, runs_folder, tiny, monkeypatch):
    monkeypatch.setattr(experiments, "wanted", lambda *_: [tiny(epochs=1)])
    words = ["sweep", "fig2_depth", "--scheduler", dask.address]
    for more, message in (
        ([], "its results folder .* is not .*set BNLIB_RUNS"),
        (["--resources", "TPU=1"], "no worker of tcp.* has what --resources asks for .they have GPU=1.: dask worker"),
    ):
        done = CliRunner().invoke(main, [*words, *more])
        assert done.exit_code == 1 and re.search(message, done.output.splitlines()[-1]), done.output
    assert not list(runs_folder.glob("*/run.json"))


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_said_so_within_seconds(dask):
    done = CliRunner().invoke(main, ["sweep", "fig2_depth", "--scheduler", "tcp://127.0.0.1:1"])
    assert done.exit_code == 1 and cluster.TIMEOUT < 10
    assert done.output == f"Error: no Dask scheduler answers at tcp://127.0.0.1:1 within {cluster.TIMEOUT} s\n"
