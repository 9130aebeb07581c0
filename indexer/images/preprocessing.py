"""Pixels of a picture -> the input of a network, and the way back from input pixels to original ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from indexer.errors import ImageRejected, InvalidRequest
from indexer.images.geometry import Box

if TYPE_CHECKING:
    import torch

Position = TypeVar("Position", float, np.ndarray)

# Half-width of Pillow's resampling filters, in pixels of the output when enlarging (Pillow, Resample.c).
_SUPPORT = {"box": 0.5, "bilinear": 1.0, "hamming": 1.0, "bicubic": 2.0, "lanczos": 3.0}
_INTERPOLATIONS = (*_SUPPORT, "nearest")

MAX_RESIZED = 1 << 26
"""Most pixels of a resized picture: a strip of 1 x 50,000 pixels would become one of 256 x 12,800,000."""
MAX_SIDE = 1 << 16
"""Longest side that may be asked for; it is the manifest's bound as well."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop and normalise, as torchvision's ``ImageClassification`` preset does it on pictures.

    Attributes
    ----------
    resize : (int,) or (int, int) or None
        One number: the shorter side becomes that long. Two: height and width become these.
    crop : (int, int) or None
        Height and width of the centre crop; smaller pictures are padded with black. None needs a two-number resize.
    interpolation : str
        box, bilinear, hamming, bicubic, lanczos or nearest.
    mean, std : (float, float, float)
        Of the channels R, G, B in 0..1.
    """

    resize: tuple[int, ...] | None = (256,)
    crop: tuple[int, int] | None = (224, 224)
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.interpolation not in _INTERPOLATIONS:
            raise InvalidRequest(f"interpolation {self.interpolation!r} is not one of {', '.join(_INTERPOLATIONS)}")
        if self.crop is None and (self.resize is None or len(self.resize) != 2):
            raise InvalidRequest("every input needs one size: give a crop, or a resize of height and width")
        for name, sizes, lengths in (("resize", self.resize, (1, 2)), ("crop", self.crop, (2,))):
            if sizes is not None and (len(sizes) not in lengths or min(sizes) < 1):
                raise InvalidRequest(f"{name} must be {' or '.join(map(str, lengths))} positive numbers, not {sizes}")
            if sizes is not None and (max(sizes) > MAX_SIDE or sizes[0] * sizes[-1] > MAX_RESIZED):
                raise InvalidRequest(
                    f"{name} may be {MAX_RESIZED} pixels in all and {MAX_SIDE} a side at most, "
                    f"not {' x '.join(map(str, sizes))}"
                )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise InvalidRequest("mean and std must be three numbers each, std positive")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        size = self.crop or self.resize
        assert size is not None
        return size[0], size[1]

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """Resize and crop.

        Parameters
        ----------
        picture : PIL.Image.Image
            Mode RGB.

        Returns
        -------
        ndarray (h, w, 3) uint8

        Raises
        ------
        ImageRejected
            It is so long that resizing its shorter side would make it larger than `MAX_RESIZED`.
        """
        height, width = self._resized(*picture.size)
        if width * height > MAX_RESIZED:
            raise ImageRejected(f"an image of {picture.width} x {picture.height} pixels is too long to be resized")
        if (width, height) != picture.size:
            picture = picture.resize((width, height), Image.Resampling[self.interpolation.upper()])
        if self.crop is not None and self.crop != (height, width):
            left, top = _offset(width, self.crop[1]), _offset(height, self.crop[0])
            picture = picture.crop((left, top, left + self.crop[1], top + self.crop[0]))  # black beyond the edges
        return np.asarray(picture)

    def normalise(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Pixels (B, 3, h, w) uint8 -> input (B, 3, h, w) float32; the memory format is kept."""
        import torch  # here, because reading an index needs none of it

        mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)

    def placement(self, width: int, height: int) -> "Placement":
        """Where a picture of this size lies on the network's input."""
        resized_height, resized_width = self._resized(width, height)
        crop_height, crop_width = self.crop or (resized_height, resized_width)
        return Placement(
            x=AxisPlacement(width, resized_width, crop_width, self.interpolation),
            y=AxisPlacement(height, resized_height, crop_height, self.interpolation),
        )

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if len(self.resize) == 2:
            return self.resize[0], self.resize[1]
        short, long = min(width, height), max(width, height)
        new_short, new_long = self.resize[0], int(self.resize[0] * long / short)
        return (new_long, new_short) if width <= height else (new_short, new_long)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Preprocessing":
        def numbers(value: Sequence[float] | None) -> tuple | None:
            return None if value is None else tuple(value)

        return cls(**{key: value if isinstance(value, str) else numbers(value) for key, value in data.items()})

    @classmethod
    def from_torchvision(cls, preset: Any) -> "Preprocessing":
        """From ``torchvision.transforms._presets.ImageClassification``, as ``weights.transforms()`` gives it."""
        crop = list(preset.crop_size)
        return cls(
            resize=tuple(preset.resize_size),
            crop=(crop[0], crop[-1]),
            interpolation=preset.interpolation.value,
            mean=tuple(preset.mean),
            std=tuple(preset.std),
        )


@dataclass(frozen=True)
class AxisPlacement:
    """One axis of a placement: ``original`` pixels resized to ``resized``, of which ``cropped`` are the input."""

    original: int
    resized: int
    cropped: int
    interpolation: str

    @property
    def offset(self) -> int:
        """The resized pixel that is the input's first; negative where the crop is padded."""
        return _offset(self.resized, self.cropped)

    def to_original(self, first: int, end: int) -> tuple[int, int]:
        """The original pixels [first, end) that the input pixels [first, end) are computed from.

        Exact: it includes the support of the resampling filter (Pillow, Resample.c). An interval that lies in the
        padding alone gives the nearest pixel.
        """
        low = min(max(first + self.offset, 0), self.resized - 1)
        high = min(max(end - 1 + self.offset, low), self.resized - 1)
        return self._sources(low)[0], self._sources(high)[1]

    def to_input(self, position: Position) -> Position:
        """The input coordinate of an original coordinate, or of several, continuous (pixel i spans i..i+1)."""
        return position * self.resized / self.original - self.offset

    def _sources(self, resized_pixel: int) -> tuple[int, int]:
        if self.resized == self.original:
            return resized_pixel, resized_pixel + 1
        scale = self.original / self.resized
        centre = (resized_pixel + 0.5) * scale
        if self.interpolation == "nearest":
            return int(centre), int(centre) + 1
        support = _SUPPORT[self.interpolation] * max(scale, 1.0)
        return max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), self.original)


@dataclass(frozen=True)
class Placement:
    """Where one picture lies on the network's input."""

    x: AxisPlacement
    y: AxisPlacement

    def to_original(self, box: Box) -> Box:
        """A box of input pixels -> the box of original pixels that it is computed from, clipped to the picture."""
        left, right = self.x.to_original(box.left, box.right)
        top, bottom = self.y.to_original(box.top, box.bottom)
        return Box(left, top, right, bottom)


def _offset(length: int, cropped: int) -> int:
    """Where torchvision's centre crop begins; negative where it pads."""
    if cropped > length:
        return -((cropped - length) // 2)
    return round((length - cropped) / 2.0)  # half to even, as torchvision rounds
