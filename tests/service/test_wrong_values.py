"""Numbers in a derived file that name nothing: a 503 that names the file where they are read, nothing elsewhere."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from indexer.index.manifest import read_manifest
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
NEURON = 3
OWN = f"/v1/indexes/own/layers/{LAYER}/neurons/{NEURON}"
OTHER = f"/v1/indexes/own/layers/{LAYER}/neurons/{NEURON + 1}"
ORDERED = (
    f"{OWN}/patches", f"{OWN}/patches?class=boats", f"{OWN}/patches?per_image=all", f"{OWN}/patches?y=1&x=1",
    f"{OWN}/patches?min=0.001", OWN,
)  # fmt: skip


def spoil(index: Path, name: str, places: object, value: int) -> str:
    """Put a value into an array of the layer's derived file; the file's name."""
    file = read_manifest(index).derived[f"layer {LAYER}"]
    with h5py.File(index / file, "r+") as h5:
        array = h5[name][()]
        array[places] = value
        h5[name][()] = array
    return file


def check(client: ConformingClient, url: str, file: str) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "index-unavailable"), url
    assert file in answer.json["detail"]


@pytest.mark.parametrize("value", [40, 2**31, 2**32 - 1])
def test_an_order_that_names_no_image(serve: Serve, own_index: Path, value: int) -> None:
    file = spoil(own_index, "order", np.s_[NEURON], value)
    client = serve(own_index)
    for url in ORDERED:
        check(client, url, file)
    for url in ORDERED:
        assert client.get(url.replace(OWN, OTHER)).status_code == 200
    concept = client.post("/v1/indexes/own/concept", json={"layer": LAYER, "class": "boats"})
    assert (concept.status_code, file in concept.json["detail"]) == (503, True)


@pytest.mark.parametrize("value", [10_000, 2**32 - 1])
def test_a_peak_at_no_cell(serve: Serve, own_index: Path, value: int) -> None:
    file = spoil(own_index, "peak_cells", np.s_[:], value)
    client = serve(own_index)
    check(client, f"{OWN}/patches", file)
    check(client, f"/v1/indexes/own/images/3/neurons?layer={LAYER}&fraction=1", file)
    assert client.get(f"{OWN}/patches?per_image=all").status_code == 200


@pytest.mark.parametrize("places", [np.s_[:], np.s_[-1:]])
def test_counts_that_end_too_early(serve: Serve, own_index: Path, places: slice) -> None:
    file = spoil(own_index, "histogram/cumulative", places, 0)
    check(serve(own_index), OWN, file)


@pytest.mark.parametrize(("neuron", "end"), [(NEURON, -1), (NEURON, 2**40), (NEURON, 0), (-1, 2**40), (-1, 5)])
def test_entries_that_end_elsewhere(serve: Serve, own_index: Path, neuron: int, end: int) -> None:
    file = spoil(own_index, "histogram/ends", neuron, end)
    check(serve(own_index), OWN, file)
