"""Questions to an index that is larger than the memory its process may have, page cache included (Linux, as root).

python -m benchmarks.limited INDEX --layer features.7 --megabytes 600 [--out FILE]

The same questions are asked in two processes: one in a memory cgroup of its own, one without a limit. Each lets go of
the index's pages first, and asks three times.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import indexer
from indexer.query.index import Index

ASKED = 60
ROUNDS = ("cold", "second", "third")
_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextlib.contextmanager
def memory_group(megabytes: int) -> Iterator[Path]:
    """A cgroup whose processes may have so much memory."""
    parent, limit = (_V1, "memory.limit_in_bytes") if _V1.is_dir() else (_V2, "memory.max")
    group = parent / f"unitscope-{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(megabytes << 20))
        yield group
    finally:
        group.rmdir()


def forget_pages(folder: Path) -> int:
    """Drop all files of a folder from the page cache; how many bytes they have."""
    total = 0
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            total += path.stat().st_size
    return total


def questions(index: Index, layer: str) -> dict[str, Callable[[int], list[Any]]]:
    """What is asked, by what it asks for; the n-th one of each kind is always the same."""
    info = index.layer(layer).info
    rng = np.random.default_rng(0)
    ids = rng.choice(np.asarray(index.images.id), ASKED).tolist()
    y, x, neurons = (rng.integers(size, size=ASKED).tolist() for size in (info.height, info.width, info.channels))

    def nearest(n: int) -> list[Any]:
        return [(hit.image.id, hit.y, hit.x) for hit in index.similar(layer, ids[n], y[n], x[n], limit=20).items]

    def top(n: int, per_image: str) -> list[Any]:
        hits = index.top_patches(layer, neurons[n], limit=20, per_image=per_image).items
        return [(hit.image.id, hit.y, hit.x) for hit in hits]

    return {
        "20 nearest patches": nearest,
        "top 20 cells of a neuron": lambda n: top(n, "all"),
        "top 20 images of a neuron": lambda n: top(n, "one"),
    }


def ask(path: Path, layer: str) -> dict[str, Any]:
    """Milliseconds of every question, by kind and round, all answers, and this process's own memory."""
    size = forget_pages(path)
    taken: dict[str, dict[str, list[float]]] = {}
    answers: dict[str, list[Any]] = {}
    with indexer.open(path) as index:
        for name, question in questions(index, layer).items():
            taken[name] = {}
            for number in ROUNDS:
                times = taken[name][number] = []
                answers[name] = []
                for n in range(ASKED):
                    started = time.perf_counter()
                    answers[name].append(question(n))
                    times.append(1e3 * (time.perf_counter() - started))
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return {"index bytes": size, "own megabytes": int(own.split()[1]) / 1024, "ms": taken, "answers": answers}


def _elsewhere(options: argparse.Namespace, group: Path | None) -> dict[str, Any]:
    enter = f"echo $$ > {group}/cgroup.procs; " if group else ""
    command = [sys.executable, "-m", "benchmarks.limited", str(options.index), "--layer", options.layer, "--ask"]
    done = subprocess.run(["sh", "-c", f'{enter}exec "$@"', "sh", *command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--ask", action="store_true", help="ask here and print JSON")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/limited.json"))
    options = parser.parse_args(arguments)
    if options.ask:
        print(json.dumps(ask(options.index, options.layer)))
        return
    with memory_group(options.megabytes) as group:
        found = {f"within {options.megabytes} MB": _elsewhere(options, group), "no limit": _elsewhere(options, None)}
    limited, free = found.values()
    assert limited.pop("answers") == free.pop("answers"), "the limit changes answers"
    print(f"\n{limited['index bytes'] / 1e6:.0f} MB of files; of its own: {limited['own megabytes']:.0f} MB\n")
    print("| milliseconds: median, 90 % |" + "".join(f" {name}, {each} |" for name in found for each in ROUNDS))
    print("| --- |" + " ---: |" * len(found) * len(ROUNDS))
    for name in limited["ms"]:
        cells = [sorted(figures["ms"][name][each]) for figures in found.values() for each in ROUNDS]
        shown = [f" {statistics.median(times):.1f}, {times[int(0.9 * len(times))]:.1f} |" for times in cells]
        print(f"| {name} |" + "".join(shown))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
