"""What is asked, and what the library says to it, generation by generation.

An answer names the generation that it is from by its ETag. Every generation is kept, by links to its files, right after
it was published; once the load is over, so as not to be part of it, the library is asked for each, and the ETag comes
from an application that holds this generation only.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import indexer
from indexer import pictures
from indexer.images.reading import read_picture
from indexer.query.index import Index
from indexer.query.lookup import look_up
from indexer.query.records import Page
from service.app import create_app
from service.settings import Settings

LIMIT = 20
TOLERANCE = 1e-3
"""Relative: a pass with another number of threads sums in another order."""


@dataclass(frozen=True)
class Question:
    """A request, the part of its answer that is compared, and the same from the library.

    Attributes
    ----------
    kind : str
    path : str
        Below the URL of the index.
    body : bytes or None
        An upload; its answers carry no ETag.
    content : callable (bytes) -> object
        What is compared of an answer: JSON without links, or the bytes of a picture.
    expected : callable (Index) -> object
    """

    kind: str
    path: str
    body: bytes | None
    content: Callable[[bytes], Any]
    expected: Callable[[Index], Any]


def questions(index: Index, layer: str, images: list[int], uploads: list[bytes], seed: int) -> list[Question]:
    """Top patches, neurons on an image, crops and uploads; ``images`` are ids that stay in the index."""
    rng = random.Random(seed)
    info = index.layer(layer).info
    asked: list[Question] = []
    for neuron in rng.sample(range(info.channels), 8):
        asked += [_patches(layer, neuron, "one"), _patches(layer, neuron, "all")]
    for image in rng.sample(images, min(10, len(images))):
        asked.append(_firing(image))
        asked.append(_crop(layer, image, rng.randrange(info.height), rng.randrange(info.width)))
    network = index.network()
    return asked + [_upload(layer, data, network) for data in uploads]


def _patches(layer: str, neuron: int, per_image: str) -> Question:
    def expected(index: Index) -> Any:
        return _items(index.top_patches(layer, neuron, limit=LIMIT, per_image=per_image))

    path = f"/layers/{layer}/neurons/{neuron}/patches?limit={LIMIT}&per_image={per_image}"
    return Question("patches", path, None, _listed, expected)


def _firing(image: int) -> Question:
    def expected(index: Index) -> Any:
        return _items(index.neurons_firing(image, limit=LIMIT))

    return Question("neurons-on-image", f"/images/{image}/neurons?limit={LIMIT}", None, _listed, expected)


def _crop(layer: str, image: int, y: int, x: int) -> Question:
    def expected(index: Index) -> bytes:
        return pictures.encode(pictures.patch(index, index.image(image), layer, y, x, size=96), "JPEG")

    return Question("crop", f"/images/{image}/layers/{layer}/cells/{y},{x}/patch.jpg?size=96", None, bytes, expected)


def _upload(layer: str, data: bytes, network: Any) -> Question:
    picture = read_picture(data)
    maps = {name: batch[0] for name, batch in network.maps([picture]).items()}

    def expected(index: Index) -> Any:
        found = look_up(index, maps, picture.width, picture.height, layer=layer, fraction=None, limit=3, cell=None)
        firing = [[one.neuron, one.y, one.x, one.activation] for one in found.firing]
        patches = [[one.image.id, one.y, one.x, one.score] for one in found.patches]
        return [found.y, found.x, firing, patches, [[one.image.id, one.score] for one in found.images]]

    return Question("upload", f"/lookup?layer={layer}&limit=3", data, _looked_up, expected)


def _listed(body: bytes) -> Any:
    found = json.loads(body)
    keys = ("image", "layer", "neuron", "cell", "activation", "percentile", "box")
    return [found["total"], [[item.get(key) for key in keys] for item in found["items"]]]


def _items(page: Page) -> Any:
    return [
        page.total,
        [
            [
                one.image.id, one.layer, one.neuron, {"y": one.y, "x": one.x}, one.activation, one.percentile,
                one.box.as_dict(),
            ]
            for one in page.items
        ],
    ]  # fmt: skip


def _looked_up(body: bytes) -> Any:
    found = json.loads(body)
    return [
        found["cell"]["y"], found["cell"]["x"],
        [[one["neuron"], one["cell"]["y"], one["cell"]["x"], one["activation"]] for one in found["neurons"]],
        [[one["image"], one["cell"]["y"], one["cell"]["x"], one["score"]] for one in found["patches"]],
        [[one["image"], one["score"]] for one in found["images"]],
    ]  # fmt: skip


class Answers:
    """What is right, by question and generation."""

    def __init__(self, asked: list[Question], folder: Path) -> None:
        self._asked = asked
        self._folder = folder
        self._kept: list[Path] = []
        self._by_tag: list[dict[str, Any]] = [{} for _ in asked]
        self._uploads: list[list[Any]] = [[] for _ in asked]
        self.generations: list[int] = []

    def keep(self, directory: Path) -> None:
        """Remember the generation that is published now; nobody else may publish meanwhile."""
        kept = self._folder / str(len(self._kept)) / directory.name
        self._kept.append(shutil.copytree(directory, kept, copy_function=os.link))

    @property
    def published(self) -> int:
        """How many generations were kept."""
        return len(self._kept)

    def learn(self) -> None:
        """Ask the library about every generation that was kept."""
        for directory in self._kept:
            self._learn(directory)

    def _learn(self, directory: Path) -> None:
        app = create_app(Settings(directory=directory, check_seconds=3600.0))
        client = app.test_client()
        with indexer.open(directory) as index:
            self.generations.append(index.generation)
            for question, by_tag, uploads in zip(self._asked, self._by_tag, self._uploads, strict=True):
                right = question.expected(index)
                if question.body is not None:
                    uploads.append(right)
                    continue
                tag = client.head(f"/v1/indexes/{directory.name}{question.path}").headers["ETag"]
                by_tag[tag] = right
        app.close()

    def right(self, number: int, tag: str | None, content: Any) -> bool:
        """Whether an answer to a question is the library's, for the generation that it says it is from.

        An upload's answer says none; it must be that of one generation, whole.
        """
        if self._asked[number].body is None:
            return tag in self._by_tag[number] and self._by_tag[number][tag] == content
        return any(_alike(right, content) for right in self._uploads[number])


def _alike(right: Any, given: Any) -> bool:
    if isinstance(right, list):
        return len(right) == len(given) and all(map(_alike, right, given))
    if isinstance(right, float):
        return bool(np.isclose(right, given, rtol=TOLERANCE, atol=TOLERANCE))
    return right == given
