"""What no request and no index may bring about: files from elsewhere, code from elsewhere, words about this machine."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from indexer.jobs.build import build
from tests.conftest import build_request, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
OUTSIDE = b"root of all that is private"


@pytest.fixture
def neighbours(small_index: Path, tmp_path: Path) -> Path:
    """A folder with an index, beside files and an index that are not served."""
    shutil.copytree(small_index, tmp_path / "served" / "own")
    shutil.copytree(small_index, tmp_path / "private")
    (tmp_path / "secret").write_bytes(OUTSIDE)
    return tmp_path / "served"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/indexes/..", "/v1/indexes/../private", "/v1/indexes/..%2Fprivate", "/v1/indexes/%2E%2E%2Fprivate",
        "/v1/indexes/own%2F..%2F..%2Fprivate", "/v1/indexes/..%5Cprivate", "/v1/indexes/own%00", "/v1/indexes/.",
        "/v1/indexes/%2Fetc", "/v1/indexes/own/..%2F..%2Fprivate", "/v1/indexes/own/%2E%2E/private",
        "/v1/indexes/own/layers/..%2F..%2Fsecret", "/v1/indexes/own/layers/%2Fetc%2Fpasswd",
        "/v1/indexes/own/classes/..%2F..%2Fsecret", "/v1/indexes/own/classes/%2Fetc%2Fpasswd",
        "/v1/indexes/own/images/..%2F..%2Fsecret/file", "/v1/indexes/own/images/1/file/../../../secret",
        "/openapi.yaml/../secret", "/../secret", "/%2e%2e/secret", "/v1/indexes/own/manifest.json",
        "/v1/indexes/own/shards/000000.h5", "/v1/indexes/" + "a" * 5000, "/v1/indexes/%ff%fe",
        "/v1/indexes/%f0%9f%92%a9",
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(serve: Serve, neighbours: Path, path: str) -> None:
    answer = serve(neighbours).get(path)
    assert answer.status_code in (404, 422)
    assert str(neighbours.parent) not in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "birds/../../secret", "birds//photo 000.png", "birds"])
def test_images_are_found_by_their_own_path_only(client: ConformingClient, path: str) -> None:
    assert client.get("/v1/indexes/small/images", query_string={"path": path}).json["items"] == []


def test_an_original_replaced_by_a_link_is_not_followed(serve: Serve, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=3, count=4)
    build(tmp_path / "own", build_request(photos, layers=[LAYER]))
    client = serve(tmp_path / "own")
    image = client.get("/v1/indexes/own/images?limit=1").json["items"][0]
    original = photos / image["path"]
    moved = original.rename(tmp_path / "moved.png")
    for target in (tmp_path / "secret", Path("/etc/passwd"), moved):
        (tmp_path / "secret").write_bytes(OUTSIDE)
        original.symlink_to(target)
        for link in (image["links"]["file"], f"{image['links']['self']}/layers/{LAYER}/cells/0,0/patch.jpg"):
            assert client.get(link).status_code == 410
        original.unlink()
    shutil.copy(moved, original)
    assert client.get(image["links"]["file"]).status_code == 200


def test_an_original_that_was_replaced_is_not_shown(serve: Serve, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=4, count=4)
    build(tmp_path / "own", build_request(photos, layers=[LAYER]))
    client = serve(tmp_path / "own")
    first, second = client.get("/v1/indexes/own/images?limit=2").json["items"]
    shutil.copy(photos / second["path"], photos / first["path"])
    answer = client.get(first["links"]["file"])
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (409, "image-changed")
    assert first["path"] in answer.json["detail"]
    (photos / first["path"]).unlink()
    assert client.get(first["links"]["file"]).status_code == 410
    assert client.get(second["links"]["file"]).status_code == 200


def test_originals_are_found_where_the_setting_says(serve: Serve, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=4, count=3)
    build(tmp_path / "own", build_request(photos, layers=[LAYER]))
    moved = photos.rename(tmp_path / "moved")
    file = "/v1/indexes/own/images/0/file"
    assert serve(tmp_path / "own").get(file).status_code == 410
    assert serve(tmp_path / "own", images=moved).get(file).status_code == 200


def changed_manifest(index: Path, **model: str) -> None:
    path = index / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["configuration"]["model"] |= model
    path.write_text(json.dumps(manifest))


def test_a_manifest_is_not_trusted_to_import_code(
    serve: Serve, own_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_folder: Path
) -> None:
    trace = tmp_path / "imported"
    (tmp_path / "hostile.py").write_text(f"open({str(trace)!r}, 'w').close()\ndef make(): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    changed_manifest(own_index, name="hostile:make")
    photo = (photo_folder / "birds" / "photo 000.png").read_bytes()
    answer = serve(own_index).post("/v1/indexes/own/lookup", data=photo, content_type="image/png")
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "model-unavailable")
    assert "--model" in answer.json["detail"]
    assert not trace.exists()
    assert "hostile" not in sys.modules


def test_an_owners_network_is_used_where_the_setting_names_it(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_network.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    module = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU())\n"
        "    return module, dict(resize=[40, 56], crop=None, mean=0.5, std=0.25)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    photos = write_photos(tmp_path / "photos", seed=4, count=3)
    build(tmp_path / "own", build_request(photos, model="own_network:make", layers=["1"], preprocessing={}))
    photo = next(photos.rglob("*.png")).read_bytes()
    url = "/v1/indexes/own/lookup"
    assert serve(tmp_path / "own").post(url, data=photo, content_type="image/png").status_code == 503
    answer = serve(tmp_path / "own", model="own_network:make").post(url, data=photo, content_type="image/png")
    assert answer.status_code == 200
    assert answer.json["images"][0]["score"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "model", [{"weights": "/nowhere/of/mine.pth"}, {"weights_digest": "0" * 64}, {"name": "no_such_model"}]
)
def test_a_network_that_cannot_be_loaded_says_so_without_naming_files(
    serve: Serve, own_index: Path, photo_folder: Path, model: dict[str, str]
) -> None:
    changed_manifest(own_index, **model)
    photo = (photo_folder / "birds" / "photo 000.png").read_bytes()
    client = serve(own_index)
    answer = client.post("/v1/indexes/own/lookup", data=photo, content_type="image/png")
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "model-unavailable")
    assert "/nowhere" not in answer.get_data(as_text=True)
    assert client.get(f"/v1/indexes/own/layers/{LAYER}/neurons/0/patches").status_code == 200


def test_answers_name_no_place_on_this_machine(client: ConformingClient, small_index: Path, photo_folder: Path) -> None:
    for url in ("/v1/indexes", "/v1/indexes/small", "/v1/indexes/small/images", "/readyz"):
        text = client.get(url).get_data(as_text=True)
        for place in (str(small_index.parent), str(photo_folder), os.getcwd(), str(Path.home()) + "/"):
            assert place not in text
