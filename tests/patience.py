"""Waiting for what must come. What is slow is not wrong: a test fails here only for what never comes."""

import time

PATIENCE = 600  # seconds; what an idle machine takes seconds for takes a busy one a minute


def until(ready, says=lambda: "it never came", every=0.05):
    """What `ready()` gives, as soon as that is something; `says()` is what the test fails with, if it never is."""
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < end, says()
        time.sleep(every)
    return found
