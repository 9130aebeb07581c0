"""How a job reports while it runs. This module needs no torch, because commands import it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Reporter:
    """Takes a job's reports while it runs: ``stage`` and ``note`` get text, the others numbers of images."""

    stage: Callable[[str], None] = lambda text: None
    total: Callable[[int], None] = lambda images: None
    progress: Callable[[int], None] = lambda images: None
    left_out: Callable[[int], None] = lambda images: None
    """Gets the number of images that stay out because they were removed."""
    note: Callable[[str], None] = lambda text: None
    """Gets a sentence that a person should read."""
