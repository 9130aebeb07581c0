"""Which receptive field of a patch a picture shows."""

from collections.abc import Sequence
from dataclasses import replace

from indexer.defaults import Field
from indexer.query.index import Index
from indexer.query.records import Patch


def framed(index: Index, layer: str, patches: Sequence[Patch], field: Field) -> list[Patch]:
    """Patches of a layer, whose ``box`` is that of the field which a picture shows.

    Raises
    ------
    NotFound
        The layer has no effective field.
    """
    index.check_field(layer, field)
    if field == "exact":
        return list(patches)
    return [replace(patch, box=patch.effective_box or patch.box) for patch in patches]
