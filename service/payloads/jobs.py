"""Jobs and their results as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from indexer.query.index import Index
from service.payloads.links import Links, index_url

Json = dict[str, Any]


def job_url(script_root: str, job: str) -> str:
    """The URL of a job."""
    return f"{quote(script_root)}/v1/jobs/{job}"


def times(record: Mapping[str, float | None]) -> Json:
    """Seconds since 1970 as dates of RFC 3339."""
    return {
        name: None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        for name, seconds in record.items()
    }


def links(script_root: str, job: str, kind: str, index: str, parameters: Json, *, has_result: bool) -> Json:
    """The URLs of a job; ``again`` is where the same may be asked for again."""
    own, base = job_url(script_root, job), index_url(script_root, index)
    starts = {"importance": f"{base}/layers/{quote(str(parameters.get('layer')), safe='')}/importance"}
    return {
        "self": own,
        "index": base,
        "result": f"{own}/result" if has_result else None,
        "again": starts.get(kind, f"{base}/{kind}"),
    }


def what_if(links: Links, own: str, result: Json) -> Json:
    """The result of a what-if; the images whose answer changed are counted, and a list of their own."""
    turned = [one["turned"] for one in result["changed"]]
    counts = {way: turned.count(way) for way in ("wrong", "right", "other")}
    body = result | {"changed": {"total": len(turned), **counts}}
    return body | {"links": {"layer": links.layer(result["layer"]), "changed": f"{own}/changed"}}


def changed(links: Links, index: Index, one: Json) -> Json:
    """An image whose answer changed."""
    record = index.image(one["image"])
    urls = {"image": links.image(record), "picture": links.picture(record), "answer": links.answer(record)}
    return one | {"links": urls}


def importance(links: Links, result: Json) -> Json:
    """The importance of each neuron of a layer."""
    neurons = [
        one | {"links": {"self": links.neuron(result["layer"], one["neuron"]),
                         "patches": links.patches(result["layer"], one["neuron"])}}
        for one in result["neurons"]
    ]  # fmt: skip
    return result | {"neurons": neurons, "links": {"layer": links.layer(result["layer"])}}
