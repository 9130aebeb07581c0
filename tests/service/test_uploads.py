"""Uploads: whatever is sent gets a right answer or a clear refusal, and nothing of it touches the disk."""

import io
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.errors import DamagedFile
from indexer.jobs.build import build
from indexer.jobs.upkeep.remove import remove
from indexer.query.index import Index
from indexer.query.lookup import Lookup, look_up
from service.errors import Busy
from service.http.bounded_queue import Gate
from service.telemetry import metrics
from tests.conftest import build_request, random_photo, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

URL = "/v1/indexes/small/lookup?limit=5&layer=features.12"
PHOTO = random_photo(np.random.default_rng(8), 150, 111)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(PHOTO, "JPEG", exif=exif)


def post(client: ConformingClient, data: bytes, content_type: str = "image/png"):
    return client.post(URL, data=data, content_type=content_type, environ_overrides={"CONTENT_LENGTH": str(len(data))})


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart body of (headers, content) pairs."""
    body = b"".join(b"--frontier\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return body + b"--frontier--\r\n", "multipart/form-data; boundary=frontier"


FILE = 'Content-Disposition: form-data; name="image"; filename="a.png"'


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A temporary file is a failure."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an upload was written to disk")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    return


@pytest.mark.parametrize(
    "data",
    [
        *(encoded(PHOTO, format) for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "TGA", "PPM")),
        *(encoded(PHOTO.convert(mode), "PNG") for mode in ("L", "P", "RGBA", "1", "I;16")),
        encoded(PHOTO.convert("CMYK"), "JPEG"), encoded(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(90)]),
        encoded(PHOTO, "JPEG") + b"<script>alert(1)</script>", encoded(PHOTO, "PNG") + b"PK\x03\x04" * 50,
    ],
    ids=["png", "jpeg", "webp", "gif", "bmp", "tiff", "tga", "ppm", "grey", "palette", "alpha", "bilevel", "16 bit",
         "cmyk", "animated", "html behind", "zip behind"],
)  # fmt: skip
def test_images_of_every_kind_are_looked_up(client: ConformingClient, data: bytes) -> None:
    answer = post(client, data)
    assert answer.status_code == 200
    assert (answer.json["width"], answer.json["height"]) == PHOTO.size
    assert client.post(URL, data={"image": (io.BytesIO(data), "any name")}).json == answer.json


def test_exif_orientation_is_applied(client: ConformingClient) -> None:
    answer = post(client, turned())
    assert (answer.json["width"], answer.json["height"]) == PHOTO.size[::-1]


def test_the_same_pixels_give_the_same_answer(client: ConformingClient) -> None:
    answers = [post(client, encoded(PHOTO, format)).json for format in ("PNG", "BMP", "TIFF")]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422), (b"x", 415), (b"GIF89a", 415), (b"%PDF-1.7 " + b"x" * 500, 415), (b"<svg xmlns='x'/>" * 20, 415),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" * 9, 415), (bytes(1000), 415), (b"PK\x03\x04" * 100, 415),
        (encoded(PHOTO, "PNG")[:3000], 422), (encoded(PHOTO, "JPEG")[:2000], 422), (encoded(PHOTO, "GIF")[:3000], 422),
        (encoded(Image.new("F", (9, 9)), "TIFF"), 422),
    ],
    ids=["empty", "one byte", "gif magic", "pdf", "svg", "eps", "zeros", "zip", "cut png", "cut jpeg", "cut gif",
         "float"],
)  # fmt: skip
def test_what_is_no_image_is_refused(client: ConformingClient, data: bytes, status: int) -> None:
    answer = post(client, data)
    assert answer.status_code == status
    assert len(answer.json["detail"]) > 10


def test_one_pixel_is_an_image(client: ConformingClient) -> None:
    assert post(client, encoded(Image.new("RGB", (1, 1)), "PNG")).status_code == 200


def test_a_bomb_is_refused_before_it_is_decoded(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, max_pixels=100_000)
    for size in ((400, 251), (20_000, 20_000), (100_001, 1)):
        answer = post(client, encoded(Image.new("1", size), "PNG"))
        assert (answer.status_code, answer.json["type"].split(":")[-1]) == (422, "image-rejected")
    assert post(client, encoded(Image.new("1", (400, 250)), "PNG")).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        form(), form((FILE, b"x"), (FILE, b"x")),
        form(('Content-Disposition: form-data; name="picture"; filename="a"', b"x")),
        form(('Content-Disposition: form-data; name="image"', b"x")), form(("Content-Disposition: form-data", b"x")),
        form(('Content-Disposition: form-data; filename="a.png"', b"x")), form(("X-Nothing: 1", b"x")),
        form((FILE, b"x"), ('Content-Disposition: form-data; name="limit"', b"3")), form((FILE, b"x"), ("A: b", b"x")),
        (b"no form at all", "multipart/form-data; boundary=frontier"), (b"no boundary", "multipart/form-data"),
        (form((FILE, b"x"))[0][:-20], "multipart/form-data; boundary=frontier"),
        (b"x", "multipart/form-data; boundary=\xe9"),
    ],
    ids=["empty", "two files", "other name", "a field", "no name", "file without name", "no disposition", "a field too",
         "nameless too", "garbage", "no boundary", "cut", "odd boundary"],
)  # fmt: skip
def test_odd_forms_are_refused(client: ConformingClient, body: bytes, content_type: str) -> None:
    answer = post(client, body, content_type)
    assert answer.status_code == 422
    detail = "must be a form with one file, the part 'image'"
    assert answer.json["errors"] == [{"in": "body", "name": "", "detail": detail}]


def test_too_many_parts_are_refused(client: ConformingClient) -> None:
    body, content_type = form(*[(FILE, b"x")] * 100)
    assert post(client, body, content_type).status_code == 413


def test_an_empty_part_is_an_empty_file(client: ConformingClient) -> None:
    body, content_type = form((FILE, b""))
    answer = post(client, body, content_type)
    assert (answer.status_code, answer.json["detail"]) == (422, "the file is empty")


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/octet-stream", "image/"])
def test_other_types_are_refused(client: ConformingClient, content_type: str) -> None:
    answer = post(client, encoded(PHOTO, "PNG"), content_type)
    assert answer.status_code == 415
    assert "multipart/form-data or image/*" in answer.json["detail"]


def test_large_files_are_taken_up_to_the_limit(serve: Serve, small_index: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "BMP")
    assert len(data) > 1_500_000
    body, content_type = form((FILE, data))
    assert post(serve(small_index, max_upload_bytes=len(body)), body, content_type).status_code == 200
    assert post(serve(small_index, max_upload_bytes=len(data)), data).status_code == 200
    for client, content in ((serve(small_index, max_upload_bytes=len(data) - 1), (data, "image/bmp")),
                            (serve(small_index, max_upload_bytes=len(body) - 1), (body, content_type))):  # fmt: skip
        answer = post(client, *content)
        assert answer.status_code == 413
        assert f"at most {client.application.config['MAX_CONTENT_LENGTH']} bytes" in answer.json["detail"]


def test_a_body_of_unknown_length_is_refused(client: ConformingClient) -> None:
    for content_type in ("image/png", "multipart/form-data; boundary=x"):
        chunked = {"Transfer-Encoding": "chunked"}
        answer = client.post(URL, data=encoded(PHOTO, "PNG"), content_type=content_type, headers=chunked)
        assert answer.status_code == 411


def test_the_cell_that_a_lookup_picks_does_not_depend_on_its_limit(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=4, count=3)
    build(tmp_path / "own", build_request(photos, layers=["features.7", "features.12"]))
    index = indexer.open(tmp_path / "own")
    maps = {
        name: np.full((layer.info.channels, layer.info.height, layer.info.width), 1e4, np.float32)
        for name, layer in index.layers.items()
    }
    last = "features.12"
    maps[last][:] = -1
    maps[last][:, 1, 1] = -1e4  # where most is active, and nothing fires
    maps[last][3, 0, 2] = 1e4
    for limit in (1, 5, 1000):
        found = look_up(index, maps, 150, 111, layer=None, fraction=None, limit=limit, cell=None)
        assert (found.layer, found.y, found.x) == (last, 0, 2)
    index.close()


@pytest.mark.parametrize("in_a_form", [False, True])
def test_an_upload_is_read_again_where_its_generation_is_replaced(
    serve: Serve, own_index: Path, monkeypatch: pytest.MonkeyPatch, in_a_form: bool
) -> None:
    asked = []

    def replaced(index: Index, *arguments: Any, **options: Any) -> Lookup:
        asked.append(index.generation)
        if len(asked) == 1:
            remove(own_index, ids=[1])
            raise DamagedFile("shards/000000.h5", "is gone")
        return look_up(index, *arguments, **options)

    monkeypatch.setattr("service.views.search.lookup.look_up", replaced)
    data = encoded(PHOTO, "PNG")
    body = {"image": (io.BytesIO(data), "a.png")} if in_a_form else data
    content_type = "multipart/form-data" if in_a_form else "image/png"
    answer = serve(own_index).post(URL.replace("small", "own"), data=body, content_type=content_type)
    assert answer.status_code == 200
    assert asked == [asked[0], asked[0] + 1]


def test_a_full_queue_sends_uploads_away_and_nothing_else(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, forward_passes=1, forward_queue=1, forward_wait=0.05)
    data = encoded(PHOTO, "PNG")
    with client.application.services.upload_gate.enter():
        answer = post(client, data)  # waits in the queue, in vain
        assert answer.status_code == 503
        assert answer.json["type"].endswith(":busy")
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/v1/indexes/small/images").status_code == 200
    assert post(client, data).status_code == 200


def test_uploads_at_the_same_time_get_their_own_answers(serve: Serve, small_index: Path) -> None:
    app = serve(small_index, forward_passes=3, forward_queue=4).application
    photos = [random_photo(np.random.default_rng(seed), 100 + seed, 90) for seed in range(6)]
    alone = [post(app.test_client(), encoded(photo, "PNG")).json for photo in photos]
    together: list[object] = [None] * 6

    def ask(number: int) -> None:
        together[number] = post(app.test_client(), encoded(photos[number], "PNG")).json

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_gate_lets_few_in_and_few_wait() -> None:
    gate = Gate(inside=2, queue=1, seconds=30, kind="uploads", refused=metrics.REFUSED)
    inside, release, waited = threading.Barrier(3), threading.Event(), threading.Event()

    def hold() -> None:
        with gate.enter():
            inside.wait()
            release.wait()

    def wait() -> None:
        with gate.enter():
            waited.set()

    holders = [threading.Thread(target=hold) for _ in range(2)]
    waiter = threading.Thread(target=wait)
    for thread in holders:
        thread.start()
    inside.wait()
    waiter.start()
    while gate._present.acquire(blocking=False):  # until the waiter stands in the queue
        gate._present.release()
    with pytest.raises(Busy, match="too many uploads"), gate.enter():
        pass
    assert not waited.is_set()
    release.set()
    for thread in (*holders, waiter):
        thread.join()
    assert waited.is_set()
    with gate.enter(), gate.enter():
        pass


def test_gate_is_left_in_every_way() -> None:
    gate = Gate(inside=1, queue=0, seconds=0, kind="uploads", refused=metrics.REFUSED)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.enter():
            raise ZeroDivisionError
    with gate.enter(), pytest.raises(Busy), gate.enter():
        pass
    with gate.enter():
        pass
