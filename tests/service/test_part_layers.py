"""An index of layers that are parts of an output, over HTTP: lists, patches, boxes, uploads, pictures."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from torch import nn

from indexer.jobs.build import build
from tests.conftest import build_request, random_photo, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import served

LAYERS = ("body:fine/é", "body:rest:0", "body:tokens:token1")


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine, self.rest = nn.Conv2d(3, 4, 8, stride=8), nn.Conv2d(4, 5, 1)

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        fine = self.fine(x)
        return {"fine/é": fine, "rest": (self.rest(fine),), "tokens": fine.flatten(2).transpose(1, 2)}


def parted() -> tuple[nn.Module, dict[str, Any]]:
    torch.manual_seed(0)
    module = nn.Sequential()
    module.add_module("body", Body())
    return module, {"resize": (16, 32), "mean": 0.5, "std": 0.25}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("parts")
    photos = write_photos(folder / "photos", seed=1, count=4, classes=("a",))
    build(folder / "index", build_request(photos, model=f"{__name__}:parted", layers=LAYERS, preprocessing={}))
    with served(folder / "index", model=f"{__name__}:parted") as client:
        yield client


def test_the_layers_are_listed_by_their_names(client: ConformingClient) -> None:
    items = client.get("/v1/indexes/index/layers").json["items"]
    assert [item["layer"] for item in items] == list(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_part_answers_as_any_layer(client: ConformingClient, layer: str) -> None:
    base = f"/v1/indexes/index/layers/{quote(layer, safe='')}"
    assert client.get(base).json["layer"] == layer
    patches = client.get(f"{base}/neurons/1/patches").json["items"]
    assert len(patches) == 4
    assert client.get(f"{base}/neurons/1/sheet.png").data[:4] == b"\x89PNG"
    assert client.get(base).json["receptive_field"]["kind"] == "exact"
    links = patches[0]["links"]
    assert client.get(links["saliency"] + "&method=gradient").data[:4] == b"\x89PNG"
    assert client.get(links["heatmap"]).data[:4] == b"\x89PNG"


@pytest.mark.parametrize("layer", LAYERS)
def test_an_upload_is_found_among_the_vectors_of_a_part(client: ConformingClient, layer: str, tmp_path: Path) -> None:
    random_photo(np.random.default_rng(8), 80, 60).save(tmp_path / "photo.png")
    data = (tmp_path / "photo.png").read_bytes()
    found = client.post(
        f"/v1/indexes/index/lookup?layer={quote(layer, safe='')}", data=data, content_type="image/png",
        environ_overrides={"CONTENT_LENGTH": str(len(data))},
    )  # fmt: skip
    assert found.status_code == 200, found.text
    assert found.json["layer"] == layer
    assert len(found.json["images"]) == 4
