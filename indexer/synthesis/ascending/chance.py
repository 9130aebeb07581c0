"""Chance by seed: every image has a generator of its own, so that its draws do not depend on what is made beside it."""

import hashlib

import torch


def chance(*of: object) -> torch.Generator:
    """A generator on the CPU whose numbers depend on these values alone."""
    digest = hashlib.blake2b(repr(of).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
