"""What all tests share: an environment without the user's settings, and repeatable examples."""

from __future__ import annotations

import os
import signal

import hypothesis

for name in [name for name in os.environ if name.startswith("CODECFRAME_")]:
    if name != "CODECFRAME_DATA":  # where data sets lie on this machine
        del os.environ[name]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks: two threads only wait for each other

hypothesis.settings.register_profile("codecframe", deadline=None, derandomize=True)
hypothesis.settings.load_profile("codecframe")

# Commands that tests interrupt inherit what this process does at Ctrl-C; one that was started in
# the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
