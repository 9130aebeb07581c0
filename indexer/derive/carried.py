"""Derived files that later generations list too: each depends on more than the images of one generation."""

from indexer.derive import atlas, effective
from indexer.index.manifest import Manifest


def carried_files(manifest: Manifest) -> dict[str, str]:
    """Effective fields and atlases of the layers that an index has, by their keys in `Manifest.derived`."""
    layers = [layer.name for layer in manifest.configuration.layers]
    keys = [key_of(layer) for key_of in (effective.key_of, atlas.key_of) for layer in layers]
    return {key: manifest.derived[key] for key in keys if key in manifest.derived}
