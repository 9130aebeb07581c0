"""Where the time of decoding goes, and what other ways to the same pixels cost and change.

python -m benchmarks.decoding --images DIR --weights FILE [--limit N] [--out FILE]

JPEG files as they are, and a few of them enlarged to the size that cameras write. Every way runs on one thread. Its
pixels, and the top images that squeezenet1_1 finds from them, are compared with those of torchvision's preset, which
Pillow makes. simplejpeg and OpenCV are measured where they are installed.
"""

import argparse
import hashlib
import importlib
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

from benchmarks.measure import in_turn
from indexer.images.listing import list_images
from indexer.images.preprocessing import Preprocessing
from indexer.images.reading import read_picture
from indexer.jobs.precision_report import KeptRanks, compare, peaks_of
from indexer.network.forward import Network
from indexer.network.models import load_model

LAYER = "features.12"
LARGE_SIDE, LARGE = 2400, 60
Way = Callable[[bytes], np.ndarray]


def ways(preprocessing: Preprocessing) -> dict[str, Way]:
    """Ways from the bytes of a JPEG file to network input (h, w, 3) uint8; the first is the indexer's."""
    (short,) = preprocessing.resize or (0,)

    def drafted(data: bytes, side: int) -> np.ndarray:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (side, side))  # the smallest of 1, 1/2, 1/4, 1/8 with both sides at least as long
        return preprocessing.pixels(image.convert("RGB"))

    def reduced(data: bytes) -> np.ndarray:
        image = read_picture(data)
        image.thumbnail((2 * max(image.size) * short // min(image.size),) * 2, Image.Resampling.BOX, reducing_gap=1.0)
        return preprocessing.pixels(image)

    def by_torchvision(data: bytes) -> np.ndarray:
        return preprocessing.pixels(Image.fromarray(_torchvision(data).permute(1, 2, 0).numpy()))

    def resized_by_torchvision(data: bytes) -> np.ndarray:
        tensor = torch.from_numpy(np.array(read_picture(data))).permute(2, 0, 1)
        resized = functional.resize(tensor, [short], antialias=True)
        return functional.center_crop(resized, list(preprocessing.crop or ())).permute(1, 2, 0).numpy()

    found = {
        "as indexed: Pillow": lambda data: preprocessing.pixels(read_picture(data)),
        "torchvision decodes": by_torchvision,
        "Pillow decodes, torchvision resizes": resized_by_torchvision,
        "Pillow, JPEG decoded at a fraction (draft)": lambda data: drafted(data, short),
        "the same, at least twice as large": lambda data: drafted(data, 2 * short),
        "Pillow, halved by averaging before (reduce)": reduced,
    }
    return found | _optional(preprocessing)


def _optional(preprocessing: Preprocessing) -> dict[str, Way]:
    found: dict[str, Way] = {}
    if simplejpeg := _module("simplejpeg"):
        found["simplejpeg decodes"] = lambda data: preprocessing.pixels(
            Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False))
        )
    if cv2 := _module("cv2"):
        cv2.setNumThreads(1)
        found["OpenCV decodes"] = lambda data: preprocessing.pixels(
            Image.fromarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
        )
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _torchvision(data: bytes) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # it is to move to TorchCodec
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)


def stages(files: Sequence[Path], preprocessing: Preprocessing) -> dict[str, float]:
    """Milliseconds an image of each step of the indexer's way, the files being in the system's cache."""
    taken = dict.fromkeys(("reading the file", "its SHA-256", "decoding", "resizing and cropping"), 0.0)
    for file in files:
        moments = [time.perf_counter()]
        data = file.read_bytes()
        moments.append(time.perf_counter())
        hashlib.sha256(data)
        moments.append(time.perf_counter())
        picture = read_picture(data)
        moments.append(time.perf_counter())
        preprocessing.pixels(picture)
        moments.append(time.perf_counter())
        for name, first, end in zip(taken, moments, moments[1:], strict=False):
            taken[name] += 1000 * (end - first) / len(files)
    return taken


def measure(datas: list[bytes], network: Network) -> list[dict[str, Any]]:
    """Each way beside the first: time, pixels, and the top images of every neuron."""
    rows, exact, peaks = [], None, None
    all_ways = ways(network.model.preprocessing)
    taken = in_turn(*(partial(_all, way, datas) for way in all_ways.values()))
    milliseconds = {name: [1000 * one / len(datas) for one in own] for name, own in zip(all_ways, taken, strict=True)}
    for name, way in all_ways.items():
        pixels = [way(data) for data in datas]
        own = peaks_of(network, pixels, 8)[LAYER]
        exact, peaks = (pixels, own) if exact is None else (exact, peaks)
        off = np.abs(np.subtract(exact, pixels, dtype=np.int16))
        rows.append(_row(name, milliseconds, off, compare(LAYER, peaks, own)))
    return rows


def _all(way: Way, datas: list[bytes]) -> None:
    for data in datas:
        way(data)


def _row(name: str, milliseconds: dict[str, list[float]], off: np.ndarray, kept: KeptRanks) -> dict[str, Any]:
    first = next(iter(milliseconds.values()))
    ratios = [ours / theirs for ours, theirs in zip(milliseconds[name], first, strict=True)]
    return {
        "way": name, "ms an image": statistics.median(milliseconds[name]), "ratio": statistics.median(ratios),
        "pixels that differ": float((off > 0).mean()), "by at most": int(off.max()), "top images kept": kept.same,
        "at the same rank": kept.in_place,
    }  # fmt: skip


def enlarged(data: bytes) -> bytes:
    """The same photograph with a shorter side of `LARGE_SIDE`, as JPEG."""
    picture = read_picture(data)
    factor = LARGE_SIDE / min(picture.size)
    size = round(picture.width * factor), round(picture.height * factor)
    out = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="none")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/decoding.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    listing = list_images(options.images)
    files = [listing.root / file.path for file in listing.files if file.path.lower().endswith((".jpg", ".jpeg"))]
    files = files[: options.limit]
    if not files:
        parser.error(f"no JPEG file in {options.images}")
    network = Network(load_model("squeezenet1_1", options.weights), [LAYER])
    split = stages(files, network.model.preprocessing)
    print(", ".join(f"{name} {value:.2f} ms" for name, value in split.items()))
    datas = [file.read_bytes() for file in files]
    large = [enlarged(data) for data in datas[:: max(1, len(datas) // LARGE)][:LARGE]]
    tables = {f"{len(datas)} files as they are": datas, f"{len(large)} enlarged to {LARGE_SIDE} pixels": large}
    figures: dict[str, Any] = {"stages": split}
    for title, chosen in tables.items():
        figures[title] = measure(chosen, network)
        print(f"\n{title}\n\n| {' | '.join(figures[title][0])} |\n|{' --- |' * len(figures[title][0])}")
        for row in figures[title]:
            print("| " + " | ".join(_text(value) for value in row.values()) + " |")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1))


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


if __name__ == "__main__":
    main()
