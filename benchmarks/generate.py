"""An index of any number of images, from real activations by resampling.

Every generated image is one cell of a real one, as a map of 1 x 1, with every activation changed by some per cent; its
path and class are those of the real image, so that crops can be asked for.

python -m benchmarks.generate --source INDEX --layer features.12 --images 1000000 --out INDEX
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

import indexer
from indexer.derive.generation import derive_and_publish
from indexer.query.index import Index
from indexer.query.records import ImageRecord
from indexer.shards.writer import IndexedImage, LayerBatch, ShardWriter
from indexer.store import atomic, layout
from indexer.store.manifest import Configuration, LayerInfo, Manifest, ShardInfo

SHARD = 50_000
BATCH = 4096
SPREAD = 0.05
SOURCES = 400


def generate(source: Path, layer: str, images: int, out: Path) -> Manifest:
    """Write shards, derive, publish."""
    rng = np.random.default_rng(0)
    with indexer.open(source) as real:
        info = _of_one_cell(real.layers[layer].info)
        configuration = replace(real.manifest.configuration, layers=(info,))
        records = real.find_images(limit=SOURCES).items
        rows = [_image(real, record) for record in records]
        cells = np.concatenate(
            [real.activation_maps(record.id, layer).reshape(info.channels, -1).T for record in records]
        )
    (out / layout.SHARDS).mkdir(parents=True)
    per_image = len(cells) // len(rows)
    with ThreadPoolExecutor() as workers:
        shards = []
        for number, first in enumerate(range(0, images, SHARD)):
            batches = _batches(rng, cells, per_image, rows, first, min(first + SHARD, images))
            shards.append(_write(out, number, configuration, first, min(first + SHARD, images), batches, workers))
    root = str(real.manifest.image_root)
    return derive_and_publish(out, Manifest(0, configuration, root, images, SHARD, BATCH, shards=shards))


def _of_one_cell(info: LayerInfo) -> LayerInfo:
    """The layer with its middle cell alone, so that crops are of the usual size."""
    axes = (info.field.y, info.field.x)
    y, x = (replace(axis, intervals=(axis.intervals[len(axis.intervals) // 2],)) for axis in axes)
    return replace(info, height=1, width=1, field=replace(info.field, y=y, x=x))


def _image(real: Index, record: ImageRecord) -> IndexedImage:
    data = (Path(real.manifest.image_root) / record.path).stat().st_size
    return IndexedImage(
        0, record.path, record.class_, record.width, record.height, data, bytes.fromhex(record.sha256)
    )


def _batches(
    rng: np.random.Generator, cells: np.ndarray, per_image: int, rows: list[IndexedImage], first: int, end: int
) -> Iterator[tuple[list[IndexedImage], LayerBatch]]:
    for start in range(first, end, BATCH):
        count = min(BATCH, end - start)
        picked = rng.integers(len(cells), size=count)
        noise = 1 + SPREAD * rng.standard_normal((count, cells.shape[1]), np.float32)
        maps = (cells[picked] * noise).astype(np.float16)[:, :, None, None]
        images = [replace(rows[cell // per_image], id=start + n) for n, cell in enumerate(picked.tolist())]
        peaks = maps[:, :, 0, 0].astype(np.float32)
        yield images, LayerBatch(maps, peaks, np.zeros(peaks.shape, np.uint32), 0)


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
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    manifest = generate(options.source, options.layer, options.images, options.out)
    print(f"{manifest.images} images in {options.out}; vectors: {manifest.vectors[options.layer]}")


if __name__ == "__main__":
    main()
