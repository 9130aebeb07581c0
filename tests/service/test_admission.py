"""Tokens and rates: who may ask, how often, and what the others are told."""

import io
import logging
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.access import rate_limit, tokens
from service.access.rate_limit import Rates, network_of
from service.access.tokens import Tokens, WrongTokens
from service.app import create_app
from service.settings import Settings
from service.telemetry.logs import FIELDS
from tests.service.conforming import CONTRACT, ConformingClient
from tests.service.conftest import Serve

IMAGES = "/v1/indexes/small/images"
LOOKUP = "/v1/indexes/small/lookup?layer=features.12&limit=1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def upload(client: ConformingClient, photo_folder: Path, token: str):
    photo = (photo_folder / "birds" / "photo 000.png").read_bytes()
    return client.post(LOOKUP, data={"image": (io.BytesIO(photo), "a.png")}, headers=bearer(token))


def test_a_token_opens_what_is_closed_without(serve: Serve, small_index: Path, file: Path) -> None:
    token = tokens.add(file, "someone", ())
    client = serve(small_index, tokens=file)
    refused = client.get(IMAGES)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="unitscope"')
    assert client.get(IMAGES, headers=bearer(token)).status_code == 200
    assert client.get(IMAGES, headers={"Authorization": f"bearer  {token}"}).status_code == 200


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_everything_under_v1_is_closed_and_nothing_else(serve: Serve, small_index: Path, file: Path, operation) -> None:
    tokens.add(file, "someone", ())
    url = operation.path.replace("{index}", "small").replace("{layer}", "features.12").replace("{class}", "birds")
    url = url.replace("{job}", "0" * 24)
    for name in ("image", "neuron", "y", "x"):
        url = url.replace(f"{{{name}}}", "1")
    client = serve(small_index, tokens=file)
    answer = client.open(url, method=operation.method)
    assert (answer.status_code == 401) == url.startswith("/v1")
    if operation.method == "GET":
        assert client.head(url).status_code == answer.status_code


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic dTpw", "Bearer a b", "Bearer \xe9", "Bearer " + "x" * 9999],
)
def test_what_is_no_token_is_told_so(serve: Serve, small_index: Path, file: Path, given: str) -> None:
    tokens.add(file, "someone", ())
    answer = serve(small_index, tokens=file).get(IMAGES, headers={"Authorization": given})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_hash_is_no_token(serve: Serve, small_index: Path, file: Path) -> None:
    tokens.add(file, "someone", ())
    digest = file.read_text().split()[-1]
    assert serve(small_index, tokens=file).get(IMAGES, headers=bearer(digest)).status_code == 401


def test_images_are_sent_with_the_role_for_it_only(
    serve: Serve, small_index: Path, file: Path, photo_folder: Path
) -> None:
    asking, sending = tokens.add(file, "asking", ()), tokens.add(file, "sending", ("upload",))
    client = serve(small_index, tokens=file)
    refused = upload(client, photo_folder, asking)
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert upload(client, photo_folder, sending).status_code == 200


def test_roles_of_the_contract_are_those_of_the_file() -> None:
    named = {role for operation in CONTRACT.operations for role in operation.roles or ()}
    # What every token may the contract says in words.
    assert named == set(tokens.ROLES) - {"read"}


def test_a_changed_file_counts_at_once(serve: Serve, small_index: Path, file: Path) -> None:
    first = tokens.add(file, "first", ())
    client = serve(small_index, tokens=file)
    second = tokens.add(file, "second", ())
    assert client.get(IMAGES, headers=bearer(second)).status_code == 200
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[1])
    assert client.get(IMAGES, headers=bearer(first)).status_code == 401
    assert client.get(IMAGES, headers=bearer(second)).status_code == 200
    for broken in ("garbage\n", lines[1] + "second upload\n"):
        file.write_text(broken)
        assert client.get(IMAGES, headers=bearer(second)).status_code == 401
    file.write_text(lines[1])
    assert client.get(IMAGES, headers=bearer(second)).status_code == 200
    file.unlink()
    assert client.get(IMAGES, headers=bearer(second)).status_code == 401


