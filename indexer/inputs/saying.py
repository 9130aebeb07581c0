"""What a job says before it starts: what a network sees, who said so, and how large the index will be."""

import math
from collections.abc import Mapping

from indexer.images.input_size import RGB
from indexer.images.preprocessing import Preprocessing
from indexer.inputs.told import text_of

_BYTES = 2
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def input_line(preprocessing: Preprocessing, sources: Mapping[str, str]) -> str:
    """Size, mean and std of the input, and where each comes from."""
    height, width = preprocessing.input_size
    told: dict[str, list[str]] = {}
    for name in ("resize", "crop", "mean", "std", "interpolation"):
        told.setdefault(sources.get(name, "the index"), []).append(f"{name} {text_of(getattr(preprocessing, name))}")
    if preprocessing.value_range is not None:
        told.setdefault("--value-range", []).append(f"grey from {text_of(preprocessing.value_range)}")
    fields = "; ".join(f"{', '.join(values)} ({source})" for source, values in told.items())
    channels = "" if preprocessing.channels == RGB else f", channels {preprocessing.channels}"
    return f"input: height {height} x width {width}{channels}; {fields}"


def size_line(images: int, shapes: Mapping[str, tuple[int, int, int]]) -> str:
    """About how large an index of so many images will be, of layers of these shapes (C, H, W)."""
    activations = sum(math.prod(shape) for shape in shapes.values())
    return (
        f"about {readable(images * activations * _BYTES)} (estimated: {images} images x {activations} activations x "
        f"{_BYTES} bytes; compression takes some off)"
    )


def readable(count: int) -> str:
    """A number of bytes as a person reads it."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"
