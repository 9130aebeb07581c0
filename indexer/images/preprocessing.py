"""Pixels of a picture -> the input of a network, and the way back from input pixels to original ones."""

from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from indexer.errors import ImageRejected, InvalidRequest
from indexer.images import fields
from indexer.images.bands import bands_of
from indexer.images.fields import MAX_RESIZED
from indexer.images.geometry import Box
from indexer.images.input_size import RGB, InputSize

if TYPE_CHECKING:
    import torch

Position = TypeVar("Position", float, np.ndarray)

# Half-width of Pillow's resampling filters, in pixels of the output when enlarging (Pillow, Resample.c).
_SUPPORT = {"box": 0.5, "bilinear": 1.0, "hamming": 1.0, "bicubic": 2.0, "lanczos": 3.0}


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop and normalise, as torchvision's ``ImageClassification`` preset does with pictures.

    Attributes
    ----------
    resize : (int,) or (int, int) or None
        One number: the shorter side becomes that long. Two: height and width become these. None: the size stays.
    crop : (int, int) or None
        Height and width of the centre crop; smaller pictures are padded with black. None needs a two-number resize.
    interpolation : str
        One of `indexer.defaults.INTERPOLATIONS`.
    mean, std : tuple of float
        Mean and standard deviation of each channel, such as R, G and B, in 0..1.
    value_range : (float, float) or None
        The values that are black and white, for grey with more than 8 bits; see `indexer.images.meaning`.
    channels : int
        3 for R, G and B, 1 for grey, else as many as the images have (`indexer.images.bands`).

    `indexer.images.fields` lists the other forms in which these values may be given. Only the interpolation has a
    default: nobody can guess what a network was trained with.

    Raises
    ------
    InvalidRequest
        A field cannot have its value, or pictures of different sizes would not come to one size.
    """

    resize: tuple[int, ...] | None
    crop: tuple[int, int] | None
    interpolation: str = "bilinear"
    _: KW_ONLY
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] | None = None
    channels: int = RGB

    def __post_init__(self) -> None:
        for name, parse in PARSERS.items():
            object.__setattr__(self, name, parse(getattr(self, name)))
        for name in ("mean", "std"):
            object.__setattr__(self, name, fields.one_each(name, getattr(self, name), self.channels))
        if self.crop is None and (self.resize is None or len(self.resize) != 2):
            raise InvalidRequest("every input needs one size: give a crop, or a resize of height and width")

    @property
    def input_size(self) -> InputSize:
        """Height and width of the network's input, and its channels."""
        size = self.crop or self.resize
        assert size is not None
        return InputSize(size[0], size[1], self.channels)

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """Resize and crop.

        Parameters
        ----------
        picture : PIL.Image.Image
            Mode RGB, as `indexer.images.reading.read_picture` gives it.

        Returns
        -------
        ndarray (h, w, channels) uint8

        Raises
        ------
        ImageRejected
            The picture is so long that resizing its shorter side would give it more than `MAX_RESIZED` pixels, or it
            has other channels than the network takes.
        """
        bands = bands_of(picture)
        has = RGB if bands is None else bands.shape[2]
        if has != self.channels and not (has in (1, RGB) and self.channels in (1, RGB)):
            raise ImageRejected(f"the image has {has} channels, and the network takes {self.channels}")
        if self.channels == RGB:
            return self._placed(picture)
        if bands is None or self.channels == 1:
            return self._placed(picture.convert("L"))[:, :, None]
        return np.stack([self._placed(Image.fromarray(bands[:, :, band])) for band in range(has)], axis=2)

    def _placed(self, picture: Image.Image) -> np.ndarray:
        """A picture of one or three channels, resized and cropped."""
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
        """Pixels (B, C, h, w) uint8 -> input (B, C, h, w) float32; the memory format is kept."""
        import torch  # here, because reading an index does not need it

        mean, std = (torch.tensor(v, device=pixels.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
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
        fields = asdict(self)
        for name, usual in _USUAL.items():  # left out so that older programs can read the index
            if fields[name] == usual:
                del fields[name]
        return fields

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Preprocessing":
        return cls(**{name: data[name] for name in PARSERS if name not in _USUAL or name in data})


PARSERS = {
    "resize": fields.resize_of,
    "crop": fields.crop_of,
    "interpolation": fields.interpolation_of,
    "mean": fields.mean_of,
    "std": fields.std_of,
    "value_range": fields.value_range_of,
    "channels": fields.channels_of,
}
"""The function that reads the value of each field of a `Preprocessing`."""
_USUAL = {"value_range": None, "channels": RGB}


@dataclass(frozen=True)
class AxisPlacement:
    """One axis of a placement: ``original`` pixels resized to ``resized``, of which ``cropped`` are the input."""

    original: int
    resized: int
    cropped: int
    interpolation: str

    @property
    def offset(self) -> int:
        """The resized pixel at which the input begins; negative if the crop is padded."""
        return _offset(self.resized, self.cropped)

    def to_original(self, first: int, end: int) -> tuple[int, int]:
        """The original pixels [first, end) that the input pixels [first, end) are computed from.

        Exact: the interval includes the support of the resampling filter (Pillow, Resample.c). For an interval wholly
        in the padding, it is the nearest pixel.
        """
        low = min(max(first + self.offset, 0), self.resized - 1)
        high = min(max(end - 1 + self.offset, low), self.resized - 1)
        return self._sources(low)[0], self._sources(high)[1]

    def to_input(self, position: Position) -> Position:
        """The continuous input coordinates of continuous original coordinates; pixel i spans i..i+1."""
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
    """Where torchvision's centre crop begins; negative if it pads."""
    if cropped > length:
        return -((cropped - length) // 2)
    return round((length - cropped) / 2.0)  # half to even, as torchvision rounds
