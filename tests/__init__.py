"""Tests. Where Python is told to keep no bytecode, those that tests start keep theirs in a folder of pytest's own.

They are dozens of processes, and each would compile torch and the rest anew: seconds each.
"""

import os
import sys
from pathlib import Path

if "pytest" in sys.modules and sys.dont_write_bytecode and sys.pycache_prefix is None:  # not in what tests start
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
