"""An index of any number of images, from real activations by resampling.

Every generated image has so many cells of one real image, with every activation changed by some per cent: one cell, as
a map of 1 x 1, or ``--side`` x ``--side`` of them. Its path and class are those of the real image, so that crops can be
asked for. With ``--in-place``, the cells are those of an even grid of the real map, where they are; so a neuron that
is seldom active at the edges is so here. With ``--bare`` there is no FAISS file, which takes longest, and no question
about nearest patches.

python -m benchmarks.generate --source INDEX --layer features.12 --images 1000000 --out INDEX
python -m benchmarks.generate --source INDEX --layer features.12 --images 500 --side 13 --neurons 256 --out INDEX
python -m benchmarks.generate --source INDEX --images 1000000 --side 4 --neurons 64 --in-place --bare --out INDEX
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

import indexer
from indexer.derive.executor import runs
from indexer.derive.generation import derive_and_publish
from indexer.index import layout
from indexer.index.configuration import Configuration, LayerInfo
from indexer.index.manifest import Manifest
from indexer.index.shard_info import ShardInfo
from indexer.query.index import Index
from indexer.query.records import ImageRecord
from indexer.shards.maps.packer import packed
from indexer.shards.records import IndexedImage, LayerBatch
from indexer.shards.writer import ShardWriter
from indexer.store import atomic

SHARD = 50_000
BATCH = 4096
SPREAD = 0.05
SOURCES = 400


def generate(
    source: Path, layer: str, images: int, out: Path, shard_size: int, side: int = 1, neurons: int | None = None,
    in_place: bool = False,
) -> Manifest:  # fmt: skip
    """Write shards; the manifest, which is not derived yet."""
    rng = np.random.default_rng(0)
    with indexer.open(source) as real:
        places = _even(real.layers[layer].info, side) if in_place else None
        info = _of_side(real.layers[layer].info, side, neurons)
        configuration = replace(real.manifest.configuration, layers=(info,))
        records = real.find_images(limit=SOURCES).items
        rows = [_image(real, record) for record in records]
        cells = np.concatenate(
            [real.activation_maps(record.id, layer)[: info.channels].reshape(info.channels, -1).T for record in records]
        )
    (out / layout.SHARDS).mkdir(parents=True)
    per_image = len(cells) // len(rows)
    with ThreadPoolExecutor() as workers:
        shards = []
        for number, (first, end) in enumerate(runs(images, shard_size)):
            batches = _batches(rng, cells, per_image, rows, side, places, range(first, end))
            shards.append(_write(out, number, configuration, first, end, batches, workers))
    root = str(real.manifest.image_root)
    return Manifest(0, configuration, root, images, shard_size, BATCH, shards=shards)


def _of_side(info: LayerInfo, side: int, neurons: int | None) -> LayerInfo:
    """The layer with its middle cells alone, so that crops are of the usual size."""
    axes = (info.field.y, info.field.x)
    y, x = (replace(axis, intervals=_middle(axis.intervals, side)) for axis in axes)
    field = replace(info.field, y=y, x=x)
    return replace(info, channels=neurons or info.channels, height=side, width=side, field=field)


def _middle(intervals: tuple[tuple[int, int], ...], count: int) -> tuple[tuple[int, int], ...]:
    first = (len(intervals) - count + 1) // 2
    return intervals[first : first + count]


def _even(info: LayerInfo, side: int) -> np.ndarray:
    """The cells (side * side,) of an even grid of a layer's maps."""
    y, x = (np.linspace(0, length - 1, side).round().astype(int) for length in info.shape)
    return (y[:, None] * info.width + x).ravel()


def _image(real: Index, record: ImageRecord) -> IndexedImage:
    data = (Path(real.manifest.image_root) / record.path).stat().st_size
    return IndexedImage(0, record.path, record.class_, record.width, record.height, data, bytes.fromhex(record.sha256))


def _batches(
    rng: np.random.Generator, cells: np.ndarray, per_image: int, rows: list[IndexedImage], side: int,
    places: np.ndarray | None, ids: range,
) -> Iterator[tuple[list[IndexedImage], LayerBatch]]:  # fmt: skip
    size = max(1, BATCH // side**2)
    for start in range(ids.start, ids.stop, size):
        count = min(size, ids.stop - start)
        source = rng.integers(len(rows), size=count)
        where = rng.integers(per_image, size=(count, side**2)) if places is None else places
        picked = source[:, None] * per_image + where
        noise = 1 + SPREAD * rng.standard_normal((*picked.shape, cells.shape[1]), np.float32)
        flat = np.ascontiguousarray((cells[picked] * noise).astype(np.float16).swapaxes(1, 2))
        images = [replace(rows[row], id=start + n) for n, row in enumerate(source.tolist())]
        peaks, peak_cells = flat.max(axis=2).astype(np.float32), flat.argmax(axis=2).astype(np.uint32)
        yield images, LayerBatch([packed(maps) for maps in flat.reshape(count, -1, side, side)], peaks, peak_cells, 0)


def _write(
    out: Path, number: int, configuration: Configuration, first: int, end: int,
    batches: Iterator[tuple[list[IndexedImage], LayerBatch]], workers: ThreadPoolExecutor,
) -> ShardInfo:  # fmt: skip
    (layer,) = configuration.layers
    attributes = {"configuration": configuration.digest, "number": number, "first_id": first, "end_id": end}
    shapes = {layer.name: (layer.channels, layer.height, layer.width)}
    file = layout.shard_file(number)
    with ShardWriter(out / file, shapes, attributes, False, workers) as shard:
        for images, batch in batches:
            shard.add(images, {layer.name: batch})
        shard.close()
    return ShardInfo(file, end - first, atomic.file_sha256(out / file), first, end)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--layer", default="features.12")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=1, help="rows and columns of the maps")
    parser.add_argument("--neurons", type=int, help="only the first so many")
    parser.add_argument("--in-place", action="store_true", help="cells where they are, of an even grid")
    parser.add_argument("--bare", action="store_true", help="without a FAISS file")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    made = generate(
        options.source, options.layer, options.images, options.out, SHARD, options.side, options.neurons,
        options.in_place,
    )  # fmt: skip
    with mock.patch("indexer.derive.generation.write_vectors", _none) if options.bare else nullcontext():
        manifest = derive_and_publish(options.out, made)
    print(f"{manifest.images} images in {options.out}; vectors: {manifest.vectors[options.layer]}")


def _none(path: Path, *others: object) -> dict[str, str]:
    path.write_bytes(b"")
    return {"type": "none"}


if __name__ == "__main__":
    main()
