"""How an index remembers the paths of removed images."""

import hashlib


def path_fingerprint(path: str) -> str:
    """The digest that an index keeps of a removed image's path. The path itself may have to be erased, too."""
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