def test_a_token_is_added_behind_a_line_that_was_left_without_its_newline(file: Path) -> None:
    made = [tokens.add(file, "first", ())]
    file.write_text(file.read_text().rstrip("\n"))
    made.append(tokens.add(file, "second", ()))
    made.append(tokens.add(file, "third", ()))
    assert [Tokens(file).check(f"Bearer {token}", frozenset()) for token in made] == ["first", "second", "third"]
    assert file.read_text().count("\n") == 3


def test_the_file_holds_hashes_and_is_its_owners_alone(file: Path) -> None:
    token = tokens.add(file, "someone", ("upload",))
    assert len(token) >= 43
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_hash_is_compared_in_constant_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [tokens.add(file, name, ()) for name in ("a", "b", "c")]
    known, compared = Tokens(file), []
    same = tokens.hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: compared.append(a) or same(a, b))
    for text in (*made, "wrong"):
        compared.clear()
        try:
            known.check(f"Bearer {text}", frozenset())
        except tokens.NotAuthenticated:
            assert text == "wrong"
        assert len(compared) == 3


@pytest.mark.parametrize("line", ["x", "a b c", "a - 12", "a admin " + "0" * 64, "a - " + "0" * 63 + "g"])
def test_a_malformed_file_is_refused_at_the_start(file: Path, line: str) -> None:
    file.write_text(f"\nok - {'0' * 64}\n{line}\n")
    with pytest.raises(WrongTokens, match="line 3: must be a name"):
        Tokens(file)
    with pytest.raises(WrongTokens, match="cannot be read"):
        Tokens(file.with_name("none"))


def test_the_command_makes_a_token_once(file: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "service.tokens", "add", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])

    made = run("someone", "--upload")
    assert (made.returncode, made.stderr) == (0, "")
    assert Tokens(file).check(f"Bearer {made.stdout.strip()}", frozenset({"upload"})) == "someone"
    again = run("someone")
    assert (again.returncode, again.stdout) == (2, "")
    assert "has a token for someone already" in again.stderr
    assert tokens.main(["add", str(file), "a b"]) == 2
    assert tokens.main(["add", str(file / "below"), "other"]) == 2


def test_a_client_that_asks_too_often_is_told_when_to_come_back(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, rate=0.1, burst=3)
    assert [client.get(IMAGES).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = client.get(IMAGES)
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert refused.json["type"].endswith(":too-many-requests")
    assert client.get("/healthz").status_code == 200
    other = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get(IMAGES, environ_overrides=other).status_code == 200


def test_every_token_has_an_allowance_of_its_own(serve: Serve, small_index: Path, file: Path) -> None:
    first, second = tokens.add(file, "first", ()), tokens.add(file, "second", ())
    client = serve(small_index, tokens=file, rate=0.1, burst=1)
    found = [client.get(IMAGES, headers=bearer(token)).status_code for token in (first, first, second, second)]
    assert found == [200, 429, 200, 429]


def test_a_bucket_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(rate_limit.time, "monotonic", lambda: now)
    buckets = Rates(per_second=2.0, burst=4)
    assert [buckets.take("a") for _ in range(4)] == [0.0] * 4
    assert buckets.take("a") == pytest.approx(0.5, abs=1e-5)
    assert buckets.take("b") == 0.0
    now += 0.5
    assert (buckets.take("a"), buckets.take("a") > 0) == (0.0, True)
    now += 1000
    assert [buckets.take("a") > 0 for _ in range(6)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("burst", [1, 7])
@pytest.mark.parametrize("per_second", [0.3, 3.0, 1e6 / 3])
def test_a_full_bucket_lets_its_burst_through_whatever_the_time(
    monkeypatch: pytest.MonkeyPatch, burst: int, per_second: float
) -> None:
    for now in (0.1, 12345.678, 9e7 + 1 / 3):
        monkeypatch.setattr(rate_limit.time, "monotonic", lambda now=now: now)
        buckets = Rates(per_second, burst)
        assert [buckets.take("a") for _ in range(burst)] == [0.0] * burst


def test_processes_share_the_buckets(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from service.access.rate_limit import Rates\n"
        "rates = Rates(0.001, 300, Path(sys.argv[1]))\n"
        "print(sum(rates.take('one') == 0 for _ in range(200)))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "rates")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(process.communicate()[0]) for process in running) == 300


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True), ("fe80::1%eth0", "fe80::2", True), ("", "unix", False),
    ],
)  # fmt: skip
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same


