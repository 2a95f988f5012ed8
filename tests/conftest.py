"""Fixtures: a store of its own for every test, a training of seconds, CIFAR-10 where it is there, a browser where one is."""

import contextlib
import shutil

import pytest

from bnlib import RunSpec, data


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    """New runs go to an empty folder of the test's own."""
    monkeypatch.setenv("BNLIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def tiny():
    """Specs that train in a second or two, on real digits."""

    def make(**fields):
        defaults = dict(model="resnet8", recipe="smoke", dataset="digits", precision="fp32", train_images=160, test_images=100)
        return RunSpec(**{**defaults, "batch_size": 64, **fields})

    return make


@pytest.fixture(scope="session")
def cifar10():
    """CIFAR-10, or a skip that says how to get it."""
    try:
        return data.load("cifar10")
    except data.DataMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def photographs():
    """A folder of 300 real photographs, 10 classes of ImageNet, or a skip that says where it is looked for."""
    folder = data.folder() / "imagenette-sample"
    if not (folder / "train").is_dir():
        pytest.skip(f"no photographs in {folder}: 20 to train and 10 to test of each class of Imagenette, train/ and val/")
    return folder


def pytest_collection_modifyitems(items):
    """What Chromium does not answer in a minute is asked once more, of a new one: now and then one hangs, on an empty page even."""
    hangs = pytest.mark.flaky(reruns=1, only_rerun=["TimeoutException", "ReadTimeoutError"])
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker(hangs)


@pytest.fixture(scope="session")
def browsers(tmp_path_factory):
    """Starts Chromium without a window, driven by selenium, 1300 × 1000; or a skip that says how to get it."""
    from selenium import webdriver

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no browser here: sudo apt-get install chromium-driver, or on a Mac brew install --cask chromium chromedriver")
    windows = []

    def start():
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        # A container's /dev/shm is often too small for Chromium.
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking"):
            options.add_argument(f"--{flag}")
        options.add_argument("--window-size=1300,1000")
        options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        windows.append(webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)))
        windows[-1].set_page_load_timeout(60)
        return windows[-1]

    yield lambda new=False: start() if new or not windows else windows[-1]
    for window in windows:
        with contextlib.suppress(Exception):  # one that hangs does not end, either
            window.quit()


@pytest.fixture
def browser(browsers):
    """Chromium as if new: an empty page, its own size, nothing logged; another one, if that of the test before does not answer.

    `get_log("browser")` has what a page says, `get_log("performance")` what it asks for.
    """

    def emptied(window):
        window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        window.get("about:blank")
        for log in ("browser", "performance"):
            window.get_log(log)
        return window

    try:
        return emptied(browsers())
    except Exception:  # whatever a hanging or a dead browser ends in
        return emptied(browsers(new=True))
