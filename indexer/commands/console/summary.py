"""The lines that a command prints about an index that it has written."""

from indexer.images.left_out import endings_line
from indexer.index.manifest import Manifest
from indexer.jobs.info import saturated_activations, skipped_images
from indexer.store.storage import Location

_SKIPPED_SHOWN = 10


def print_summary(index: Location, manifest: Manifest) -> None:
    """Print the index's size, the images that were skipped, and the activations that were clipped."""
    skipped = skipped_images(index, manifest)
    print(f"{index}: generation {manifest.generation}, {manifest.images} images, {len(manifest.shards)} shards")
    for path, reason in skipped[:_SKIPPED_SHOWN]:
        print(f"  skipped {path}: {reason}")
    if len(skipped) > _SKIPPED_SHOWN:
        print(f"  … {len(skipped)} were skipped in all; `info {index} --skipped` lists them")
    if manifest.endings:
        print(f"  {endings_line(manifest.endings)}")
    for layer, count in saturated_activations(index, manifest).items():
        if count:
            print(f"  {layer}: {count} activations were clipped to the range of float16 (±65504)")
