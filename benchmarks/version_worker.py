"""The end of `benchmarks.versions` that runs in a checkout: it is told a case, then measures what it is asked for.

Lines of JSON come on standard input: ``{"model": …, "layers": …, "images": …}``, then ``"floor"`` or ``"kept"`` again
and again. The answer to each is a number on standard output: bytes that the checkout keeps of an image, or seconds.
"""

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.floor import floor
from benchmarks.indexing import Case, Measured
from indexer.images.listing import list_images


def main() -> None:
    folder, weights = sys.argv[1:]
    listing = list_images(Path(folder))
    measured: Measured | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, dict):
            _forget(measured)
            case = Case(asked["model"], asked["layers"], asked["images"])
            files = list(itertools.islice(itertools.cycle(listing.files), case.images))
            own = weights if case.model == "squeezenet1_1" else "none"
            measured = Measured(case, own, listing.root, files, "cpu")
            measured.ours()
            print((measured.folder / "shards" / "000000.h5").stat().st_size / len(files), flush=True)
        else:
            assert measured is not None
            print(_seconds(measured, asked), flush=True)
    _forget(measured)


def _seconds(measured: Measured, asked: str) -> float:
    fastest = measured._fastest()
    work: Callable[[], object] = (
        measured.ours if asked == "kept" else lambda: floor(measured.root, measured.files, fastest)
    )
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _forget(measured: Measured | None) -> None:
    if measured is not None:
        shutil.rmtree(measured.folder)


if __name__ == "__main__":
    main()
