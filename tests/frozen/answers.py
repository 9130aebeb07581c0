"""What a frozen index is asked; in JSON, so that answers outlive every class of the program."""

import hashlib
from typing import Any

from indexer.jobs.info import skipped_images
from indexer.query.index import Index
from indexer.query.records import ImageRecord, Patch, SimilarPatch

LIMIT = 4


def answers_of(index: Index) -> dict[str, Any]:
    """Answers to every kind of question about an index's images, neurons and cells."""
    images = [index.image(int(number)) for number in index.images.id]
    return {
        "images": [_image(index, image) for image in images],
        "skipped": [list(pair) for pair in skipped_images(index.path)],
        "layers": {name: _layer(index, name, images) for name in index.layers},
    }


def _image(index: Index, image: ImageRecord) -> dict[str, Any]:
    return {
        "id": image.id, "path": image.path, "class": image.class_, "size": [image.width, image.height],
        "sha256": hashlib.sha256(index.original(image)).hexdigest(),
        "firing": [
            [hit.layer, hit.neuron, hit.y, hit.x, hit.activation]
            for hit in index.neurons_firing(image.id, limit=LIMIT, fraction=0.1).items
        ],
    }  # fmt: skip


def _layer(index: Index, name: str, images: list[ImageRecord]) -> dict[str, Any]:
    info = index.layer(name).info
    middle = (info.height // 2, info.width // 3)
    directions = {neuron: 1.0 - neuron / 2 for neuron in range(3)}
    return {
        "shape": [info.channels, info.height, info.width],
        "neurons": [_neuron(index, name, neuron) for neuron in range(info.channels)],
        "statistics": {key: values.tolist() for key, values in index.neuron_statistics(name).items()},
        "thresholds": index.thresholds(name, 0.05).tolist(),
        "maps": {str(image.id): hashlib.sha256(index.activation_maps(image.id, name).tobytes()).hexdigest()
                 for image in images},
        "similar": [_similar(hit) for hit in index.similar(name, images[2].id, *middle, limit=LIMIT).items],
        "exact": [_similar(hit) for hit in index.similar(name, images[2].id, *middle, limit=LIMIT, exact=True).items],
        "search": [_similar(hit) for hit in index.search(name, directions, limit=LIMIT, exact=True).items],
    }  # fmt: skip


def _neuron(index: Index, layer: str, neuron: int) -> dict[str, Any]:
    edges, counts = index.histogram(layer, neuron, bins=5)
    return {
        "one": [_patch(hit) for hit in index.top_patches(layer, neuron, limit=LIMIT).items],
        "all": [_patch(hit) for hit in index.top_patches(layer, neuron, per_image="all", limit=LIMIT).items],
        "histogram": [edges.tolist(), counts.tolist()],
    }


def _patch(hit: Patch) -> list[Any]:
    box = hit.box
    return [hit.image.id, hit.y, hit.x, hit.activation, hit.percentile, [box.left, box.top, box.width, box.height]]


def _similar(hit: SimilarPatch) -> list[Any]:
    return [hit.image.id, hit.y, hit.x, hit.score]
