"""Hostile and odd requests, and what each must get: the table of docs/safety.md.

``python -m tests.service.hostile INDEX`` sends them all to one process and prints what each got and how much memory
the process took at most; its limits are `LIMITS`.
"""

import io
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from service.app import create_app
from service.settings import Settings
from tests.conftest import random_photo
from tests.memory import peak_kb

LIMITS: Final = {"max_upload_bytes": 2_000_000, "max_pixels": 1_000_000}
LOOKUP: Final = "/v1/indexes/{}/lookup?layer=features.12&limit=2"
PHOTO: Final = random_photo(np.random.default_rng(8), 150, 111)


@dataclass(frozen=True)
class Case:
    """A request: in words, how it is sent, and the status that it must get."""

    what: str
    status: int
    path: str = LOOKUP
    data: bytes | None = None
    content_type: str = "image/png"
    method: str = "POST"


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def png(width: int, height: int, data: bytes, depth: int = 8, kind: int = 2) -> bytes:
    """A PNG with this header and this compressed data, whether they fit or not."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    packed = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
              for name, body in chunks)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, compressed."""
    packer, block = zlib.compressobj(9), bytes(1_000_000)
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def form(*parts: tuple[str, bytes]) -> dict[str, Any]:
    body = b"".join(b"--frontier\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return {"data": body + b"--frontier--\r\n", "content_type": "multipart/form-data; boundary=frontier"}


FILE: Final = 'Content-Disposition: form-data; name="image"; filename="{}"'


def images() -> Iterator[Case]:
    """Files that are images, however odd: right answers."""
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "PCX", "SGI"):
        yield Case(f"{format} of 150 x 111 pixels", 200, data=encoded(PHOTO, format))
    for mode, name in (("L", "grey"), ("1", "two colours"), ("P", "palette"), ("RGBA", "alpha"), ("LA", "grey, alpha"),
                       ("I;16", "16-bit grey")):  # fmt: skip
        yield Case(f"PNG, {name}", 200, data=encoded(PHOTO.convert(mode), "PNG"))
    yield Case("JPEG, CMYK", 200, data=encoded(PHOTO.convert("CMYK"), "JPEG"))
    for orientation in (3, 6, 8):
        yield Case(f"JPEG, EXIF orientation {orientation}", 200, data=encoded(PHOTO, "JPEG", exif=exif(orientation)))
    yield Case("JPEG, EXIF orientation 99", 200, data=encoded(PHOTO, "JPEG", exif=exif(99)))
    frames = [PHOTO.rotate(90 * turn) for turn in range(1, 4)]
    yield Case("GIF, animated", 200, data=encoded(PHOTO, "GIF", save_all=True, append_images=frames))
    yield Case("PNG, animated", 200, data=encoded(PHOTO, "PNG", save_all=True, append_images=frames))
    yield Case("TIFF of 4 pages", 200, data=encoded(PHOTO, "TIFF", save_all=True, append_images=frames))
    yield Case("PNG of one pixel", 200, data=encoded(Image.new("RGB", (1, 1)), "PNG"))
    yield Case("PNG of 500 x 5 pixels", 200, data=encoded(Image.new("RGB", (500, 5)), "PNG"))
    yield Case("PNG called image/jpeg", 200, data=encoded(PHOTO, "PNG"), content_type="image/jpeg")
    yield Case("JPEG with HTML behind it", 200, data=encoded(PHOTO, "JPEG") + b"<script>alert(1)</script>")
    yield Case("PNG with a ZIP archive behind it", 200, data=encoded(PHOTO, "PNG") + b"PK\x03\x04" * 99)
    yield Case("JPEG as a form", 200, **form((FILE.format("a.jpg"), encoded(PHOTO, "JPEG"))))
    away = FILE.format("../../etc/passwd")
    yield Case("form, file called ../../etc/passwd", 200, **form((away, encoded(PHOTO, "PNG"))))
    yield Case("PNG of 10 x 10 pixels whose data unpacks to 200 MB", 200, data=png(10, 10, zeros(200)))
    yield Case("PNG of 1000 x 1000 pixels, the most allowed", 200, data=encoded(Image.new("1", (1000, 1000)), "PNG"))


