"""Memory that is freed goes back to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCATTERED = """
import ctypes
from pathlib import Path
from indexer.system.malloc import give_back_freed_memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

before = resident()
blocks = [ctypes.create_string_buffer(b"x" * 60_000, 60_000) for _ in range(2000)]
full = resident()
del blocks[1:1900], blocks[:-1]
scattered = resident()
give_back_freed_memory()
print(before, full, scattered, resident())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux how much memory there is")
def test_what_is_freed_below_what_is_used_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCATTERED], check=True, capture_output=True, text=True)
    before, full, scattered, after = map(int, done.stdout.split())
    assert full - before > 80_000, "kB"
    assert scattered - before > 80_000, "the block that is left is the last one, above all others"
    assert after - before < 20_000


SPARSE = """
import numpy as np
from tests.memory import peak_kb
from indexer.system.sparse_memory import sparse_zeros

zeros = sparse_zeros((4, 1 << 22), np.uint16)
before = peak_kb()
zeros[:, :: 1 << 20] = 7
print(peak_kb() - before, zeros.sum())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux how much memory there is")
def test_zeros_take_memory_where_something_is_written() -> None:
    done = subprocess.run([sys.executable, "-c", SPARSE], check=True, capture_output=True, text=True, cwd=ROOT)
    taken, total = map(int, done.stdout.split())
    assert total == 4 * 4 * 7
    assert taken < 2_000, "kB; in large pages each of the 16 would take 2 MB"
