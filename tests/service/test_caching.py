"""What a client may keep, and that it is never told to keep what is no longer right."""

import random
import shutil
from collections import OrderedDict
from pathlib import Path

import pytest

import indexer
from indexer.jobs.build import add, build
from indexer.jobs.upkeep.remove import remove
from indexer.query.index import Index
from service.http.etags import Tagged, Tags
from service.payloads.versions import Versions
from tests.conftest import LAYERS, build_request, write_photos
from tests.marks import seeds
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


@pytest.mark.parametrize("url", [url.format("small") for url in PICTURES])
def test_nothing_is_looked_up_for_a_picture_that_was_asked_for_before(
    serve: Serve, small_index: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, looked_up, real = serve(small_index), [], Index.image
    monkeypatch.setattr(Index, "image", lambda index, number: looked_up.append(number) or real(index, number))
    first = client.get(url)
    assert len(looked_up) == 1
    for condition, status, more in ((first.headers["ETag"], 304, 0), ('"other"', 200, 1), ("*", 304, 2)):
        again = client.get(url, headers={"If-None-Match": condition})
        assert (again.status_code, len(looked_up)) == (status, 1 + more)
        assert [again.headers[name] for name in ("ETag", "Cache-Control")] == [first.headers["ETag"], "no-cache"]
    otherwise = f"{url}{'&' if '?' in url else '?'}version=0"
    assert client.get(otherwise, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert len(looked_up) == 4
    wrong = f"{url}{'&' if '?' in url else '?'}wrong=0"
    for _ in range(2):
        assert client.get(wrong, headers={"If-None-Match": first.headers["ETag"]}).status_code == 422


def test_a_picture_of_an_image_that_was_removed_is_gone_for_those_who_have_it(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    known = {url: {"If-None-Match": client.get(url.format("own")).headers["ETag"]} for url in PICTURES}
    assert {client.get(url.format("own"), headers=known[url]).status_code for url in PICTURES} == {304}
    remove(own_index, ids=[3])
    for _ in range(2):
        assert {client.get(url.format("own"), headers=known[url]).status_code for url in PICTURES} == {404}
    shutil.rmtree(own_index)
    assert {client.get(url.format("own"), headers=known[url]).status_code for url in PICTURES} == {503}


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_so_many_tags_are_kept_and_the_oldest_fall_out(seed: int) -> None:
    rng, tags = random.Random(seed), Tags(20)
    twin: OrderedDict[str, Tagged] = OrderedDict()
    for number in range(1000):
        key = str(rng.randrange(40))
        assert tags.get(key) == twin.get(key)
        if key in twin:
            twin.move_to_end(key)
        if rng.random() < 0.5:
            twin[key] = Tagged(f"{number}", FOR_EVER, rng.randrange(3))
            twin.move_to_end(key)
            tags.put(key, twin[key])
            if len(twin) > 20:
                twin.popitem(last=False)


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
    tags = {n: client.get(top["links"]["heatmap"].split("?")[0]).headers["ETag"] for n, top in before.items()}
    write_photos(photos / "more", seed=6, count=12)
    add(tmp_path / "own")
    raised = kept = 0
    for n, url in tops.items():
        maximum = client.get(url).json["items"][0]["activation"]
        heat = f"/v1/indexes/own/images/{before[n]['image']}/layers/{LAYER}/neurons/{n}/heatmap.png"
        still = client.get(heat, headers={"If-None-Match": tags[n]}).status_code == 304
        assert still == (maximum == before[n]["activation"])
        old_version = before[n]["links"]["heatmap"].split("=")[1]
        control = client.get(f"{heat}?version={old_version}").headers["Cache-Control"]
        assert (control == FOR_EVER) == (maximum == before[n]["activation"])
        assert client.get(before[n]["links"]["patch"]).headers["Cache-Control"] == FOR_EVER
        raised += maximum > before[n]["activation"]
        kept += maximum == before[n]["activation"]
    assert raised
    assert kept


def test_heat_has_a_version_for_each_image_layer_and_neuron(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        versions = [Versions(index, network, "state") for network in ("one", "another")]
        images = index.find_images(limit=3).items
        found = [of.of_heat(image, layer, neuron)
                 for of in versions for image in images for layer in LAYERS for neuron in (1, 2)]  # fmt: skip
        assert found == [of.of_heat(image, layer, neuron)
                         for of in versions for image in images for layer in LAYERS for neuron in (1, 2)]  # fmt: skip
    assert len(set(found)) == len(found)


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
