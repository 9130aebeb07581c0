"""The explorer's page and files as they are served; tests/explorer uses them in a browser."""

import re
from pathlib import Path

from service.explorer import MEDIA_TYPES
from service.http.headers import PAGE_POLICY
from tests.service.conforming import ConformingClient

FOLDER = Path(__file__).parents[2] / "service" / "explorer" / "page"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())


def version_of(client: ConformingClient) -> str:
    (version,) = set(re.findall(r"explorer/(\w+)/", client.get("/").text))
    return version


def test_root_is_a_page_that_may_load_nothing_from_elsewhere(client: ConformingClient) -> None:
    answer = client.get("/")
    assert answer.mimetype == "text/html"
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "unsafe" not in PAGE_POLICY
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", answer.text)
    assert client.get("/", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_every_file_is_served_and_kept_for_ever(client: ConformingClient) -> None:
    version = version_of(client)
    for name in FILES:
        if name == "index.html":
            continue
        answer = client.get(f"/explorer/{version}/{name}")
        assert answer.get_data() == (FOLDER / name).read_bytes()
        assert answer.content_type == MEDIA_TYPES[Path(name).suffix]
        assert "immutable" in answer.headers["Cache-Control"]
        other = client.get(f"/explorer/other/{name}")
        assert other.headers["Cache-Control"] == "no-cache"
        assert other.headers["ETag"] == answer.headers["ETag"]


def test_what_the_page_names_is_there(client: ConformingClient) -> None:
    for url in re.findall(r'(?:src|href)="(explorer/[^"]+)"', client.get("/").text):
        assert client.get(f"/{url}").status_code == 200


def test_modules_import_only_files_that_are_there() -> None:
    for name in FILES:
        if name.endswith(".js") and "vendor" not in name:
            text = (FOLDER / name).read_text()
            for target in re.findall(r"""(?:from|import\() ?'([^']+)'""", text):
                assert target.startswith("."), (name, target)
                assert (FOLDER / name).parent.joinpath(target).resolve().is_file(), (name, target)


def test_nothing_else_is_served(client: ConformingClient) -> None:
    version = version_of(client)
    for name in ("nope.js", "../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "index.html", "lib"):
        assert client.get(f"/explorer/{version}/{name}").status_code == 404


def test_what_is_vendored_has_its_licence() -> None:
    vendored = {path.name for path in (FOLDER / "vendor").iterdir()}
    assert vendored == {"preact-htm.js", "preact-LICENSE.txt", "htm-LICENSE.txt"}
    assert "MIT License" in (FOLDER / "vendor" / "preact-LICENSE.txt").read_text()
    assert "Apache License" in (FOLDER / "vendor" / "htm-LICENSE.txt").read_text()


def test_modules_are_small() -> None:
    for name in FILES:
        if "vendor" not in name:
            assert len((FOLDER / name).read_text().splitlines()) <= 300, name
