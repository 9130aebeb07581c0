"""What a person says of a layer's dimensions, where no trace and no measurement can tell.

``LAYER=NCHW``, ``LAYER=NHWC``, or ``LAYER=NTC:HxW+PREFIX``: N images, T tokens of which the first PREFIX are class and
register tokens and the others H rows of W, C channels.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.errors import InvalidRequest

_DIMS = {"NCHW": ("N", "C", "y", "x"), "NHWC": ("N", "y", "x", "C"), "NTC": ("N", "token", "C")}
FORMS = "NCHW, NHWC or NTC:HxW+PREFIX"


@dataclass(frozen=True)
class Layout:
    """The order of a layer's dimensions.

    Attributes
    ----------
    order : str
        "NCHW", "NHWC" or "NTC".
    rows, columns, prefix : int
        Of tokens: the sides of the map that they are, and how many others come before. 0 for the other orders.
    """

    order: str
    rows: int = 0
    columns: int = 0
    prefix: int = 0

    @property
    def dims(self) -> tuple[str, ...]:
        return _DIMS[self.order]

    @classmethod
    def parse(cls, text: str) -> "Layout":
        """From ``NCHW``, ``NHWC`` or ``NTC:14x14+1``.

        Raises
        ------
        InvalidRequest
        """
        if text in ("NCHW", "NHWC"):
            return cls(text)
        found = re.fullmatch(r"NTC:([1-9]\d{0,4})x([1-9]\d{0,4})(?:\+(\d{1,5}))?", text)
        if not found:
            raise InvalidRequest(f"a layout is {FORMS}, such as NTC:14x14+1, not {text!r}")
        return cls("NTC", int(found[1]), int(found[2]), int(found[3] or 0))

    def __str__(self) -> str:
        return f"NTC:{self.rows}x{self.columns}+{self.prefix}" if self.order == "NTC" else self.order

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Why an output of this shape has another layout, None where it may have this one."""
        if len(shape) != len(self.dims):
            return f"{self} has {len(self.dims)} dimensions and the output {len(shape)}"
        if self.order == "NTC" and self.prefix + self.rows * self.columns != shape[1]:
            tokens = self.prefix + self.rows * self.columns
            return (
                f"{self} has {self.prefix} + {self.rows} x {self.columns} = {tokens} tokens and the output {shape[1]}"
            )
        return None


def parse_layouts(texts: Sequence[str]) -> dict[str, Layout]:
    """From ``LAYER=LAYOUT`` each.

    Raises
    ------
    InvalidRequest
        A text is not a layout, or a layer is named twice.
    """
    layouts: dict[str, Layout] = {}
    for text in texts:
        layer, equals, layout = text.rpartition("=")
        if not equals or not layer:
            raise InvalidRequest(f"--layout takes LAYER={FORMS}, not {text!r}")
        if layer in layouts:
            raise InvalidRequest(f"--layout names layer {layer!r} twice")
        layouts[layer] = Layout.parse(layout)
    return layouts


def check_layouts(layouts: Mapping[str, Layout], layers: Sequence[str]) -> None:
    """Refuse a layout for a layer that is not looked at.

    Raises
    ------
    InvalidRequest
    """
    for layer in layouts:
        if layer not in layers:
            raise InvalidRequest(f"--layout names layer {layer!r}, which is not among the layers {', '.join(layers)}")
