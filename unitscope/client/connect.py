"""From a path or a URL to an index that can be asked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from indexer.errors import InvalidRequest, NotFound
from indexer.store.remote import parse_location
from indexer.store.storage import Location
from unitscope.client.index import IndexClient
from unitscope.client.transport import SECONDS, OwnService, Questions, RunningService, Service


def connect(
    where: str | Path,
    index: str | None = None,
    *,
    token: str | None = None,
    model: str | None = None,
    weights: str | None = None,
    model_args: Mapping[str, Any] | None = None,
    encoder: str | None = None,
    encoder_args: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
) -> IndexClient:
    """Ask an index through its files or through a service; both give the same answers.

    Parameters
    ----------
    where : str or Path
        An index, a folder of indexes, the URL of either in a bucket, or the URL (http, https) of a service.
    index : str, optional
        Its name, where there are several.
    token : str, optional
        For a service that asks for one.
    model, weights, model_args : str, str, dict, optional
        Your own ``module:factory``, where its weights are now, and the arguments that it was indexed with, for
        questions to files that run the network.
    encoder, encoder_args : str, dict, optional
        The ``module:factory`` of the image-text encoder that ``patch-vectors`` had, and its arguments, for texts that
        are asked of files.
    seconds : float
        How long a question may take.

    Raises
    ------
    NotFound
        There is no index of this name; the message lists those that there are.
    InvalidRequest
        There are several, and ``index`` names none; or ``where`` is none of these.
    Refused
        No service answers there, or it refuses.
    """
    service = _service(
        str(where),
        token,
        lambda location: OwnService(location, model, weights, seconds, encoder, encoder_args, model_args),
        seconds,
    )
    ask = Questions(service)
    try:
        return IndexClient(ask, _chosen(ask, index), service.close)
    except BaseException:
        service.close()
        raise


def _service(where: str, token: str | None, own: Callable[[Location], Service], seconds: float) -> Service:
    if where.startswith(("http://", "https://")):
        return RunningService(where, token, seconds)
    location = parse_location(where)
    if not location.is_dir():
        raise InvalidRequest(f"{where} is neither a folder nor the URL of a service")
    return own(location)


def _chosen(ask: Questions, index: str | None) -> str:
    names = [item["name"] for item in ask.get("/v1/indexes")["items"]]
    if index is None and len(names) == 1:
        return str(names[0])
    if index is None:
        raise InvalidRequest(f"name one of the indexes: {', '.join(names) or 'there are none'}")
    if index not in names:
        raise NotFound(f"there is no index {index!r}; there are: {', '.join(names) or 'none'}")
    return index
