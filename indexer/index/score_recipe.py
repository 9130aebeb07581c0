"""How the scores of a layer's neurons are worked out."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ScoreRecipe:
    """In which vectors, and of how many patches; the manifest holds it for each layer that has scores.

    Attributes
    ----------
    by : str
        The layer in whose vectors patches are compared.
    patches : int
        How many top patches of each neuron, of different images.
    pool : str
        One of `indexer.defaults.SCORE_POOLS`.
    """

    by: str
    patches: int
    pool: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
