"""An index of images with twelve channels over HTTP: the file, pictures for people, an upload."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

import indexer
from tests.indexer.test_channels import build_of, write_bands
from tests.service.conftest import served

BASE = "/v1/indexes/index"


def test_images_of_twelve_channels_are_answered(tmp_path: Path) -> None:
    images = write_bands(tmp_path / "images", 5)
    index = build_of(images, tmp_path / "index", "twelve")
    with served(index, model="tests.indexer.test_channels:twelve") as client, indexer.open(index) as opened:
        record = opened.image(2)
        data = (images / record.path).read_bytes()
        original = client.get(f"{BASE}/images/2/file")
        assert (original.mimetype, original.get_data()) == ("image/x-npy", data)
        shown = Image.open(io.BytesIO(client.get(f"{BASE}/images/2/picture.jpg").get_data()))
        assert shown.size == (record.width, record.height) == np.load(io.BytesIO(data)).shape[1::-1]
        assert client.get(BASE).json["preprocessing"]["channels"] == 12
        answer = client.post(f"{BASE}/lookup", data={"image": (io.BytesIO(data), "own.npy")}).json
        assert answer["images"][0]["image"] == 2
        wrong = io.BytesIO()
        np.save(wrong, np.zeros((30, 40, 5), np.uint8))
        wrong.seek(0)
        refused = client.post(f"{BASE}/lookup", data={"image": (wrong, "own.npy")})
        assert refused.status_code == 422
        assert "the image has 5 channels, and the network takes 12" in refused.json["detail"]
