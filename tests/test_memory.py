"""Memory that a step frees is kept for the next: told by the page faults that it costs to get it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Three blocks of 24 MB at a time, over and over, as a step's activations come and go.
FAULTS = """
import resource, sys
import numpy as np
from sslcore.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    raise SystemExit("no glibc")
def step():
    blocks = [np.ones(3_000_000) for _ in range(3)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_is_kept() -> None:
    def faults(how: str) -> int:
        return int(
            subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout
        )

    assert faults("keep") < 100
    assert faults("leave") > 1000, "without it this test would show nothing"
