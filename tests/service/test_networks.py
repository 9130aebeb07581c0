"""Networks in one process: loaded once for a configuration, and never two at work at a time."""

import io
import logging
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.errors import ModelUnavailable
from indexer.index.configuration import Configuration
from service.inference.loader import Networks, UnitAddress


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5)).save(buffer, "PNG")
    return buffer.getvalue()


class Alone:
    """Notes when two threads are inside at the same time."""

    def __init__(self) -> None:
        self.inside = 0
        self.together = False
        self.entered: Counter = Counter()

    def enter(self, what: str) -> None:
        self.inside += 1
        self.together |= self.inside > 1
        self.entered[what] += 1
        time.sleep(0.002)  # gives the others their chance
        self.inside -= 1


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Alone:
    """Stand-ins for loading (which traces), passes and attribution."""
    found = Alone()

    class Network:
        def maps_of(self, inputs: list[np.ndarray], layers: list[str] | None) -> dict[str, np.ndarray]:
            found.enter("pass")
            return {"a": np.zeros((len(inputs), 2, 3, 4), np.float32)}

    def load(configuration: Configuration, **_: Any) -> Network:
        found.enter(f"load {configuration.digest}")
        return Network()

    monkeypatch.setattr("indexer.network.restore.network_of", load)
    monkeypatch.setattr("indexer.network.attribution.check_method", lambda method: None)
    monkeypatch.setattr("indexer.network.differentiable.unit_of", lambda *_: None)
    monkeypatch.setattr("indexer.network.attribution.attribute", lambda *_: found.enter("attribute"))
    return found


def test_tracing_and_passes_never_overlap(small_index: Path, alone: Alone) -> None:
    with indexer.open(small_index) as index:
        first = index.manifest.configuration
    several = [replace(first, weights_digest=str(number)) for number in range(3)]
    networks = Networks(None, None, 1000)

    def ask(number: int) -> None:
        for turn in range(6):
            configuration = several[(number + turn) % len(several)]
            assert networks.forward(configuration, png()).maps["a"].shape == (2, 3, 4)
            networks.attribute(
                configuration, UnitAddress("a", 0, 0, 0), "gradient", np.zeros((5, 7, 3), np.uint8), None
            )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not alone.together
    assert [alone.entered[f"load {configuration.digest}"] for configuration in several] == [1, 1, 1]
    assert (alone.entered["pass"], alone.entered["attribute"]) == (24, 24)


def test_only_some_networks_are_kept(small_index: Path, alone: Alone) -> None:
    with indexer.open(small_index) as index:
        first = index.manifest.configuration
    several = [replace(first, weights_digest=str(number)) for number in range(5)]
    networks = Networks(None, None, 1000)
    for configuration in [*several, several[1], several[0]]:
        networks.forward(configuration, png())
    loads = [alone.entered[f"load {configuration.digest}"] for configuration in several]
    assert loads == [2, 1, 1, 1, 1]  # the first had gone when the fifth came


def test_whatever_a_factory_raises_is_said_in_the_log(
    small_index: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("no checkpoint at this place")

    monkeypatch.setattr("indexer.network.restore.network_of", load)
    with indexer.open(small_index) as index:
        configuration = index.manifest.configuration
    with caplog.at_level(logging.WARNING), pytest.raises(ModelUnavailable, match="the log of the service says why"):
        Networks(None, None, 1000).forward(configuration, png())
    (record,) = caplog.records
    assert "no checkpoint at this place" in record.getMessage()
    assert record.exc_info
