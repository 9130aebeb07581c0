"""Who may run and end jobs, and from where something may be changed at all."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.access import tokens
from service.jobs.kinds.registry import KINDS
from service.settings import Settings, WrongSetting
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import CONTRACT, ConformingClient
from tests.service.conftest import Serve, served
from tests.service.jobs import IMPORTANCE, MODEL, SILENCE_0, WHAT_IF, Gated, ended

LOOKUP = "/v1/indexes/index/lookup?layer=1&limit=1"
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    return build_planted(write_colours(folder / "photos", 2, numbered(4)), folder / "index")


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gated]:
    gated = Gated()
    monkeypatch.setitem(KINDS, "importance", gated.kind)
    yield gated
    gated.go.set()


@pytest.fixture
def client(serve: Serve, folder: Path, tmp_path: Path) -> ConformingClient:
    return serve(folder, model=MODEL, results=tmp_path / "results")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.fixture
def guarded(serve: Serve, folder: Path, tmp_path: Path, file: Path) -> ConformingClient:
    tokens.add(file, "first", ("run",))
    return serve(folder, model=MODEL, results=tmp_path / "results", tokens=file)


@pytest.mark.parametrize(
    ("roles", "status"),
    [((), 403), (("read",), 403), (("upload",), 403), (("run",), 202), (("write",), 202), (("upload", "run"), 202)],
)
def test_jobs_are_run_with_the_role_for_it(
    guarded: ConformingClient, file: Path, roles: tuple[str, ...], status: int
) -> None:
    headers = bearer(tokens.add(file, "somebody", roles))
    asked = guarded.post(WHAT_IF, json=SILENCE_0, headers=headers, environ_overrides=ELSEWHERE)
    assert asked.status_code == status
    if status == 403:
        assert asked.json["detail"].endswith("it lacks run")
        assert 'error="insufficient_scope"' in asked.headers["WWW-Authenticate"]
    # Every token may read.
    assert guarded.get("/v1/jobs", headers=headers).json["total"] == (status == 202)
    assert guarded.post(WHAT_IF, json=SILENCE_0).status_code == 401


def test_only_the_token_that_made_a_job_or_one_with_write_ends_it(
    guarded: ConformingClient, file: Path, gated: Gated
) -> None:
    mine, other, reading, writing = (
        bearer(tokens.add(file, name, roles))
        for name, roles in {"mine": ("run",), "other": ("run",), "reading": (), "writing": ("write",)}.items()
    )
    url = guarded.post(IMPORTANCE, json={}, headers=mine).headers["Location"]
    assert guarded.post(IMPORTANCE, json={}, headers=other).headers["Location"] == url
    may = [guarded.get(url, headers=headers).json["may_end"] for headers in (mine, other, reading, writing)]
    assert may == [True, False, False, True]
    for headers in (other, reading):
        assert guarded.delete(url, headers=headers).status_code == 403
    assert guarded.delete(url, headers=mine).status_code == 202
    second = guarded.post(IMPORTANCE, json={"images": 2}, headers=mine).headers["Location"]
    assert guarded.delete(second, headers=writing).status_code == 202
    gated.go.set()


def test_without_tokens_jobs_are_for_this_machine_alone(client: ConformingClient) -> None:
    refused = client.post(WHAT_IF, json=SILENCE_0, environ_overrides=ELSEWHERE)
    assert (refused.status_code, refused.json["type"].split(":")[-1]) == (403, "only-from-here")
    assert "--tokens" in refused.json["detail"]
    for address in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
        asked = client.post(WHAT_IF, json=SILENCE_0, environ_overrides={"REMOTE_ADDR": address})
        assert asked.status_code == 202
    url = asked.headers["Location"]
    assert ended(client, url)["may_end"]
    seen = client.get(url, environ_overrides=ELSEWHERE)
    assert (seen.status_code, seen.json["may_end"]) == (200, False)
    assert client.delete(url, environ_overrides=ELSEWHERE).status_code == 403
    assert client.delete(url).status_code == 204


def asked_as(client: ConformingClient, folder: Path, host: str, origin: str | None) -> list[int]:
    """The statuses of an upload, a search, a job and the end of one."""
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    photo = next((folder.parent / "photos").rglob("*.png")).read_bytes()
    search = {"layer": "1", "weights": {"0": 1}, "limit": 1}
    return [
        client.post(LOOKUP, data={"image": (io.BytesIO(photo), "a.png")}, headers=headers).status_code,
        client.post("/v1/indexes/index/search", json=search, headers=headers).status_code,
        client.post(WHAT_IF, json=SILENCE_0, headers=headers).status_code,
        client.delete(f"/v1/jobs/{'0' * 24}", headers=headers).status_code,
    ]


@pytest.fixture(scope="module")
def named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    """A service that knows a few names."""
    names = {"hosts": ("photos.example", "*.below.example"), "origins": ("https://dashboard.example",)}
    with served(folder, model=MODEL, results=tmp_path_factory.mktemp("results"), **names) as client:
        yield client


KNOWN, UNKNOWN = [200, 200, 202, 404], [403] * 4


@pytest.mark.parametrize(
    ("host", "origin", "statuses"),
    [
        ("localhost", None, KNOWN), ("localhost:8000", "http://localhost:8000", KNOWN), ("127.0.0.1:8000", None, KNOWN),
        ("[::1]:8000", "http://[::1]:8000", KNOWN), ("192.0.2.1", "http://192.0.2.1", KNOWN),
        ("LOCALHOST.", None, KNOWN), ("photos.example", "https://photos.example", KNOWN),
        ("photos.example:8000", None, KNOWN), ("a.b.below.example", None, KNOWN),
        # A proxy that says its own address for the host, and a page under a name of the settings.
        ("127.0.0.1:8000", "https://photos.example", KNOWN), ("127.0.0.1", "https://x.below.example", KNOWN),
        ("localhost", "https://dashboard.example", KNOWN),
        ("evil.example", None, UNKNOWN), ("evil.example", "http://evil.example", UNKNOWN),
        ("localhost.evil.example", None, UNKNOWN), ("127.0.0.1.evil.example", None, UNKNOWN),
        ("below.example", None, UNKNOWN), ("notphotos.example", None, UNKNOWN), ("", None, UNKNOWN),
        ("a b", None, UNKNOWN),
        ("localhost", "http://evil.example", UNKNOWN), ("localhost", "null", UNKNOWN), ("localhost", "", UNKNOWN),
        ("localhost:8000", "http://localhost:3000", UNKNOWN), ("localhost:8000", "http://localhost", UNKNOWN),
        ("localhost", "https://dashboard.example:1", UNKNOWN), ("localhost", "file://localhost", UNKNOWN),
        ("127.0.0.1:8000", "http://127.0.0.1:8000@evil.example", UNKNOWN),
    ],
)  # fmt: skip
def test_changes_need_a_known_host_and_origin(
    named: ConformingClient, folder: Path, host: str, origin: str | None, statuses: list[int]
) -> None:
    assert asked_as(named, folder, host, origin) == statuses
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    assert named.get("/v1/indexes/index", headers=headers).status_code == 200


def test_any_host_may_be_let_in_and_origins_still_count(serve: Serve, folder: Path, tmp_path: Path) -> None:
    client = serve(folder, model=MODEL, results=tmp_path / "results", hosts=("*",))
    assert asked_as(client, folder, "anything.example", "http://anything.example") == KNOWN
    assert asked_as(client, folder, "anything.example", "http://evil.example") == UNKNOWN


def test_the_setting_takes_names_alone(folder: Path) -> None:
    settings = Settings.read([str(folder), "--hosts", "Photos.example, *.b.example"], {})
    assert settings.hosts == ("photos.example", "*.b.example")
    for wrong in ("http://photos.example", "photos.example:80", "*example", "a/b", "-"):
        with pytest.raises((SystemExit, WrongSetting)):
            Settings.read([str(folder), "--hosts", wrong], {})


def test_every_operation_that_may_change_something_says_so() -> None:
    for operation in CONTRACT.operations:
        assert ("403" in operation.responses) == (operation.method not in ("GET", "HEAD")), operation.id


def test_a_page_of_a_named_origin_may_end_jobs(serve: Serve, folder: Path) -> None:
    origin = "https://dashboard.example"
    app = serve(folder, origins=(origin,)).application
    headers = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    answer = super(ConformingClient, app.test_client()).open("/v1/jobs/x", method="OPTIONS", headers=headers)
    assert (answer.status_code, "DELETE" in answer.headers["Access-Control-Allow-Methods"]) == (204, True)


def test_the_command_makes_tokens_with_scopes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tokens.main(["add", str(file), "runner", "--run"]) == 0
    assert tokens.main(["add", str(file), "owner", "--write", "--upload"]) == 0
    capsys.readouterr()
    file.write_text(file.read_text() + f"old - {'0' * 64}\n" + f"older upload {'1' * 64}\n")
    powers = {token.name: token.powers for token in tokens.read_tokens(file)}
    assert powers == {
        "runner": {"read", "run"}, "owner": {"read", "run", "write", "upload"}, "old": {"read"},
        "older": {"read", "upload"},
    }  # fmt: skip
