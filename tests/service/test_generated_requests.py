"""Requests that schemathesis generates from openapi.yaml, sent to the live service: every check, no failure.

The run here is bounded; docs/api.md has the command and the counts of a long one.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from tests.conftest import LAYERS
from tests.service.listening import running

HERE = Path(__file__).parent
FEWEST = 1000


@pytest.fixture(scope="module")
def url(small_index: Path) -> Iterator[str]:
    """Where a server in a thread of this process answers."""
    with running(Settings(directory=small_index)) as ((host, port), _):
        yield f"http://{host}:{port}"


def test_generated_requests_find_nothing(url: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
        "SCHEMATHESIS_INDEX": "small",
        "SCHEMATHESIS_LAYERS": ",".join(LAYERS),
        "SCHEMATHESIS_CLASSES": "birds,boats",
    }
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
        "run", str(HERE.parents[1] / "openapi.yaml"), "--url", url, "--checks", "all", "--continue-on-failure",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "2", "--seed", "1", "--no-shrink", "--no-color",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    counted = re.search(r"(\d+) generated, \1 passed", found.stdout)
    assert counted, found.stdout[-3000:]
    assert int(counted[1]) >= FEWEST