def test_nothing_is_asked_for_unless_it_is_set(small_index: Path) -> None:
    app = create_app(Settings(directory=small_index))
    client = app.test_client()
    assert {client.get(IMAGES).status_code for _ in range(150)} == {200}
    app.close()


def broken(small_index: Path, tmp_path: Path) -> Path:
    """A folder with an index that is called private, and one that is damaged."""
    for name in ("private", "damaged"):
        shutil.copytree(small_index, tmp_path / "served" / name)
    (tmp_path / "served" / "damaged" / "manifest.json").write_text("no JSON")
    return tmp_path / "served"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_strangers_are_told_no_names_and_no_files(
    serve: Serve, small_index: Path, tmp_path: Path, file: Path, headers: dict[str, str]
) -> None:
    token = tokens.add(file, "someone", ())
    folder = broken(small_index, tmp_path)
    client = serve(folder, tokens=file)
    ready, figures = client.get("/readyz", headers=headers), client.get("/metrics", headers=headers)
    assert (ready.status_code, ready.json) == (200, {"status": "degraded"})
    assert figures.status_code == 200
    assert "unitscope_requests_total" in figures.get_data(as_text=True)
    told = client.get("/readyz", headers=bearer(token))
    assert {state["name"] for state in told.json["indexes"]} == {"private", "damaged"}
    assert 'index="private"' in client.get("/metrics", headers=bearer(token)).get_data(as_text=True)
    shutil.rmtree(folder / "private")
    refused = serve(folder, tokens=file).get("/readyz", headers=headers)
    assert refused.status_code == 503
    for answer in (ready, figures, refused):
        text = answer.get_data(as_text=True)
        assert all(word not in text for word in ("private", "damaged", "manifest", "not JSON", str(tmp_path)))
    with_token = serve(folder, tokens=file).get("/readyz", headers=bearer(token))
    assert (with_token.status_code, "damaged: manifest.json" in with_token.json["detail"]) == (503, True)


def test_the_log_says_whose_token_asked(
    serve: Serve, small_index: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = tokens.add(file, "someone", ())
    client = serve(small_index, tokens=file)
    asked = [
        ("GET", IMAGES, bearer(token), "someone"), ("GET", IMAGES, {}, None), ("GET", IMAGES, bearer("wrong"), None),
        ("POST", LOOKUP, bearer(token), "someone"), ("GET", "/readyz", bearer(token), "someone"),
        ("GET", "/readyz", {}, None), ("GET", "/healthz", bearer(token), None),
    ]  # fmt: skip
    with caplog.at_level(logging.INFO, "service.requests"):
        for method, url, headers, _ in asked:
            client.open(url, method=method, headers=headers)
    lines = [getattr(entry, FIELDS) for entry in caplog.records if entry.name == "service.requests"]
    assert [line["token"] for line in lines] == [name for *_, name in asked]
    assert token not in caplog.text


def test_without_tokens_nobody_is_a_stranger(client: ConformingClient) -> None:
    assert client.get("/readyz").json["indexes"]
    assert 'index="small"' in client.get("/metrics").get_data(as_text=True)
