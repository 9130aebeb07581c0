"""``unitscope.build``: an index, from Python."""

from os import PathLike
from typing import Any

from indexer.jobs.build import BuildRequest
from indexer.jobs.build import build as build_index
from indexer.jobs.reporter import Reporter
from indexer.network.models import default_weights
from indexer.store.remote import parse_location


def build(
    images: str | PathLike[str],
    out: str | PathLike[str],
    *,
    model: str,
    weights: str | None = None,
    reporter: Reporter | None = None,
    **options: Any,
) -> None:
    """Build an index, or finish one whose build was interrupted. An index that is complete stays as it is.

    Parameters
    ----------
    images : path or URL
        A folder of images, or a list of paths and classes.
    out : path or URL
        The index.
    model : str
        A torchvision classification model, ``module:factory`` of your own, or the file of a program.
    weights : str, optional
        ``DEFAULT``, another of torchvision's names, a file, or ``none``; by default ``DEFAULT``, and of a network of
        your own those that it brings.
    reporter : Reporter, optional
        Is told how far the work is.
    **options
        Further fields of `indexer.jobs.build.BuildRequest`, such as ``layers=["layer3"]``.

    Raises
    ------
    UnitscopeError
        One of its kinds; see `unitscope.errors`.
    """
    weights = weights or default_weights(model)
    request = BuildRequest(parse_location(str(images)), model, weights, **options)
    build_index(parse_location(str(out)), request, reporter)
