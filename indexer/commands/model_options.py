"""Options that say what network it is, how its weights are read, and what becomes of an image before it."""

import argparse
from typing import Any

from indexer.defaults import INTERPOLATIONS
from indexer.index.loading import Loading, parse_arguments

_FIELDS = ("resize", "crop", "interpolation", "mean", "std", "value_range")


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that makes an index."""
    command.add_argument(
        "--model", required=True,
        help="a torchvision classification model; module:factory of your own; or a TorchScript or exported file",
    )  # fmt: skip
    command.add_argument(
        "--model-args", metavar="KEY=VALUE", action="append", default=[],
        help="an argument of the factory, as JSON or else text, such as num_classes=10 (repeatable)",
    )  # fmt: skip
    command.add_argument(
        "--weights", help="DEFAULT, another of torchvision's names, a file, or none; default: DEFAULT, of your own none"
    )
    command.add_argument(
        "--weights-key", metavar="KEY", help="where in the file they are, as ema.model; default: where they fit"
    )
    command.add_argument(
        "--strip-prefix", metavar="PREFIX", help="what to take off their names; default: what makes them fit"
    )
    command.add_argument(
        "--no-strict", dest="strict", action="store_false", help="load what fits and say what does not"
    )
    _add_preprocessing_options(command)


def _add_preprocessing_options(command: argparse.ArgumentParser) -> None:
    default = "default: what the model says"
    command.add_argument("--resize", type=_sizes, help=f"shorter side, HEIGHTxWIDTH, or none for as it is; {default}")
    command.add_argument("--crop", type=_sizes, help=f"HEIGHTxWIDTH of the centre crop, or none; {default}")
    command.add_argument("--interpolation", choices=INTERPOLATIONS, help=f"how images are resized; {default}")
    command.add_argument("--mean", type=_channels, help=f"R,G,B of 0..1, or one number; {default}")
    command.add_argument("--std", type=_channels, help=f"R,G,B of 0..1, or one number; {default}")
    command.add_argument(
        "--value-range", type=_channels, metavar="LOW,HIGH",
        help="values of grey with more than 8 bits that are black and white, as 0,4095; default: 0,65535",
    )  # fmt: skip


def loading_of(options: argparse.Namespace) -> Loading:
    """What was said of the factory and of the weights file.

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
