"""Image files -> the network's input pixels, decoded ahead on several threads."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from indexer.defaults import MAX_PIXELS
from indexer.errors import ImageRejected
from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.images.reading import read_file, read_picture
from indexer.images.remarks import decoding
from indexer.shards.records import IndexedImage
from indexer.store.storage import Location

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A usable image and its input pixels (h, w, 3) uint8."""

    image: IndexedImage
    pixels: np.ndarray


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that cannot be used, and why."""

    path: str
    reason: str


def decode(
    root: Location, id: int, file: ImageFile, preprocessing: Preprocessing, keep: bool, max_pixels: int = MAX_PIXELS
) -> Decoded | Skipped:
    """Read, decode and preprocess one image. With ``keep``, the result holds the bytes of its file."""
    try:
        data = read_file(root / file.path)
        with decoding(file.path):
            picture = read_picture(data, max_pixels, preprocessing.value_range)
        pixels = preprocessing.pixels(picture)
    except OSError as error:
        return Skipped(file.path, f"cannot be read ({error.strerror})")
    except ImageRejected as error:
        return Skipped(file.path, error.reason)
    image = IndexedImage(
        id, file.path, file.class_, picture.width, picture.height, len(data), hashlib.sha256(data).digest(),
        data if keep else None,
    )  # fmt: skip
    return Decoded(image, pixels)


def decode_ahead(
    root: Location,
    images: Iterable[tuple[int, ImageFile]],
    preprocessing: Preprocessing,
    keep: bool,
    pool: ThreadPoolExecutor,
    ahead: int,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Decoded | Skipped]:
    """Decode images in order, up to ``ahead`` of them before the caller asks for them."""
    started = (pool.submit(decode, root, id, file, preprocessing, keep, max_pixels) for id, file in images)
    return in_order(started, ahead)


def in_order(started: Iterable[Future[T]], ahead: int) -> Iterator[T]:
    """Results in the order in which work was started; up to ``ahead`` more pieces are started than were asked for."""
    waiting: deque[Future[T]] = deque()
    for future in started:
        waiting.append(future)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
