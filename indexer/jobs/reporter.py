"""What a job tells while it runs. Without torch, as commands need it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Reporter:
    """What a job tells while it runs: ``stage`` gets a line, the others numbers of images."""

    stage: Callable[[str], None] = lambda text: None
    total: Callable[[int], None] = lambda images: None
    progress: Callable[[int], None] = lambda images: None
    left_out: Callable[[int], None] = lambda images: None
    """Of those that were removed and stay so."""
    note: Callable[[str], None] = lambda text: None
    """A sentence that a person should read."""