def broken() -> Iterator[Case]:
    """Files that are no image, or one that is damaged or asks for too much."""
    yield Case("nothing", 422, data=b"")
    yield Case("one byte", 415, data=b"x")
    yield Case("a thousand zeros", 415, data=bytes(1000))
    for name, data in (("PDF", b"%PDF-1.7 " * 50), ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 9),
                       ("SVG with an entity bomb", b'<!DOCTYPE svg [<!ENTITY a "&b;&b;">]><svg>&a;</svg>' * 9),
                       ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" * 9), ("ZIP", b"PK\x03\x04" * 99),
                       ("pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR." * 9), ("ELF program", b"\x7fELF" + bytes(500)),
                       ("HTML", b"<!doctype html><script>alert(1)</script>" * 9),
                       ("GIF89a alone", b"GIF89a"), ("PNG's first bytes alone", b"\x89PNG\r\n\x1a\n")):  # fmt: skip
        yield Case(name, 415, data=data)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encoded(PHOTO, format)
        yield Case(f"{format}, cut in the middle", 422, data=data[: len(data) // 2])
    whole = encoded(PHOTO, "PNG")
    yield Case("PNG, checksum wrong", 422, data=whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    yield Case("PNG, pixels missing", 422, data=png(300, 200, zlib.compress(bytes(100))))
    yield Case("PNG, no pixels wide", 415, data=png(0, 10, zlib.compress(bytes(10))))
    yield Case("PNG of 20000 x 20000 pixels", 422, data=png(20_000, 20_000, zlib.compress(bytes(10**6))))
    yield Case("PNG of 2147483647 x 2147483647 pixels", 422, data=png(2**31 - 1, 2**31 - 1, zlib.compress(b"")))
    yield Case("PNG of 1001 x 1000 pixels", 422, data=encoded(Image.new("1", (1001, 1000)), "PNG"))
    yield Case("PNG of 50000 x 1 pixels, which resizing would make enormous", 422,
               data=encoded(Image.new("1", (50_000, 1)), "PNG"))  # fmt: skip
    yield Case("GIF of 65535 x 65535 pixels", 415, data=b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + bytes(99))
    yield Case("TIFF, floating point", 422, data=encoded(Image.new("F", (9, 9)), "TIFF"))


def bodies() -> Iterator[Case]:
    """Bodies that are wrong whatever is in them."""
    whole = encoded(PHOTO, "PNG")
    yield Case("3 MB where 2 MB are allowed", 413, data=bytes(3_000_000))
    yield Case("JSON", 415, data=b"{}", content_type="application/json")
    yield Case("application/octet-stream", 415, data=whole, content_type="application/octet-stream")
    yield Case("no type", 415, data=whole, content_type="")
    yield Case("form without parts", 422, **form())
    yield Case("form without a boundary", 422, data=whole, content_type="multipart/form-data")
    yield Case("form of two files", 422, **form((FILE.format("a"), whole), (FILE.format("b"), whole)))
    yield Case("form of a hundred parts", 413, **form(*[(FILE.format("a"), b"x")] * 100))
    yield Case("form, another name", 422, **form((FILE.format("a").replace("image", "picture"), whole)))
    yield Case("form, a field and no file", 422, **form(('Content-Disposition: form-data; name="image"', b"x")))
    yield Case("form, part without a name", 422, **form(("X-Nothing: 1", whole)))
    yield Case("form, cut", 422, data=form((FILE.format("a"), whole))["data"][:-30],
               content_type="multipart/form-data; boundary=frontier")  # fmt: skip
    yield Case("form, 1 MB of part headers", 413, **form(("X: " + "y" * 1_000_000, whole)))
    path = "/v1/indexes/{}/search"
    for what, data in (("JSON nested 100000 deep", b"[" * 100_000), ("JSON, not UTF-8", b"\xff\xfe{}"),
                       ("JSON with NaN", b'{"layer": "features.12", "weights": {"1": NaN}}'),
                       ("JSON, a number of 10000 digits", b"9" * 10_000)):  # fmt: skip
        yield Case(what, 422, path, data, "application/json")
    yield Case("JSON of 1.5 MB", 413, path, b'"' + b"x" * 1_500_000 + b'"', "application/json")


def paths() -> Iterator[Case]:
    """Paths that try to lead elsewhere."""
    inside = "/v1/indexes/{}"
    for path, status in (
        ("/v1/indexes/..", 404), ("/v1/indexes/..%2F..%2Fetc", 404), ("/v1/indexes/%2Fetc%2Fpasswd", 404),
        ("/v1/indexes/%2e%2e%2f%2e%2e", 404), ("/v1/indexes/..%5C..%5Cetc", 404), ("/v1/indexes/%00", 404),
        (f"{inside}%00", 404), (f"{inside}/manifest.json", 404), (f"{inside}/shards/000000.h5", 404),
        (f"{inside}/../../etc/passwd", 404), (f"{inside}/layers/..%2F..%2Fmanifest.json", 404),
        (f"{inside}/layers/%2Fetc%2Fpasswd", 404), (f"{inside}/classes/..%2F..%2Fsecret", 404),
        (f"{inside}/images/..%2F..%2Fsecret/file", 404), (f"{inside}/images/-1/file", 422),
        (f"{inside}/images/99999999999999999999/file", 422), (f"{inside}/images/0x10/file", 422),
        (f"{inside}/images/1/file?version=..%2F..", 200), (f"{inside}/images?path=..%2Fsecret", 200),
        (f"{inside}/layers/" + "a" * 600, 422), (f"{inside}/layers/%F0%9F%92%A9", 404), ("/v1/indexes/%FF%FE", 404),
        ("/explorer/x/..%2F..%2Fsettings.py", 404), ("/explorer/x/%2Fetc%2Fpasswd", 404), ("//etc/passwd", 404),
        ("/openapi.yaml/../secret", 404), ("/docs/../../etc/passwd", 404), ("/.git/config", 404),
    ):  # fmt: skip
        yield Case(f"`{path if len(path) < 80 else path[:40] + '…'}`", status, path, method="GET")


def cases() -> list[Case]:
    """All of them."""
    return [*images(), *broken(), *bodies(), *paths()]


def send(client: Any, case: Case, index: str) -> Any:
    body = {} if case.data is None else {"data": case.data, "content_type": case.content_type or None}
    length = {} if case.data is None else {"CONTENT_LENGTH": str(len(case.data))}
    return client.open(case.path.replace("{}", index), method=case.method, environ_overrides=length, **body)


def main(index: Path) -> None:
    app = create_app(Settings(directory=index, examine=False, **LIMITS))
    client = app.test_client()
    send(client, next(images()), index.name)  # the network is loaded now
    table = cases()
    before = peak_kb()
    found = []
    for case in table:
        answer = send(client, case, index.name)
        problem = answer.json if answer.mimetype == "application/problem+json" else {}
        found.append({"what": case.what, "status": answer.status_code, "detail": problem.get("detail", "")})
    peak = peak_kb()
    app.close()
    print(json.dumps({"cases": found, "before_kb": before, "peak_kb": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
