"""How far a job trusts a network. It needs no torch, because commands and `indexer.jobs.upkeep.verify` import it."""

from dataclasses import dataclass

from indexer.defaults import BAD_IMAGES


@dataclass(frozen=True)
class Limits:
    """How far a job trusts a network.

    Attributes
    ----------
    passes : int or None
        The most forward passes at once; None for a number that suits the device.
    bad_images : int
        On how many images the network may give NaN or infinity. They are skipped; one more ends the job.
    """

    passes: int | None = None
    bad_images: int = BAD_IMAGES


DEFAULT_LIMITS = Limits()
