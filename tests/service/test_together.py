"""Uploads that wait at once: each gets what it gets alone, bit for bit, whoever shares its pass."""

import contextlib
import io
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from indexer.errors import ImageRejected
from indexer.index.manifest import read_manifest
from service.inference.ipc import RemoteNetwork
from service.inference.loader import ForwardResult, Networks, Upload
from service.inference.together import Together, serve_together
from tests.conftest import random_photo

CONFIGURATION = SimpleNamespace(digest="one")


class StandIn:
    """Networks whose one layer is the image's bytes; ``drift`` is what a batch adds, ``broken`` fails any batch."""

    def __init__(self, drift: float = 0.0, broken: bytes | None = None) -> None:
        self.drift, self.broken = drift, broken
        self.passes: list[int] = []

    def read(self, configuration: object, data: bytes) -> Upload:
        if data == b"text":
            raise ImageRejected("not an image")
        return Upload(len(data), 1, np.frombuffer(data, np.uint8)[:2])

    def see(
        self, configuration: object, uploads: Sequence[Upload], layers: Collection[str] | None
    ) -> list[ForwardResult]:
        self.passes.append(len(uploads))
        if any(upload.pixels.tobytes() == self.broken for upload in uploads):
            raise ImageRejected("the network fails")
        added = self.drift * (len(uploads) > 1)
        return [
            ForwardResult(upload.width, upload.height, {"a": upload.pixels.astype(np.float32) + np.float32(added)})
            for upload in uploads
        ]


def beat(question: str) -> contextlib.AbstractContextManager[None]:
    assert question == "see"
    return contextlib.nullcontext()


def asked(together: Together, files: list[bytes], layers: list[str] | None = None) -> list[list[float] | str]:
    found = together.forward(CONFIGURATION, files, layers, beat)
    return [str(one) if isinstance(one, ImageRejected) else one.maps["a"].tolist() for one in found]


def test_they_share_passes_once_they_were_seen_to_be_equal() -> None:
    networks = StandIn()
    together = Together(networks, 4)
    for passes in ([1, 1, 2], [2], [2]):
        networks.passes.clear()
        assert asked(together, [b"ab", b"cd"]) == [[97, 98], [99, 100]]
        assert networks.passes == passes
    networks.passes.clear()
    asked(together, [b"ab", b"cd", b"ef"])
    asked(together, [b"ab", b"cd"], ["a"])
    assert networks.passes == [1, 1, 1, 3, 1, 1, 2], "other numbers of images and other layers are other kernels"


def test_a_network_whose_last_bits_differ_is_not_shared() -> None:
    networks = StandIn(drift=1e-5)
    together = Together(networks, 4)
    for passes in ([1, 1, 2], [1, 1], [1, 1]):
        networks.passes.clear()
        assert asked(together, [b"ab", b"cd"]) == [[97, 98], [99, 100]]
        assert networks.passes == passes


def test_one_that_fails_leaves_the_others_as_they_are() -> None:
    networks = StandIn(broken=b"xx")
    together = Together(networks, 4)
    assert asked(together, [b"ab", b"text", b"cd"]) == [[97, 98], "not an image", [99, 100]]
    assert networks.passes == [1, 1, 2]
    assert asked(together, [b"ab", b"cd"]) == [[97, 98], [99, 100]]
    assert networks.passes == [1, 1, 2, 2]
    assert asked(together, [b"xx", b"ab"]) == ["the network fails", [97, 98]]
    assert networks.passes == [1, 1, 2, 2, 2, 1, 1], "together, then each alone"
    assert asked(together, [b"text"]) == ["not an image"]


def photos(count: int) -> Iterator[bytes]:
    rng = np.random.default_rng(3)
    for _ in range(count):
        buffer = io.BytesIO()
        random_photo(rng, 90, 70).save(buffer, "PNG")
        yield buffer.getvalue()


@pytest.mark.parametrize("most", [1, 4])
def test_turns_that_wait_together_get_what_each_gets_alone(small_index: Path, most: int) -> None:
    networks, configuration = Networks(None, None, 60_000), read_manifest(small_index).configuration
    together, files = Together(networks, most), [*photos(3), b"no image"]
    alone = [networks.forward(configuration, file, ["features.7"]) for file in files[:3]]

    def ask(number: int, connection) -> ForwardResult | str:
        with connection:
            network = RemoteNetwork(connection, 60)
            network.begin()
            if number == 4:  # gone before it asks
                return "gone"
            try:
                return network.forward(configuration, files[number], ["features.7"])
            except ImageRejected:
                return "rejected"

    def asked_at_once() -> list[ForwardResult | str]:
        pairs = [Pipe() for _ in range(5)]
        waiting = iter([theirs for _, theirs in pairs])
        with ThreadPoolExecutor(5) as pool:
            answers = [pool.submit(ask, number, ours) for number, (ours, _) in enumerate(pairs)]
            while (first := next(waiting, None)) is not None:
                serve_together(together, first, lambda: next(waiting, None), lambda question: contextlib.nullcontext())
            return [answer.result() for answer in answers]

    for _ in range(3):
        found = asked_at_once()
        assert found[3:] == ["rejected", "gone"]
        for one, expected in zip(found, alone, strict=False):
            assert (one.width, one.height) == (expected.width, expected.height)
            assert one.maps.keys() == expected.maps.keys()
            for layer, maps in expected.maps.items():
                assert one.maps[layer].tobytes() == maps.tobytes()
