"""What a model's name leads to, before its weights are loaded."""

from dataclasses import dataclass, field

from torch import nn

from indexer.inputs.told import Told


@dataclass(frozen=True)
class Made:
    """A module, and what came with it.

    Attributes
    ----------
    module : nn.Module
    told : Told
        What is known of its preprocessing.
    categories : list of str
        What its outputs stand for, where that is known.
    notes : tuple of str
        What a person should know of how it was made.
    digest : str or None
        Of a program's file; for other models their weights decide.
    """

    module: nn.Module
    told: Told
    categories: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    digest: str | None = None
