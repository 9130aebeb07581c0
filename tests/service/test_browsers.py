"""Headers for browsers, answers for pages of other origins, and compressed answers."""

import gzip
from pathlib import Path

import pytest
import zstandard

from service.http.compression import SMALLEST, chosen
from service.http.headers import PAGE_POLICY
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

ORIGIN = "https://dashboard.example:3000"
LIST = "/v1/indexes/small/images?limit=30"
PATCH = "/v1/indexes/small/images/3/layers/features.12/cells/1,1/patch.jpg"
DECODERS = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompress(data),
}


@pytest.mark.parametrize("url", ["/healthz", "/openapi.yaml", LIST, PATCH, "/nowhere", f"{LIST}&limit=x"])
def test_every_answer_tells_browsers_what_they_may_do(client: ConformingClient, url: str) -> None:
    headers = client.get(url).headers
    assert headers["Content-Security-Policy"] == PAGE_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    rules = dict(rule.split(" ", 1) for rule in PAGE_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["style-src"], rules["connect-src"]) == ("'self'",) * 3
    assert rules["img-src"] == "'self' data: blob:"
    assert rules["form-action"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"


def test_a_report_may_use_its_own_style_and_no_other(client: ConformingClient) -> None:
    policy = client.get("/v1/indexes/small/report?format=html").headers["Content-Security-Policy"]
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert client.get("/v1/indexes/small/report").headers["Content-Security-Policy"] == PAGE_POLICY


def test_named_origins_may_read(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, origins=(ORIGIN, "http://other.example"))
    for url, status in ((LIST, 200), ("/v1/indexes/none", 404), (PATCH, 200)):
        answer = client.get(url, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", [None, "null", "https://dashboard.example", ORIGIN + "0", "http" + ORIGIN[5:], "*"])
def test_no_other_origin_may(serve: Serve, small_index: Path, origin: str | None) -> None:
    client = serve(small_index, origins=(ORIGIN,))
    headers = {"Origin": origin} if origin else {}
    answer = client.get(LIST, headers=headers)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    asked = client.options(LIST, headers=headers | {"Access-Control-Request-Method": "GET"})
    assert asked.status_code == 405


def test_a_preflight_is_answered_before_any_token_is_asked_for(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("")
    app = serve(small_index, origins=(ORIGIN,), tokens=tmp_path / "tokens").application
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = super(ConformingClient, app.test_client()).open(
        "/v1/indexes/small/search", method="OPTIONS", headers=headers
    )
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].lower().split(", "))


@pytest.mark.parametrize("coding", DECODERS)
@pytest.mark.parametrize("url", [LIST, "/openapi.yaml", "/v1/indexes/small/report?format=html"])
def test_texts_are_compressed_and_stay_the_same(client: ConformingClient, url: str, coding: str) -> None:
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    packed = super(ConformingClient, client).open(url, headers={"Accept-Encoding": coding})
    assert packed.headers["Content-Encoding"] == coding
    assert len(packed.get_data()) < len(plain.get_data()) / 2
    assert int(packed.headers["Content-Length"]) == len(packed.get_data())
    assert DECODERS[coding](packed.get_data()) == plain.get_data()
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
    assert plain.headers["ETag"] == packed.headers["ETag"]
    for answer in (plain, packed):
        again = client.get(url, headers={"If-None-Match": answer.headers["ETag"], "Accept-Encoding": coding})
        assert (again.status_code, "Accept-Encoding" in again.headers["Vary"]) == (304, True)


def test_what_gains_nothing_is_sent_as_it_is(client: ConformingClient) -> None:
    for url in (PATCH, "/healthz", "/v1/indexes/small/images?limit=1"):
        answer = client.get(url, headers={"Accept-Encoding": "gzip, zstd"})
        assert "Content-Encoding" not in answer.headers
        assert ("Vary" in answer.headers) == (url != PATCH)
        assert url == PATCH or len(answer.get_data()) < SMALLEST


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("*", "zstd"), ("*;q=0.1, zstd;q=0", "gzip"), ("identity", None), ("gzip;q=0", None), ("br, deflate", None),
        ("GZIP", "gzip"), ("x" * 900, None), ("gzip;q=nan", None), (";;;,,,=", None),
    ],
)  # fmt: skip
def test_the_best_coding_that_is_accepted_is_chosen(header: str, wanted: str | None) -> None:
    assert chosen(header) == wanted
