"""Answers that are given again: the same as the first time, and only to those who may have them."""

import gzip
import random
import threading
from collections import OrderedDict
from pathlib import Path

import pytest
import zstandard
from flask.testing import FlaskClient

from indexer.jobs.upkeep.remove import remove
from service.access import tokens
from service.http.response_cache import Answers, Finished
from tests.marks import seeds
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
PAGE = f"/v1/indexes/{{}}/layers/{LAYER}/neurons/3/patches?limit=4"
URLS = (
    PAGE.format("small"), "/v1/indexes/small/images/3/neurons?limit=5", "/v1/indexes/small/classes",
    f"/v1/indexes/small/images/3/layers/{LAYER}/cells/1,1/similar", "/v1/indexes/small/report?format=html",
    f"/v1/compare?a=small&b=small&layer={LAYER}&limit=5",
)  # fmt: skip


def finished(size: int, fill: int = 0) -> Finished:
    return Finished(bytes([fill]) * size, (("Content-Type", "application/json"),))


@pytest.mark.parametrize("url", URLS)
def test_the_second_answer_is_the_first(serve: Serve, small_index: Path, url: str) -> None:
    client = serve(small_index)
    first, again = client.get(url), client.get(url)
    assert client.application.services.answers.bytes > len(first.get_data())
    for answer in (again, serve(small_index, answer_bytes=0).get(url)):
        assert answer.get_data() == first.get_data()
        assert [pair for pair in answer.headers if pair[0] != "X-Request-Id"] == [
            pair for pair in first.headers if pair[0] != "X-Request-Id"
        ]
        assert answer.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def test_each_asker_gets_the_coding_that_it_wants(serve: Serve, small_index: Path) -> None:
    client = serve(small_index)
    client.application.test_client_class = FlaskClient  # what is compressed is no JSON to the other
    client, bodies = client.application.test_client(), []
    for wanted, given in (("gzip", "gzip"), ("identity", None), ("zstd", "zstd"), ("gzip", "gzip")):
        answer = client.get(PAGE.format("small"), headers={"Accept-Encoding": wanted})
        assert answer.headers.get("Content-Encoding") == given
        bodies.append(answer.get_data())
    assert gzip.decompress(bodies[0]) == bodies[1] == zstandard.decompress(bodies[2])
    assert bodies[3] == bodies[0]


def test_links_repeat_how_it_was_asked(serve: Serve, small_index: Path) -> None:
    client, fresh = serve(small_index), serve(small_index, answer_bytes=0)
    page = PAGE.format("small")
    spellings = [page, f"{page}&offset=0", f"{page}&generation=1", f"{page}&class=boats", f"{page}&class=boats&min=0"]
    for _ in range(2):
        for url in spellings:
            for root in ("", "/mounted"):
                environ = {"SCRIPT_NAME": root}
                kept, made = (one.get(url, environ_overrides=environ) for one in (client, fresh))
                assert (kept.get_data(), kept.headers["Link"]) == (made.get_data(), made.headers["Link"])


def test_a_new_generation_is_asked_anew(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    before = client.get(PAGE.format("own"))
    gone = before.json["items"][0]["image"]
    remove(own_index, ids=[gone])
    after = client.get(PAGE.format("own"))
    assert gone not in [item["image"] for item in after.json["items"]]
    assert after.headers["ETag"] != before.headers["ETag"]


@pytest.mark.parametrize("more", ["&class=none", "0000", "&generation=9"])
def test_problems_are_not_kept(serve: Serve, small_index: Path, more: str) -> None:
    client = serve(small_index)
    for _ in range(2):
        assert client.get(PAGE.format("small") + more).status_code in (404, 409, 422)
    assert client.application.services.answers.bytes == 0


def test_questions_with_a_body_are_not_kept(serve: Serve, small_index: Path) -> None:
    client = serve(small_index)
    assert client.post("/v1/indexes/small/search", json={"layer": LAYER, "weights": {"1": 1}}).status_code == 200
    assert client.application.services.answers.bytes == 0


def test_a_kept_answer_needs_its_token(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    bearer = {"Authorization": f"Bearer {tokens.add(tmp_path / 'tokens', 'someone', ())}"}
    client = serve(small_index, tokens=tmp_path / "tokens")
    statuses = [client.get(PAGE.format("small"), headers=headers).status_code for headers in (bearer, bearer, {})]
    assert statuses == [200, 200, 401]


def test_a_kept_answer_counts_towards_the_rate(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, rate=0.001, burst=3)
    assert [client.get(PAGE.format("small")).status_code for _ in range(5)] == [200] * 3 + [429] * 2


@pytest.mark.parametrize("seed", seeds(5, 2))
def test_the_bound_holds_and_the_oldest_fall_out(seed: int) -> None:
    rng, answers = random.Random(seed), Answers(100_000)
    twin: OrderedDict[str, int] = OrderedDict()  # size by key, the one asked for longest ago first
    for _ in range(2000):
        key, size = str(rng.randrange(60)), rng.randrange(15_000)
        kept = answers.get(key)
        assert (kept is not None) == (key in twin)
        if kept is not None:
            twin.move_to_end(key)
            continue
        answers.put(key, finished(size))
        cost = _cost(size)
        if cost <= 12_500:
            twin[key] = cost
            while sum(twin.values()) > 100_000:
                twin.popitem(last=False)
        assert answers.bytes == sum(twin.values()) <= 100_000


def _cost(size: int) -> int:
    alone = Answers(1 << 30)
    alone.put("", finished(size))
    return alone.bytes


def test_nothing_is_kept_where_nothing_may_be() -> None:
    answers = Answers(0)
    answers.put("a", finished(0))
    assert answers.get("a") is None


def test_threads_share_it() -> None:
    answers = Answers(200_000)

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(3000):
            key = rng.randrange(50)
            kept = answers.get(str(key))
            if kept is None:
                answers.put(str(key), finished(100 * key, key))
            else:
                assert kept.body == bytes([key]) * 100 * key

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.bytes == sum(_cost(100 * key) for key in range(50) if answers.get(str(key)))


def test_what_was_kept_is_counted(client: ConformingClient) -> None:
    def counted(result: str) -> float:
        text = client.get("/metrics").get_data(as_text=True)
        lines = [line for line in text.splitlines() if line.startswith(f'unitscope_answers_total{{result="{result}"}}')]
        return float(lines[0].split()[-1]) if lines else 0.0

    url = "/v1/indexes/small/images?limit=7&offset=11"
    made, kept = counted("made"), counted("kept")
    for _ in range(3):
        client.get(url)
    assert (counted("made"), counted("kept")) == (made + 1, kept + 2)
