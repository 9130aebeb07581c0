"""How a job works, and how far it trusts a network. What commands import needs no torch."""

from dataclasses import dataclass

from indexer.defaults import BAD_IMAGES
from indexer.jobs.bounds import check_number

_MOST_DECODERS = 1024


@dataclass(frozen=True)
class Limits:
    """How a job works, and how far it trusts a network.

    Attributes
    ----------
    passes : int or None
        The most forward passes at once; None for a number that suits the device.
    bad_images : int
        On how many images the network may give NaN or infinity. They are skipped; one more ends the job.
    decoders : int
        Processes that decode images; 0 for threads of this process. Each imports the program that was started anew, so
        a script must have ``if __name__ == "__main__":``.

    Raises
    ------
    InvalidRequest
        So many processes cannot decode.
    """

    passes: int | None = None
    bad_images: int = BAD_IMAGES
    decoders: int = 0

    def __post_init__(self) -> None:
        check_number("decoders", self.decoders, 0, _MOST_DECODERS)


DEFAULT_LIMITS = Limits()
