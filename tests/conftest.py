"""What all tests share: an environment without the user's settings, and repeatable examples."""

from __future__ import annotations

import os

import hypothesis

for name in [name for name in os.environ if name.startswith("CODECFRAME_")]:
    if name != "CODECFRAME_DATA":  # where data sets lie on this machine
        del os.environ[name]

hypothesis.settings.register_profile("codecframe", deadline=None, derandomize=True)
hypothesis.settings.load_profile("codecframe")
