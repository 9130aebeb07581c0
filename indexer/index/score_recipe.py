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

    @property
    def words(self) -> str:
        """By what the scores were made, for people."""
        return self.by


@dataclass(frozen=True)
class EncoderRecipe:
    """By which encoder of images, and of how many patches; the file of the scores holds it.

    Attributes
    ----------
    name, digest : str
        What the encoder says of itself; the digest changes with its weights.
    patches : int
        How many top patches of each neuron, of different images.
    images : int
        Images of the index then.
    generation : int
        The generation of the index then.
    lost : int
        Patches that were left out, as their originals were not there.
    """

    name: str
    digest: str
    patches: int
    images: int
    generation: int
    lost: int

    @property
    def words(self) -> str:
        """By what the scores were made, for people."""
        return f"the encoder {self.name} ({self.digest[:8]})"
