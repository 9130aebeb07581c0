"""``look``: from a folder of images to the explorer in a browser.

The index is built, or new images are added to it, by a process of its own: this one starts those of the service, and
may import neither numpy nor torch.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from indexer.commands.options.shared import add_device_option
from indexer.index import layout
from indexer.index.loading import is_own
from indexer.store.remote import parse_location
from indexer.store.storage import Location


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("images", type=parse_location, metavar="IMAGES", help="a folder of images, or a list")
    command.add_argument(
        "--model", required=True, help="a torchvision model; module:factory of your own; or a program's file"
    )
    command.add_argument("--weights", help="DEFAULT, another of torchvision's names, a file, or none; as `build` does")
    command.add_argument("--layers", default="", help="module names, with commas; default: the last of each stage")
    add_device_option(command)
    command.add_argument("--port", default="0", help="the port to listen on; 0, the default, takes a free one")
    command.add_argument("--no-browser", action="store_true", help="only say where to look")


def run(options: argparse.Namespace) -> int:
    index = index_folder(options)
    print(f"unitscope: the index of {options.images} is {index}", file=sys.stderr)
    if status := _fill(index, options):
        return status
    from service.__main__ import main

    ready = _leave_alone if options.no_browser else _show
    return main([str(index), "--port", options.port, *_own_model(options)], "unitscope look", ready)


def cache_folder() -> Path:
    """Where indexes lie that `look` has made: below XDG_CACHE_HOME, or ~/.cache."""
    told = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(told) if os.path.isabs(told) else Path.home() / ".cache") / "unitscope" / "look"


def index_folder(options: argparse.Namespace) -> Path:
    """The index of these images by this model, weights and layers: one each, and the same another time."""
    parts = [_absolute(options.images), _named(options.model), _named(options.weights or ""), options.layers]
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    last = [part.rstrip("/").rpartition("/")[2] for part in (parts[0], options.model)]
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(last)).strip("-")[:60]
    return cache_folder() / f"{words}-{digest}"


def _absolute(images: Location) -> str:
    return str(images.resolve())


def _named(name: str) -> str:
    """What names a model or weights wherever this is called: a file by its whole path."""
    return str(Path(name).resolve()) if Path(name).is_file() else name


def _own_model(options: argparse.Namespace) -> list[str]:
    """A person's own network is run only where it is named again; torchvision's are known by their names."""
    if not is_own(options.model):
        return []
    return ["--model", options.model, *(["--weights", options.weights] if options.weights else [])]


def _fill(index: Path, options: argparse.Namespace) -> int:
    """Build the index, or add to it what is new; gives the exit status of that."""
    command = _add_command(index, options) if layout.manifest_path(index).exists() else _build_command(index, options)
    if options.device:
        command += ["--device", options.device]
    with subprocess.Popen([sys.executable, "-m", "indexer", *command]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # it has been told as well, and says so
            return process.wait()


def _build_command(index: Path, options: argparse.Namespace) -> list[str]:
    command = ["build", str(options.images), "--model", options.model, "--out", str(index), "--layers", options.layers]
    return [*command, "--weights", options.weights] if options.weights else command


def _add_command(index: Path, options: argparse.Namespace) -> list[str]:
    return ["add", str(index), str(options.images), *_own_model(options)]


def _show(url: str) -> None:
    """Open a browser, without waiting for it."""
    nothing = subprocess.DEVNULL
    subprocess.Popen([sys.executable, "-m", "webbrowser", url], stdin=nothing, stdout=nothing, stderr=nothing)


def _leave_alone(url: str) -> None:
    """Its line on standard output has said the URL."""
