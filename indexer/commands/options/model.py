"""Options that choose the network, how its weights are read, and how images are prepared for it."""

import argparse
from typing import Any

from indexer.defaults import INTERPOLATIONS
from indexer.index.loading import Loading, parse_arguments
from indexer.receptive_field.layout import FORMS

_FIELDS = ("resize", "crop", "interpolation", "mean", "std", "value_range", "channels")


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that makes an index."""
    command.add_argument(
        "--model", required=True,
        help="a torchvision classification model, your own module:factory, or a TorchScript or exported program file",
    )  # fmt: skip
    command.add_argument(
        "--model-args", metavar="KEY=VALUE", action="append", default=[],
        help="an argument of the factory, such as num_classes=10; VALUE is JSON, or text if it is not (repeatable)",
    )  # fmt: skip
    command.add_argument(
        "--weights",
        help="DEFAULT, another name of torchvision's, a file, or none; default: DEFAULT, and none for your own model",
    )
    command.add_argument(
        "--weights-key",
        metavar="KEY",
        help="the key of the weights in their file, as ema.model; default: one that fits",
    )
    command.add_argument(
        "--strip-prefix", metavar="PREFIX", help="a prefix to remove from their names; default: one that makes them fit"
    )
    command.add_argument(
        "--no-strict", dest="strict", action="store_false", help="load the weights that fit, and say which do not"
    )
    _add_preprocessing_options(command)


def _add_preprocessing_options(command: argparse.ArgumentParser) -> None:
    default = "default: the model's own"
    command.add_argument("--resize", type=_sizes, help=f"the shorter side, HEIGHTxWIDTH, or none; {default}")
    command.add_argument("--crop", type=_sizes, help=f"HEIGHTxWIDTH of the centre crop, or none; {default}")
    command.add_argument("--interpolation", choices=INTERPOLATIONS, help=f"how images are resized; {default}")
    command.add_argument("--mean", type=_channels, help=f"R,G,B (or each channel) of 0..1, or one number; {default}")
    command.add_argument("--std", type=_channels, help=f"R,G,B of 0..1, or one number; {default}")
    command.add_argument(
        "--channels", type=int, help="of the input: 1 for grey, or as many as .npy images have; default: 3, R, G and B"
    )
    command.add_argument(
        "--value-range", type=_channels, metavar="LOW,HIGH",
        help="the values that are black and white in grey of more than 8 bits, as 0,4095; default: 0,65535",
    )  # fmt: skip


def add_layout_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--layout", metavar="LAYER=LAYOUT", action="append", default=[],
        help=f"the order of a layer's dimensions, {FORMS}, if it cannot be found out (repeatable)",
    )  # fmt: skip


def loading_of(options: argparse.Namespace) -> Loading:
    """The options of the factory and of the weights file.

    Raises
    ------
    InvalidRequest
    """
    return Loading(parse_arguments(options.model_args), options.weights_key, options.strip_prefix, options.strict)


def preprocessing_of(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a `Preprocessing` that were given."""
    given = {name: getattr(options, name) for name in _FIELDS}
    return {name: None if value == () else value for name, value in given.items() if value is not None}


def _sizes(text: str) -> tuple[int, ...]:
    if text.lower() == "none":
        return ()
    try:
        return tuple(int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a number or HEIGHTxWIDTH, such as 224x288, or none, not {text!r}"
        ) from error


def _channels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers such as 0.5,0.5,0.5, or one, not {text!r}") from error
