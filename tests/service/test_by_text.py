"""Neurons found by texts over HTTP, by the client, by assistants, and through the network's own process."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

import indexer
import unitscope
from indexer.cli import main
from indexer.derive.carried.patch_vectors import EncoderName
from indexer.describe.by_text import find_by_text
from indexer.errors import ModelUnavailable
from service.inference.encoding import NO_ENCODER, TextEncoder
from service.inference.ipc import RemoteNetwork
from service.inference.loader import Networks
from tests.colour_encoder import Colours
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve, served
from tests.service.turns import one_by_one
from unitscope.client.transport import Refused

LAYER = "1"
ENCODER = "tests.colour_encoder:Colours"
URL = f"/v1/indexes/index/layers/{LAYER}/fires-for"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    index = build_planted(write_colours(folder / "images", 5, numbered(12)), folder / "index")
    assert main(["patch-vectors", str(index), "--layer", LAYER, "--encoder", ENCODER, "--patches", "6"]) == 0
    return index


@pytest.fixture(scope="module")
def client(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    notes = str(tmp_path_factory.mktemp("notes"))
    with served(planted, encoder=ENCODER, model="tests.own_models:planted", notes=notes) as client:
        yield client


@pytest.mark.parametrize("text", ["red", "a photo of blue"])
def test_neurons_are_those_of_the_library(client: ConformingClient, planted: Path, text: str) -> None:
    found = client.get(URL, query_string={"text": text, "limit": 3}).json
    with indexer.open(planted) as index:
        expected = find_by_text(index, LAYER, Colours(), text, 3)
    for name in ("total", "mean", "deviation", "patches", "wanted"):
        assert found[name] == pytest.approx(getattr(expected, name))
    assert found["encoder"] == {"name": "colours", "digest": "0" * 64}
    for item, other in zip(found["items"], expected.items, strict=True):
        assert (item["neuron"], item["patches"], item["auc"]) == (other.neuron, other.patches, other.auc)
        assert item["score"] == pytest.approx(other.score)
        assert client.get(item["links"]["sheet"]).content_type == "image/png"


def test_layers_say_whether_texts_find_their_neurons(client: ConformingClient) -> None:
    links = {item["layer"]: item["links"] for item in client.get("/v1/indexes/index/layers").json["items"]}
    assert [layer for layer, known in links.items() if "fires_for" in known] == [LAYER]
    assert client.get(links[LAYER]["fires_for"], query_string={"text": "red"}).status_code == 200


def test_names_stand_beside_them(client: ConformingClient) -> None:
    note = f"/v1/indexes/index/note?layer={LAYER}&neuron=0"
    client.put(note, json={"name": "reddish", "text": "", "tags": []}, headers={"If-Match": "*"})
    items = client.get(URL, query_string={"text": "red", "limit": 100}).json["items"]
    assert next(item["name"] for item in items if item["neuron"] == 0) == "reddish"


def test_what_is_missing_is_named(client: ConformingClient, planted: Path, serve: Serve) -> None:
    other = client.get(URL.replace(f"/{LAYER}/", "/4/"), query_string={"text": "red"})
    assert (other.status_code, "patch-vectors" in other.json["detail"]) == (404, True)
    for text in ("", " ", "x" * 201):
        assert client.get(URL, query_string={"text": text}).status_code == 422
    unknown = client.get(URL, query_string={"text": "spotted"})  # a word that this encoder does not know
    assert (unknown.status_code, "--encoder" in unknown.json["detail"]) == (503, True)
    without = serve(planted).get(URL, query_string={"text": "red"})
    assert (without.status_code, without.json["detail"]) == (503, NO_ENCODER)
    for encoder, told in (("tests.nowhere:made", "cannot be loaded"), ("tests.colour_encoder:Other", "be compared")):
        refused = serve(planted, encoder=encoder).get(URL, query_string={"text": "red"})
        assert (refused.status_code, told in refused.json["detail"]) == (503, True), refused.json


def test_the_client_asks_files(planted: Path) -> None:
    with unitscope.connect(planted, encoder=ENCODER) as index:
        assert index.fires_for(LAYER, "red", limit=2)["items"][0]["layer"] == LAYER
    with unitscope.connect(planted) as index, pytest.MonkeyPatch.context() as patch:
        patch.setattr("unitscope.client.transport.time.sleep", lambda _: None)
        with pytest.raises(Refused, match="--encoder"):
            index.fires_for(LAYER, "red")


@contextmanager
def process(networks: Networks) -> Iterator[RemoteNetwork]:
    """The two ends of a turn."""
    here, there = Pipe()
    thread = threading.Thread(target=one_by_one(networks), args=(there,))
    thread.start()
    network = RemoteNetwork(here, 30)
    network.begin()
    yield network
    here.close()
    thread.join(30)
    assert not thread.is_alive()


def test_a_text_is_encoded_in_the_process_of_the_network() -> None:
    with process(Networks(None, None, 1, (), TextEncoder(ENCODER))) as network:
        encoded = network.encode_text("yellow")
        assert encoded.by == EncoderName("colours", "0" * 64)
        np.testing.assert_allclose(encoded.vector, [0.5**0.5, 0.5**0.5, 0], atol=1e-6)
    with process(Networks(None, None, 1)) as network, pytest.raises(ModelUnavailable, match="--encoder names"):
        network.encode_text("yellow")


def test_a_pack_has_the_vectors(planted: Path, tmp_path: Path) -> None:
    file, copy = tmp_path / "index.tar", tmp_path / "copy"
    assert main(["pack", str(planted), str(file)]) == 0
    assert main(["unpack", str(file), str(copy)]) == 0
    with indexer.open(copy) as index, indexer.open(planted) as before:
        assert find_by_text(index, LAYER, Colours(), "red") == find_by_text(before, LAYER, Colours(), "red")
    shutil.rmtree(copy)
