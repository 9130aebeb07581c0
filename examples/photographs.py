"""Small photographs of one size with their classes, for networks that are trained here: from an archive, or files."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Photographs:
    """Photographs with classes.

    Attributes
    ----------
    pixels : ndarray (n, h, w, 3) uint8
    codes : ndarray (n,) int64
        The class of each, by its place in ``names``.
    names : list of str
    """

    pixels: np.ndarray
    codes: np.ndarray
    names: list[str]

    def part(self, rows: np.ndarray) -> "Photographs":
        return Photographs(self.pixels[rows], self.codes[rows], self.names)


def read_archive(archive: Path) -> Photographs:
    """All photographs of a tar file of class folders, by class and name."""
    found = []
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if member.isfile() and path.suffix.lower() in ENDINGS:
                data = tar.extractfile(member)
                assert data is not None
                found.append((path.parent.name, path.name, data.read()))
    found.sort(key=lambda one: one[:2])
    return _together((class_, data) for class_, _, data in found)


def read_files(files: Sequence[Path]) -> Photographs:
    """Photographs in class folders, in the order of the files."""
    return _together((path.parent.name, path.read_bytes()) for path in files)


def as_input(pixels: np.ndarray) -> torch.Tensor:
    """Pixels (n, h, w, 3) uint8 as the networks here want them, (n, 3, h, w) float32."""
    return ((torch.from_numpy(pixels).float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()


def _together(found: Iterable[tuple[str, bytes]]) -> Photographs:
    classes, pixels = [], []
    for class_, data in found:
        classes.append(class_)
        pixels.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    names = sorted(set(classes))
    return Photographs(np.stack(pixels), np.array([names.index(class_) for class_ in classes]), names)
