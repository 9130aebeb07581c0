"""Names that neurons without one could have: through their counterparts in other indexes, and by machine."""

from collections.abc import Sequence
from typing import Final

from flask import Response

from indexer.errors import DamagedFile, InvalidRequest, NotFound
from service.errors import IndexUnavailable
from service.handlers import as_json
from service.http.current import current_request
from service.http.paging import cut, listing
from service.indexes.generations import OpenGeneration
from service.notes.exchange.proposing import Proposal, by_machine, proposals
from service.notes.exchange.suggestions import Suggestion, refuse
from service.payloads.links import Links, index_url
from service.payloads.notes import note_url
from service.questions import Json, Services, question_of
from service.views.notes.notes import author, page, tidy
from service.views.notes.subjects import located

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

    def of_machine(held: OpenGeneration) -> tuple[Links, list[Suggestion]]:
        links = question_of(current_request(), index, held, services).links
        return links, by_machine(services.notes, held.index, layer=layer, neuron=neuron)

    def of_both(held: Sequence[OpenGeneration]) -> list[Proposal]:
        return proposals(services.notes, held[0].index, held[1].index, layer=layer, neuron=neuron, least=least)

    found: list[tuple[str, Proposal]] = []
    asked = []
    with services.time():
        links, suggestions = services.catalog.ask(index, of_machine)
        for other in _others(services, index) if from_ is None else [from_]:
            try:
                found += [(other, proposal) for proposal in services.catalog.ask_several([index, other], of_both)]
            except _CANNOT:
                if from_ is not None:
                    raise
                continue
            asked.append(other)
    found.sort(key=lambda pair: (-pair[1].correlation, pair[1].layer, pair[1].neuron))
    items = [_proposal(links, index, *pair) for pair in found]
    if from_ is None:
        items += [_suggestion(links, index, one) for one in suggestions]
    return page(listing(cut(items, limit, offset), dict) | {"asked": asked})


def refuse_proposal(services: Services, index: str, layer: str, neuron: int, name: str, refused: bool) -> Response:
    about = located(services, index, {"layer": layer, "neuron": neuron})
    name = tidy(name) or name
    refuse(services.notes, about.subject, name, author(), refused)
    return as_json({"layer": layer, "neuron": neuron, "name": name, "refused": refused})


def _others(services: Services, index: str) -> list[str]:
    return [name for name in services.catalog.names() if name != index]


def _proposal(links: Links, index: str, other: str, proposal: Proposal) -> Json:
    there = index_url(current_request().script_root, other)
    by = {
        "kind": "counterpart", "index": other, "neuron": proposal.counterpart, "correlation": proposal.correlation,
        "mutual": proposal.mutual, "images": proposal.images,
    }  # fmt: skip
    counterpart = there + links.neuron(proposal.layer, proposal.counterpart)[len(links.index) :]
    return _item(links, index, proposal.layer, proposal.neuron, proposal.name, by, {"counterpart": counterpart})


def _suggestion(links: Links, index: str, one: Suggestion) -> Json:
    return _item(links, index, one.layer, one.neuron, one.name, one.by, {})


def _item(links: Links, index: str, layer: str, neuron: int, name: str, by: Json, more: Json) -> Json:
    own = {"layer": layer, "neuron": neuron}
    note = note_url(index_url(current_request().script_root, index), own)
    known = {"neuron": links.neuron(layer, neuron), "note": note, "refusal": f"{links.index}/proposals/refusal"}
    return {**own, "name": name, "by": by, "links": known | more}
