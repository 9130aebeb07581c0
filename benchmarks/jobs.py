"""An upload beside a job, and a question beside a job; with and without one take turns.

python -m benchmarks.jobs INDEX --layer LAYER [--out FILE]

The job is a what-if from the originals, which keeps a core busy with decoding and the whole network: it is another one
in each round, runs while the uploads are timed, and is cancelled afterwards.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import indexer
from benchmarks import clients, measure
from benchmarks.measure import Row

UPLOADS = 20
QUESTIONS = 200
ALIVE = ("queued", "running")
MOST = 1.5
"""As long as this many times what it takes without a job may an upload take."""


class Jobs:
    """The jobs of a service, one at a time."""

    def __init__(self, connection: http.client.HTTPConnection, index: str, layer: str) -> None:
        self._connection = connection
        self._index, self._layer = index, layer

    def start(self, number: int) -> str:
        """Start a job that no other round has, and wait until it runs; gives its URL."""
        body = {"layer": self._layer, "edits": [{"neuron": number}], "exact": True}
        job = self._ask("POST", f"/v1/indexes/{self._index}/what-if", body)
        return self._wait(job["links"]["self"], lambda job: bool(job["done"]) or job["state"] not in ALIVE)

    def check_running(self, url: str) -> None:
        """Fail if a job ended before what was beside it."""
        state = self._ask("GET", url)["state"]
        if state != "running":
            raise RuntimeError(f"the job was {state} before the round had ended: use an index of more images")

    def end(self, url: str) -> None:
        self._ask("DELETE", url)
        self._wait(url, lambda job: job["state"] == "cancelled")

    def _wait(self, url: str, condition: Callable[[dict[str, Any]], bool]) -> str:
        while not condition(self._ask("GET", url)):
            time.sleep(0.05)
        return url

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        answer = self._connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {content}")
        return content


def beside(name: str, jobs: Jobs, times: int, ask: Callable[[int], object]) -> Row:
    """Milliseconds of one asking, the median of ``times`` a round, alone and beside a job."""

    def median(number: int) -> float:
        return 1e3 * statistics.median(measure.seconds(partial(ask, number * times + one)) for one in range(times))

    def with_job(number: int) -> float:
        url = jobs.start(number)
        taken = median(number)
        jobs.check_running(url)
        jobs.end(url)
        return taken

    return Row(name, *measure.rounds(median, with_job))


def rows(path: Path, layer: str) -> list[Row]:
    """All that is measured."""
    with indexer.open(path) as index:
        name = index.name
        data = index.original(index.image(int(index.images.id[0])))
        channels = index.layers[layer].info.channels
    lookup = f"/v1/indexes/{name}/lookup?layer={layer}&limit=5"
    patches = f"/v1/indexes/{name}/layers/{layer}/neurons/{{}}/patches?limit=9"
    with (
        tempfile.TemporaryDirectory() as results,
        clients.serving(path, "--results", results) as address,
        closing(clients.connect(address)) as connection,
        closing(clients.connect(address)) as beside_it,
    ):
        jobs = Jobs(beside_it, name, layer)
        clients.upload(connection, lookup, data)  # loads the network
        uploads = beside("an upload", jobs, UPLOADS, lambda number: clients.upload(connection, lookup, data))
        asked = beside(
            "top patches, first page", jobs, QUESTIONS,
            lambda number: clients.get(connection, patches.format(number * 7 % channels)),
        )  # fmt: skip
    return [uploads, asked]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--out", type=Path, default=Path("figures-jobs.json"))
    options = parser.parse_args(arguments)
    title = "Beside a job (milliseconds), and alone (reference)"
    measure.heading(title)
    taken = rows(options.index, options.layer)
    for row in taken:
        print(row.line(), flush=True)
    print(f"\nAn upload beside a job may take {MOST} times as long.")
    measure.write(title, taken, options.out)


if __name__ == "__main__":
    main()
