"""Names that neurons without one could have, through their counterparts in other indexes."""

from collections.abc import Sequence
from typing import Final

from flask import Response

from indexer.errors import DamagedFile, InvalidRequest, NotFound
from service.errors import IndexUnavailable
from service.handlers import Json, Services, question_of
from service.http.current import current_request
from service.http.paging import cut, listing
from service.indexes.generations import OpenGeneration
from service.notes.proposing import Proposal, check_wanted, proposals
from service.payloads.links import Links, index_url
from service.payloads.notes import note_url
from service.views.notes import page

_CANNOT: Final = (InvalidRequest, NotFound, IndexUnavailable, DamagedFile)
"""Another index with the same weights, with other images, or that cannot be opened: it proposes nothing."""


def list_proposals(
    services: Services,
    index: str,
    from_: str | None,
    layer: str | None,
    neuron: int | None,
    least: float,
    limit: int,
    offset: int,
) -> Response:
    _ = services.notes.database  # 503 where notes are off

    def links_of(held: OpenGeneration) -> Links:
        check_wanted(held.index, layer, neuron)
        return question_of(current_request(), index, held, services).links

    def of_both(held: Sequence[OpenGeneration]) -> list[Proposal]:
        return proposals(services.notes, held[0].index, held[1].index, layer=layer, neuron=neuron, least=least)

    found: list[tuple[str, Proposal]] = []
    asked = []
    with services.time():
        links = services.catalog.ask(index, links_of)
        for other in _others(services, index) if from_ is None else [from_]:
            try:
                found += [(other, proposal) for proposal in services.catalog.ask_several([index, other], of_both)]
            except _CANNOT:
                if from_ is not None:
                    raise
                continue
            asked.append(other)
    found.sort(key=lambda pair: (-pair[1].correlation, pair[1].layer, pair[1].neuron))
    body = listing(cut(found, limit, offset), lambda pair: _proposal(links, index, *pair))
    return page(body | {"asked": asked})


def _others(services: Services, index: str) -> list[str]:
    return [name for name in services.catalog.names() if name != index]


def _proposal(links: Links, index: str, other: str, proposal: Proposal) -> Json:
    own = {"layer": proposal.layer, "neuron": proposal.neuron}
    root = current_request().script_root
    there = f"{index_url(root, other)}{links.neuron(proposal.layer, proposal.counterpart)[len(links.index) :]}"
    return {
        **own,
        "name": proposal.name,
        "by": {
            "kind": "counterpart", "index": other, "neuron": proposal.counterpart,
            "correlation": proposal.correlation, "mutual": proposal.mutual, "images": proposal.images,
        },
        "links": {
            "neuron": links.neuron(proposal.layer, proposal.neuron),
            "note": note_url(index_url(root, index), own),
            "counterpart": there,
        },
    }  # fmt: skip
