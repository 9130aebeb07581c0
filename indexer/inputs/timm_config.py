"""timm's data config: ``input_size``, ``crop_pct``, ``crop_mode``, ``interpolation``, ``mean``, ``std``.

What ``timm.data.create_transform(**config)`` makes of a picture, for whoever has timm; it is not needed here.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from indexer.errors import InvalidRequest
from indexer.images.input_size import RGB
from indexer.inputs.told import Told

KEYS: Final = frozenset({"input_size", "crop_pct", "crop_mode"})
"""What tells timm's config from a dict of our own fields."""

_REQUIRED: Final = ("input_size", "crop_pct", "mean", "std")


def is_timm_config(config: object) -> bool:
    """Whether something, such as a module's ``pretrained_cfg``, says what timm's data configs say."""
    return isinstance(config, Mapping) and all(config.get(name) is not None for name in _REQUIRED)


def from_timm(config: Mapping[str, Any], source: str) -> Told:
    """The fields that mean the same.

    Parameters
    ----------
    config : mapping
        Other keys, as of a ``pretrained_cfg``, are passed over.

    Raises
    ------
    InvalidRequest
        Something is missing, or of a kind that cannot be done here.
    """
    own = sorted({"resize", "crop"} & config.keys())
    if own:
        raise InvalidRequest(f"{source}: {', '.join(own)} beside timm's {', '.join(sorted(KEYS & config.keys()))}")
    missing = [name for name in _REQUIRED if config.get(name) is None]
    if missing:
        raise InvalidRequest(f"{source}: timm's data config lacks {', '.join(missing)}; resolve_data_config gives all")
    channels, height, width = _input_size(config["input_size"], source)
    resize = _resize(height, width, config, source)
    values = {"resize": resize, "crop": (height, width), "mean": config["mean"], "std": config["std"]}
    values["interpolation"] = config.get("interpolation") or "bicubic"  # as timm has it
    if values["interpolation"] == "random":
        raise InvalidRequest(f"{source}: interpolation 'random' is for training; name one, such as 'bicubic'")
    if channels != RGB:
        values["channels"] = channels
    return Told.of(values, source)


def _input_size(size: Any, source: str) -> tuple[int, int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 3 or not all(isinstance(side, int) for side in size):
        raise InvalidRequest(f"{source}: timm's input_size must be (channels, height, width), not {size!r}")
    return size[0], size[1], size[2]


def _resize(height: int, width: int, config: Mapping[str, Any], source: str) -> tuple[int, ...]:
    part, mode = config["crop_pct"], config.get("crop_mode") or "center"
    if isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 < part <= 10:
        raise InvalidRequest(f"{source}: timm's crop_pct must be a number above 0, such as 0.875, not {part!r}")
    sides = math.floor(height / part), math.floor(width / part)
    if mode == "squash":
        return sides
    if mode == "center" and sides[0] == sides[1]:
        return sides[:1]
    what = (
        f"crop_mode {mode!r}"
        if mode != "center"
        else f"the oblong input_size {height} x {width} with crop_mode 'center'"
    )
    raise InvalidRequest(
        f"{source}: {what} cannot be done here; crop_mode 'squash' can, as can a dict of resize and crop instead"
    )
