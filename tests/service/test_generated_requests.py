"""Requests that schemathesis generates from openapi.yaml, sent to the live service: every check, no failure.

The network is a small one, as what is asked of it is the same. The quick run sends what the contract gives as examples
and what lies at its bounds; of requests that are wrong in the same way in the same parameter it sends two, in whichever
operations. The slow run sends all of them, and random ones. docs/api.md has the command of a longer one still.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from indexer.cli import main
from indexer.jobs.build import build
from service.settings import Settings
from tests.conftest import build_request
from tests.service.listening import running
from tests.waiting import wait_until

HERE = Path(__file__).parent
FEWEST = 1000
NETWORK = "tests.own_models:wide"
LAYERS = ("1", "3", "6")
ENCODER = "tests.colour_encoder:AnyWord"


@pytest.fixture(scope="module")
def live_url(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an index called "small" is served over a socket."""
    folder = tmp_path_factory.mktemp("generated requests")
    build(folder / "small", build_request(photo_folder, model=NETWORK, layers=LAYERS, preprocessing={}))
    for made in (
        ["atlas", "--layer", LAYERS[0], "--points", "60", "--fitted", "40", "--perplexity", "5"],
        ["neuron-atlas", "--layer", LAYERS[0]],
        ["scores", "--layer", LAYERS[0], "--by", LAYERS[1]],
        ["patch-vectors", "--layer", LAYERS[0], "--encoder", ENCODER, "--patches", "4"],
    ):
        assert main([made[0], str(folder / "small"), *made[1:]]) == 0
    settings = Settings(
        directory=folder / "small", model=NETWORK, results=folder / "results", notes=str(folder / "notes"),
        job_queue=1000, examine=False, encoder=ENCODER,
    )  # fmt: skip
    with running(settings) as ((host, port), _):
        yield f"http://{host}:{port}"


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


@pytest.mark.parametrize(
    ("phases", "alike"),
    [("examples,coverage", "2"), pytest.param("examples,coverage,fuzzing", "", marks=pytest.mark.slow)],
)
def test_generated_requests_find_nothing(live_url: str, tmp_path: Path, phases: str, alike: str) -> None:
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
        "SCHEMATHESIS_INDEX": "small",
        "SCHEMATHESIS_LAYERS": ",".join(LAYERS),
        "SCHEMATHESIS_CLASSES": "birds,boats",
        "SCHEMATHESIS_JOB": job_done(live_url),
        "SCHEMATHESIS_ALIKE": alike,
    }
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
        "run", str(HERE.parents[1] / "openapi.yaml"), "--url", live_url, "--checks", "all", "--continue-on-failure",
        "--phases", phases, "--max-examples", "2", "--seed", "1", "--no-shrink", "--no-color",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    counted = re.search(r"(\d+) generated, \1 passed", found.stdout)
    assert counted, found.stdout[-3000:]
    assert int(counted[1]) >= FEWEST
