"""What a job tells on standard error while it runs."""

import sys

from tqdm import tqdm

from indexer.jobs.reporter import Reporter


class Bar:
    """A progress bar, and lines beside it. A job goes on where nobody can be told."""

    def __init__(self, does: str = "indexing") -> None:
        self._does = does
        self._bar: tqdm | None = None
        self.reporter = Reporter(self._stage, self._total, self._progress, self._left_out, self._note)

    def _total(self, images: int) -> None:
        self._bar = tqdm(total=images, unit="image", desc=self._does, file=sys.stderr)

    def _progress(self, images: int) -> None:
        if self._bar is not None:
            self._bar.update(images)

    def _stage(self, text: str) -> None:
        self.close()
        print(f"deriving {text}", file=sys.stderr)

    def _left_out(self, images: int) -> None:
        print(f"left out: {images} images that were removed; --again PATH takes them in", file=sys.stderr)

    def _note(self, text: str) -> None:
        print(f"unitscope: {text}", file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
