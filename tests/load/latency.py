"""``python -m tests.load.latency INDEX``: how long a cheap question takes, alone and beside uploads without end.

Prints percentiles in milliseconds as JSON. The uploads keep the network busy and its queue full all the time.
"""

import argparse
import http.client
import json
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

import indexer
from tests.service.processes import Service, running

UPLOADERS = 8
CHEAP = "/layers/features.12/neurons/3/patches?limit=10"
PAUSE = 0.01
"""Between two cheap questions, as from somebody who clicks: the service is not saturated by them."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.latency", description=__doc__)
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with indexer.open(options.index) as index:
        upload = index.original(index.image(index.images.id.tolist()[0]))
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log", str(options.index), "--workers", "2", "--log-level", "warning") as service,
    ):
        base = f"/v1/indexes/{options.index.name}"
        assert service.upload(options.index.name, upload).status_code == 200
        alone = _ask(service, base + CHEAP, options.seconds)
        ended, got = threading.Event(), Counter()
        uploaders = [
            threading.Thread(target=_upload, args=(service, options.index.name, upload, ended, got))
            for _ in range(UPLOADERS)
        ]
        for thread in uploaders:
            thread.start()
        beside = _ask(service, base + CHEAP, options.seconds)
        ended.set()
        for thread in uploaders:
            thread.join()
    uploads = {str(status): round(count / options.seconds, 1) for status, count in got.items()}
    print(json.dumps({"alone": alone, "beside uploads": beside, "uploads a second by status": uploads}))


def _ask(service: Service, path: str, seconds: float) -> dict[str, float]:
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    taken = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        taken.append(time.perf_counter() - started)
        assert answer.status == 200
        time.sleep(PAUSE)
    connection.close()
    shares = {f"p{share}": round(1000 * float(np.percentile(taken, share)), 1) for share in (50, 90, 99)}
    return shares | {"longest": round(1000 * max(taken), 1), "requests": len(taken)}


def _upload(service: Service, index: str, image: bytes, ended: threading.Event, got: Counter) -> None:
    while not ended.is_set():
        got[service.upload(index, image).status_code] += 1


if __name__ == "__main__":
    main()
