"""Data files of installed packages, found without running the packages' code."""

from importlib.machinery import PathFinder
from pathlib import Path

from indexer.errors import ModelUnavailable


def package_folder(package: str) -> Path:
    """Folder of a top-level package.

    Raises
    ------
    ModelUnavailable
        It is not installed.
    """
    spec = PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"the demo needs the package {package}: pip install 'unitscope[demo]'")
    return Path(next(iter(spec.submodule_search_locations)))
