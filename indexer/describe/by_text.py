"""Neurons by a text, with an encoder at hand."""

from indexer.derive.carried.patch_vectors import EncoderName
from indexer.describe.encoder import Checked, Encoder
from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.searching.by_text import Ranked, check_encoder, fires_for

LONGEST = 200
"""Characters of a text."""


def find_by_text(index: Index, layer: str, encoder: Encoder, text: str, limit: int = 20) -> Ranked:
    """The neurons of a layer that fire for what a text says; see `indexer.query.searching.by_text.fires_for`.

    Raises
    ------
    NotFound, InvalidRequest, UserCodeFailed, DamagedFile
    """
    check_text(text)
    name = EncoderName(encoder.name, encoder.digest)
    check_encoder(index, layer, name)
    return fires_for(index, layer, name, Checked(encoder).texts([text])[0], limit)


def check_text(text: str) -> None:
    """Refuse what cannot be searched for.

    Raises
    ------
    InvalidRequest
    """
    if not text.strip() or len(text) > LONGEST:
        raise InvalidRequest(f"a text has 1 to {LONGEST} characters, not {len(text)}")
