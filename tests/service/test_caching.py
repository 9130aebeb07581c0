"""What a client may keep, and that it is never told to keep what is no longer right."""

import shutil
from pathlib import Path

import pytest

from indexer.jobs.build import add, build
from indexer.jobs.remove import remove
from tests.conftest import LAYERS, build_request, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
JSON_URLS = (
    "/v1/indexes", "/v1/indexes/{}", "/v1/indexes/{}/layers", f"/v1/indexes/{{}}/layers/{LAYER}",
    f"/v1/indexes/{{}}/layers/{LAYER}/neurons", f"/v1/indexes/{{}}/layers/{LAYER}/neurons/3",
    f"/v1/indexes/{{}}/layers/{LAYER}/neurons/3/patches", "/v1/indexes/{}/images", "/v1/indexes/{}/images/3",
    "/v1/indexes/{}/images/3/neurons", f"/v1/indexes/{{}}/images/3/layers/{LAYER}/cells/1,1/similar",
    "/v1/indexes/{}/classes", "/v1/indexes/{}/classes/boats", "/openapi.yaml",
)  # fmt: skip
PICTURES = (
    "/v1/indexes/{}/images/3/file", f"/v1/indexes/{{}}/images/3/layers/{LAYER}/cells/1,1/patch.jpg",
    f"/v1/indexes/{{}}/images/3/layers/{LAYER}/cells/1,1/patch.jpg?heat=3",
    f"/v1/indexes/{{}}/images/3/layers/{LAYER}/neurons/3/heatmap.png",
)  # fmt: skip
FOR_EVER = "max-age=31536000, immutable"


@pytest.mark.parametrize("url", [url.format("small") for url in (*JSON_URLS, *PICTURES)])
def test_what_a_client_has_is_not_sent_again(client: ConformingClient, url: str) -> None:
    first = client.get(url)
    assert first.headers["Cache-Control"] == "no-cache"
    etag = first.headers["ETag"]
    assert etag.startswith('W/"')
    for condition in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = client.get(url, headers={"If-None-Match": condition})
        assert (again.status_code, again.get_data()) == (304, b"")
        assert again.headers["ETag"] == etag
    for condition in ('"other"', "", '"*"'):
        assert client.get(url, headers={"If-None-Match": condition}).get_data() == first.get_data()


def test_every_answer_has_a_tag_of_its_own(client: ConformingClient) -> None:
    urls = [url.format("small") for url in (*JSON_URLS, *PICTURES)]
    urls += [f"/v1/indexes/small/images?{query}" for query in ("limit=3", "limit=4", "limit=3&offset=1", "class=boats")]
    urls += [f"{PICTURES[1].format('small')}?{query}" for query in ("size=99", "context=0.1", "outline=true", "heat=4")]
    tags = [client.get(url).headers["ETag"] for url in urls]
    assert len(set(tags)) == len(urls)


def test_defaults_spelled_out_have_the_same_tag(client: ConformingClient) -> None:
    url = "/v1/indexes/small/images"
    assert client.get(url).headers["ETag"] == client.get(f"{url}?offset=0&limit=20").headers["ETag"]


def test_nothing_is_read_for_a_picture_that_the_client_has(serve: Serve, photo_folder: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    build(tmp_path / "own", build_request(photos, layers=[LAYER]))
    client = serve(tmp_path / "own")
    tags = {url: client.get(url.format("own")).headers["ETag"] for url in PICTURES}
    shutil.rmtree(photos)
    for url, etag in tags.items():
        assert client.get(url.format("own")).status_code == 410
        assert client.get(url.format("own"), headers={"If-None-Match": etag}).status_code == 304


def test_linked_pictures_may_be_kept_for_ever(client: ConformingClient) -> None:
    (patch,) = client.get(f"/v1/indexes/small/layers/{LAYER}/neurons/3/patches?limit=1").json["items"]
    image = client.get(patch["links"]["image"]).json
    for url in (patch["links"]["patch"], patch["links"]["heatmap"], image["links"]["file"]):
        answer = client.get(url)
        assert answer.headers["Cache-Control"] == FOR_EVER
        again = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.headers["Cache-Control"]) == (304, FOR_EVER)
        unversioned = client.get(url.split("?")[0])
        assert (unversioned.headers["Cache-Control"], unversioned.get_data()) == ("no-cache", answer.get_data())
        assert client.get(f"{url}0").headers["Cache-Control"] == "no-cache"


def test_a_patch_link_does_not_vouch_for_heat(client: ConformingClient) -> None:
    (patch,) = client.get(f"/v1/indexes/small/layers/{LAYER}/neurons/3/patches?limit=1").json["items"]
    assert client.get(f"{patch['links']['patch']}&size=64").headers["Cache-Control"] == FOR_EVER
    assert client.get(f"{patch['links']['patch']}&heat=3").headers["Cache-Control"] == "no-cache"


def test_answers_change_with_the_generation_and_pictures_do_not(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    urls = [url.format("own") for url in (*JSON_URLS[:-1], *PICTURES)]
    before = {url: client.get(url) for url in urls}
    remove(own_index, ids=[7])
    for url in urls:
        after = client.get(url, headers={"If-None-Match": before[url].headers["ETag"]})
        assert (after.status_code == 304) == (url in [picture.format("own") for picture in PICTURES])


def test_heat_changes_with_the_scale_that_it_is_shown_on(serve: Serve, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=5, count=4)
    build(tmp_path / "own", build_request(photos, layers=[LAYER]))
    client = serve(tmp_path / "own", check_seconds=0.0)
    tops = {n: f"/v1/indexes/own/layers/{LAYER}/neurons/{n}/patches?limit=1" for n in range(0, 512, 16)}
    before = {n: client.get(url).json["items"][0] for n, url in tops.items()}
    write_photos(photos / "more", seed=6, count=12)
    add(tmp_path / "own")
    raised = kept = 0
    for n, url in tops.items():
        maximum = client.get(url).json["items"][0]["activation"]
        heat = f"/v1/indexes/own/images/{before[n]['image']}/layers/{LAYER}/neurons/{n}/heatmap.png"
        old_version = before[n]["links"]["heatmap"].split("=")[1]
        control = client.get(f"{heat}?version={old_version}").headers["Cache-Control"]
        assert (control == FOR_EVER) == (maximum == before[n]["activation"])
        assert client.get(before[n]["links"]["patch"]).headers["Cache-Control"] == FOR_EVER
        raised += maximum > before[n]["activation"]
        kept += maximum == before[n]["activation"]
    assert raised
    assert kept


def test_another_index_in_the_same_place_is_not_taken_for_the_first(serve: Serve, tmp_path: Path) -> None:
    place = tmp_path / "own"
    client = serve(tmp_path, check_seconds=0.0)
    answers = []
    for seed in (1, 2):
        photos = write_photos(tmp_path / f"photos {seed}", seed=seed, count=6)
        build(place, build_request(photos, layers=list(LAYERS[1:2])))
        urls = [url.format("own") for url in (*JSON_URLS[:-1], *PICTURES)]
        answers.append({url: client.get(url).headers["ETag"] for url in urls})
        shutil.rmtree(place)
    same = {url for url in answers[0] if answers[0][url] == answers[1][url]}
    # The list of indexes says the same of both; all else differs.
    assert same == {"/v1/indexes"}


def test_questions_with_a_body_are_not_kept(client: ConformingClient) -> None:
    answer = client.post("/v1/indexes/small/search", json={"layer": LAYER, "weights": {"1": 1}})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_problems_are_not_kept(client: ConformingClient) -> None:
    assert client.get("/v1/indexes/none").headers["Cache-Control"] == "no-store"
