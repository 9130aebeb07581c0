"""Requests that schemathesis generates from openapi.yaml, sent to the live service: every check, no failure.

The run here is bounded; docs/api.md has the command and the counts of a long one.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from tests.conftest import LAYERS
from tests.waiting import wait_until

HERE = Path(__file__).parent
FEWEST = 1000


def job_done(url: str) -> str:
    """A job that has a result."""
    body = json.dumps({"layer": LAYERS[0], "edits": [{"neuron": 0}]}).encode()
    request = Request(f"{url}/v1/indexes/small/what-if", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        link = f"{url}{answer.headers['Location']}"

    def done() -> bool:
        with urlopen(link, timeout=60) as answer:
            return bool(json.load(answer)["state"] == "done")

    wait_until(done)
    return link.rpartition("/")[2]


def test_generated_requests_find_nothing(live_url: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
        "SCHEMATHESIS_INDEX": "small",
        "SCHEMATHESIS_LAYERS": ",".join(LAYERS),
        "SCHEMATHESIS_CLASSES": "birds,boats",
        "SCHEMATHESIS_JOB": job_done(live_url),
    }
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
        "run", str(HERE.parents[1] / "openapi.yaml"), "--url", live_url, "--checks", "all", "--continue-on-failure",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "2", "--seed", "1", "--no-shrink", "--no-color",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    counted = re.search(r"(\d+) generated, \1 passed", found.stdout)
    assert counted, found.stdout[-3000:]
    assert int(counted[1]) >= FEWEST
