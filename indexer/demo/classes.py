"""The classes of the demo: the stamps' many small folders grouped, so that every class has photographs enough.

A photograph that fits none of them has no class.
"""

from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Final

CLASSES: Final = {
    "birds": ("animals/birds/*",),
    "sea-life": ("animals/fish/*", "animals/mammals/aquatic/*", "animals/shellfish/*"),
    "small-animals": ("animals/amphibians/*", "animals/insects/*", "animals/lizards/*"),
    "hoofed-animals": (
        "animals/mammals/bovines/*", "animals/mammals/camel/*", "animals/mammals/deer/*", "animals/mammals/equines/*",
        "animals/mammals/giraffe.png", "animals/mammals/hippopotamus.png", "animals/mammals/pig*.png",
        "animals/mammals/rhino_black.png", "animals/mammals/wildboar.png",
    ),
    "mammals": ("animals/mammals/*", "animals/marsupials/*"),
    "flowers": ("plants/flowers/*", "plants/lavender.png", "plants/thyme.png"),
    "plants": ("plants/*",),
    "food": (
        "food/*", "seasonal/christmas/Candy*", "seasonal/christmas/*pudding.png", "seasonal/christmas/Mince_Pie.png",
        "seasonal/christmas/Roast_turkey.png",
    ),
    "household": ("household/*", "clothes/*", "seasonal/candle.png"),
    "music": ("hobbies/music/*",),
    "vehicles": ("vehicles/*", "military/vehicles/*"),
    "space": ("space/*",),
    "gravestones": ("seasonal/halloween/*",),
    "signs": ("town/roadsigns/*",),
    "sports": ("sports/*",),
}  # fmt: skip
"""Class -> patterns of paths below the stamps' folder. The first that fits counts."""


def class_of(stamp: PurePosixPath) -> str:
    """The class of a stamp, "" where it has none."""
    fitting = (name for name, patterns in CLASSES.items() if any(fnmatch(str(stamp), pattern) for pattern in patterns))
    return next(fitting, "")
