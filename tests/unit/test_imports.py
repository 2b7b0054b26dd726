"""What a start of the program loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = {"matplotlib", "pandas", "scipy.optimize", "scipy.stats", "sklearn", "torch"}
"""Each costs a good part of a second, and few commands need it."""


@pytest.mark.parametrize(
    "modules",
    [
        "judge.cli.main",
        "calibration.agreement.compare, calibration.calibrators, calibration.resampling.bootstrap",
    ],
)
def test_a_start_loads_no_slow_library(modules: str) -> None:
    """Neither the command line nor the statistics load what takes long, before they need it."""
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not SLOW & set(done.stdout.split())
