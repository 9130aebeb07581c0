"""Freeze indexes of today's format: ``python -m tests.frozen.make FOLDER``; see README.md beside this file."""

import json
import shutil
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import indexer
from indexer.derive.nearest import vectors
from indexer.dictionaries.learn import Recipe
from indexer.jobs.build import BuildRequest, build
from indexer.jobs.derived.dictionary import learn_into
from indexer.jobs.upkeep.remove import remove
from tests.frozen.answers import answers_of

CLASSES = ("kingfisher", "lighthouse", "")
REMOVED = "kingfisher/photo 3.png"
FAISS_BYTES = {
    "flat": {},
    "few lists": {"FLAT_BYTES": 1000, "FALLBACK_BYTES": 0},
    "codes": {"FLAT_BYTES": 1000, "FEW_LISTS_BYTES": 2000, "FALLBACK_BYTES": 0},
}
"""Sizes of `indexer.derive.nearest.vectors`, set in this order, by which a small index has each kind of file."""


def write_pictures(folder: Path) -> None:
    """Nine pictures of soft colours, wide and tall, in two classes and in none, and a file that is no picture."""
    rng = np.random.default_rng(7)
    for number in range(9):
        width, height = (int(side) for side in rng.integers(26, 44, 2))
        colours = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        path = folder / CLASSES[number % 3] / f"photo {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colours).resize((width + 10 * (number % 2), height)).quantize(64).save(path, optimize=True)
    (folder / "lighthouse" / "broken.jpg").write_bytes(b"no picture")


def write_index(pictures: Path, out: Path) -> None:
    """Two shards with the original files, a second generation, in which an image is gone, and parts of shards after."""
    build(
        out,
        BuildRequest(
            images=pictures, model="tests.own_models:frozen", weights="none", layers=("0", "4"), preprocessing={},
            shard_size=5, batch_size=4, keep_images=True,
        ),
    )  # fmt: skip
    remove(out, paths=[REMOVED])
    learn_into(out, "means", Recipe("0", "kmeans", 3))
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["image_root"] = "/pictures/that/are/gone"  # the originals inside must do
    path.write_text(json.dumps(manifest))


def pack(folder: Path, archive: Path) -> None:
    """One archive of what the manifests name: indexes of the same pictures have most bytes in common."""
    last = (sorted(path.glob("derived/*"))[-1] for path in folder.iterdir())
    old = (path for kept in last for path in kept.parent.iterdir() if path != kept)
    for gone in (*old, *folder.glob("*/lock")):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for path in sorted(folder.rglob("*")):
            packed.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main(out: Path) -> None:
    out.mkdir(parents=True)
    with TemporaryDirectory() as temporary:
        pictures, indexes = Path(temporary, "pictures"), Path(temporary, "indexes")
        indexes.mkdir()
        write_pictures(pictures)
        for kind, sizes in FAISS_BYTES.items():
            for name, size in sizes.items():
                setattr(vectors, name, size)
            write_index(pictures, indexes / kind)
            with indexer.open(indexes / kind) as index:
                text = json.dumps(answers_of(index), separators=(",", ":"))
            (out / f"{kind}.json").write_text(text + "\n")
        pack(indexes, out / "indexes.tar.xz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
