"""Notes over HTTP: who may write, what a lost race says, and where names stand."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.jobs.upkeep.relabel import relabel
from indexer.jobs.upkeep.remove import remove
from service.access import tokens
from service.notes.database import database
from tests.conftest import moved_index
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve, served
from tests.service.failing_notes import failing_names

INDEX = "/v1/indexes/small"
NOTE = f"{INDEX}/note?layer=features.12&neuron=5"
ABOUT = {"neuron": 5, "layer": "features.12"}
SUBJECTS = {
    "neuron": NOTE,
    "unit": f"{NOTE}&y=1&x=2",
    "image": f"{INDEX}/note?image=3",
    "class": f"{INDEX}/note?class=birds",
}


def seen(revision: int | str) -> dict[str, str]:
    return {"If-Match": revision if isinstance(revision, str) else f'"{revision}"'}


@pytest.fixture
def notes(serve: Serve, small_index: Path, tmp_path: Path) -> ConformingClient:
    return serve(small_index, notes=str(tmp_path / "notes"))


@pytest.fixture(scope="module")
def named(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    """Neuron 5 of features.12 is called "wheels"; read-only."""
    with served(small_index, notes=str(tmp_path_factory.mktemp("notes"))) as client:
        body = {"name": "wheels", "text": "Round *things* on roads", "tags": ["vehicles"]}
        assert client.put(NOTE, json=body, headers=seen(0)).status_code == 200
        for neuron in range(64):
            if neuron != 5:
                other = f"{INDEX}/note?layer=features.7&neuron={neuron}"
                client.put(other, json={"name": f"seven {neuron}"}, headers=seen(0))
        yield client


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_note_is_written_read_and_undone(notes: ConformingClient, kind: str) -> None:
    url = SUBJECTS[kind]
    empty = notes.get(url)
    assert (empty.json["revision"], empty.json["name"], empty.json["about"]["kind"]) == (0, None, kind)
    assert (empty.headers["ETag"][:3], empty.headers["Cache-Control"]) == ('"0-', "no-cache")
    body = {"name": "  round \n things ", "text": "**wheels**", "tags": [" a ", "b", "a", ""]}
    written = notes.put(url, json=body, headers=seen(0))
    assert (written.json["name"], written.json["tags"]) == ("round things", ["a", "b"])
    assert written.json["html"] == "<p><strong>wheels</strong></p>\n"
    etag = written.headers["ETag"]
    assert etag.startswith('"1-')
    assert notes.get(url).json == written.json
    for given, status in ((etag, 304), (f"W/{etag}", 304), ('"1"', 200), (empty.headers["ETag"], 200)):
        answer = notes.get(url, headers={"If-None-Match": given})
        assert (answer.status_code, answer.headers["ETag"]) == (status, etag)
    assert notes.put(url, json={"name": "another"}, headers=seen(empty.headers["ETag"])).status_code == 412
    assert notes.put(url, json={"name": "another"}, headers=seen(etag)).status_code == 200
    restored = notes.post(written.json["links"]["restore"], json={"revision": 1}, headers=seen(2))
    assert {**restored.json, "revision": 1, "time": written.json["time"]} == written.json
    history = notes.get(written.json["links"]["history"]).json
    assert [change["what"] for change in history["items"]] == ["restore", "edit", "edit"]
    assert history["items"][1]["before"]["text"] == "**wheels**"
    assert notes.get(written.json["links"]["subject"]).status_code == 200


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({}, 428, "revision-missing"), (seen(0), 412, "revision-replaced"), (seen(7), 412, "revision-replaced"),
        (seen("nonsense"), 412, "revision-replaced"), (seen('"a"'), 412, "revision-replaced"),
        (seen('"1-"'), 412, "revision-replaced"), (seen('"2-12ab"'), 412, "revision-replaced"),
        (seen('W/"1"'), 200, None), (seen('"1-12ab"'), 200, None), (seen("*"), 200, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", ["", "/restore", "/vote"])
def test_a_change_names_the_revision_that_was_seen(
    notes: ConformingClient, given: dict[str, str], status: int, kind: str | None, part: str
) -> None:
    notes.put(NOTE, json={"name": "wheels"}, headers=seen(0))
    url = NOTE.replace("/note", f"/note{part}")
    bodies: dict[str, Any] = {"": {"name": "cats"}, "/restore": {"revision": 0}, "/vote": {"vote": 1}}
    change = notes.post if part == "/restore" else notes.put
    answer = change(url, json=bodies[part], headers=given)
    assert answer.status_code == status
    if kind is not None:
        assert answer.json["type"].endswith(kind)
        assert notes.get(NOTE).json["revision"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422), ("?layer=features.12", 422), ("?neuron=5", 422), ("?layer=features.12&neuron=5&y=1", 422),
        ("?layer=features.12&neuron=5&image=3", 422), ("?image=3&class=birds", 422), ("?layer=none&neuron=5", 404),
        ("?layer=features.12&neuron=99999", 404), ("?layer=features.12&neuron=5&y=99&x=0", 404), ("?image=999", 404),
        ("?class=fish", 404), (f"?layer=features.12&direction={'0' * 32}", 404),
        ("?layer=features.12&direction=x", 422),
    ],
)  # fmt: skip
def test_what_is_not_in_the_index_has_no_note(notes: ConformingClient, query: str, status: int) -> None:
    assert notes.get(f"{INDEX}/note{query}").status_code == status
    assert notes.put(f"{INDEX}/note{query}", json={"name": "x"}, headers=seen("*")).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x" * 201},
        {"text": "x" * 20_001},
        {"tags": ["x"] * 33},
        {"tags": [1]},
        {"name": "a\0b"},
        {"other": 1},
        [],
    ],
)
def test_what_is_too_long_or_odd_is_refused(notes: ConformingClient, body: Any) -> None:
    assert notes.put(NOTE, json=body, headers=seen(0)).status_code == 422
    assert notes.get(NOTE).json["revision"] == 0


def test_a_direction_is_kept_with_its_weights(notes: ConformingClient) -> None:
    body = {"layer": "features.12", "weights": {"5": 1.0, "7": -0.5, "9": 0}}
    kept = notes.post(f"{INDEX}/directions", json=body).json
    assert kept["about"]["weights"] == {"5": 1.0, "7": -0.5}
    again = notes.post(f"{INDEX}/directions", json=body | {"weights": {"7": -0.5, "5": 1}}).json
    assert again == kept
    named = notes.put(kept["links"]["self"], json={"name": "up"}, headers=seen(1)).json
    assert (named["name"], named["about"]) == ("up", kept["about"])
    assert notes.get(f"{INDEX}/find?q=up").json["items"][0]["about"]["direction"] == kept["about"]["direction"]
    for weights, status in (({"5": 0}, 422), ({"99999": 1}, 404)):
        refused = notes.post(f"{INDEX}/directions", json={"layer": "features.12", "weights": weights})
        assert refused.status_code == status


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def test_authors_are_the_names_of_tokens_and_only_write_may(
    serve: Serve, small_index: Path, tmp_path: Path, file: Path
) -> None:
    def bearer(name: str, *roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.add(file, name, roles)}"}

    ada, bob = bearer("ada", "write"), bearer("bob", "write")
    client = serve(small_index, notes=str(tmp_path / "notes"), tokens=file)
    for name, roles in {"reader": ("read",), "runner": ("run",), "sender": ("upload",)}.items():
        refused = client.put(NOTE, json={"name": "x"}, headers=seen(0) | bearer(name, *roles))
        assert refused.status_code == 403
        assert refused.json["detail"].endswith("it lacks write")
    assert client.put(NOTE, json={"name": "x"}, headers=seen(0)).status_code == 401
    assert client.put(NOTE, json={"name": "wheels"}, headers=seen(0) | ada).json["author"] == "ada"
    vote = NOTE.replace("/note", "/note/vote")
    client.put(vote, json={"vote": 1}, headers=seen(1) | bob)
    voted = client.put(vote, json={"vote": -1}, headers=seen(2) | ada)
    assert voted.json["votes"] == {"agree": ["bob"], "disagree": ["ada"]}
    history = client.get(NOTE.replace("/note", "/note/history"), headers=bearer("looker", "read")).json["items"]
    assert [(change["what"], change["author"]) for change in history] == [
        ("vote", "ada"), ("vote", "bob"), ("edit", "ada"),
    ]  # fmt: skip


def test_without_tokens_only_this_machine_writes_and_no_page_of_a_stranger(notes: ConformingClient) -> None:
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    refused = notes.put(NOTE, json={"name": "x"}, headers=seen(0), **elsewhere)
    assert (refused.status_code, refused.json["type"].rpartition(":")[2]) == (403, "only-from-here")
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert notes.put(NOTE, json={"name": "x"}, headers=seen(0) | headers).status_code == 403
    assert notes.get(NOTE, **elsewhere).json["revision"] == 0


def test_where_notes_are_off_a_note_says_which_setting_and_questions_go_on(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, host="0.0.0.0")
    for answer in (client.get(NOTE), client.put(NOTE, json={}, headers=seen(0)), client.get("/v1/lists")):
        assert answer.status_code == 503
        assert answer.json["type"].endswith("notes-unavailable")
        assert "--notes" in answer.json["detail"]
    assert client.get(f"{INDEX}/layers/features.12/neurons/5").status_code == 200
    found = client.get(f"{INDEX}/find?q=birds").json
    assert (found["notes"], found["items"][0]["about"]) == (False, {"kind": "class", "class": "birds"})


def neurons_of(answer: Any, layer: str | None = None) -> Iterator[tuple[str | None, int, str | None]]:
    """Layer, number and name of every neuron that an answer leads to."""
    if isinstance(answer, list):
        for item in answer:
            yield from neurons_of(item, layer)
    if isinstance(answer, dict):
        layer = answer.get("layer", layer)
        if "neuron" in answer and "links" in answer:
            yield layer, answer["neuron"], answer.get("name")
        for value in answer.values():
            yield from neurons_of(value, layer)


@pytest.mark.parametrize(
    "path",
    [
        "/layers/features.12/neurons?limit=1000", "/layers/features.12/neurons/5", "/layers/features.7/neurons?limit=9",
        "/layers/features.12/neurons/5/patches?limit=3", "/images/3/neurons?limit=1000&fraction=0.2",
        "/images/3/point?x=20&y=20", "/layers/features.12/neurons/7/correlated?limit=1000",
        "/layers/features.12/classes/birds?limit=100", "/layers/features.7/pair?a=birds&b=boats&limit=20", "/report",
    ],
)  # fmt: skip
def test_names_stand_beside_numbers(named: ConformingClient, path: str) -> None:
    found = list(neurons_of(named.get(INDEX + path).json))
    assert found
    for layer, neuron, name in found:
        names = {("features.12", 5): "wheels"} | {("features.7", n): f"seven {n}" for n in range(64) if n != 5}
        assert name == names.get((layer or "", neuron)), (layer, neuron)


def test_names_stand_beside_numbers_of_questions_with_a_body(named: ConformingClient) -> None:
    found = named.post(f"{INDEX}/concept", json={"layer": "features.12", "class": "birds", "limit": 1000}).json
    assert {one["neuron"]: one.get("name") for one in found["items"]}[5] == "wheels"
    compared = named.get("/v1/compare?a=small&b=small&layer=features.12&limit=1000").json["items"]
    assert {one["neuron"]: one.get("name") for one in compared}[5] == "wheels"
    assert all(one["match"].get("name") == "wheels" for one in compared if one["match"] and one["match"]["neuron"] == 5)


def test_an_answer_is_another_once_a_name_is(notes: ConformingClient) -> None:
    url = f"{INDEX}/layers/features.12/neurons/5"
    etag = notes.get(url).headers["ETag"]
    notes.put(NOTE, json={"text": "a note alone"}, headers=seen(0))
    assert notes.get(url, headers={"If-None-Match": etag}).status_code == 304
    notes.put(NOTE, json={"name": "wheels"}, headers=seen(1))
    answer = notes.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json["name"]) == (200, "wheels")
    notes.post(NOTE.replace("/note", "/note/restore"), json={"revision": 0}, headers=seen(2))
    assert "name" not in notes.get(url, headers={"If-None-Match": answer.headers["ETag"]}).json


@pytest.mark.parametrize(
    "asked",
    [
        {"path": f"{INDEX}/layers/features.12/neurons/5"},
        {"path": f"{INDEX}/images/3/neurons?limit=1000&fraction=0.2"},
        {"path": "/v1/compare?a=small&b=small&layer=features.12&limit=1000"},
        {
            "path": f"{INDEX}/concept",
            "method": "POST",
            "json": {"layer": "features.12", "class": "birds", "limit": 1000},
        },
    ],
    ids=["neuron", "image", "compare", "concept"],
)
def test_what_was_answered_while_the_database_failed_is_not_given_again(
    notes: ConformingClient, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0.0)
    for neuron in range(64):
        notes.put(NOTE.replace("=5", f"={neuron}"), json={"name": "wheels"}, headers=seen(0))
    with failing_names(notes.application.services.notes.database):
        before = notes.open(**asked)
        assert (before.status_code, b"wheels" in before.get_data()) == (200, False)
        known = {"If-None-Match": before.headers["ETag"]} if "ETag" in before.headers else {}
        assert notes.open(**asked, headers=known).status_code == (304 if known else 200)
    after = notes.open(**asked, headers=known)
    assert (after.status_code, b"wheels" in after.get_data()) == (200, True)


def test_lists_are_ordered_and_kept(notes: ConformingClient) -> None:
    items = [
        {"index": "small", "class": "boats", "remark": "first"},
        {"index": "small", **ABOUT, "remark": "second"},
        {"index": "small", **ABOUT, "y": 1, "x": 2},
        {"index": "small", "image": 3},
    ]
    url = "/v1/lists/odd-ones"
    assert notes.get(url).json["revision"] == 0
    written = notes.put(url, json={"name": "Odd ones", "text": "*why*", "items": items}, headers=seen(0)).json
    assert [item["about"]["kind"] for item in written["items"]] == ["class", "neuron", "unit", "image"]
    assert [item["remark"] for item in written["items"]] == ["first", "second", "", ""]
    for item in written["items"]:
        assert notes.get(item["links"]["subject"]).status_code == 200
        assert notes.get(item["links"]["note"]).json["about"] == item["about"]
    assert notes.get("/v1/lists").json["items"][0]["length"] == 4
    assert notes.put(url, json={"items": items[::-1]}, headers=seen(0)).status_code == 412
    reversed_ = notes.put(url, json={"items": items[::-1]}, headers=seen(1)).json
    assert [item["remark"] for item in reversed_["items"]] == ["", "", "second", "first"]
    notes.put(url, json={}, headers=seen(2))
    assert notes.get("/v1/lists").json["total"] == 0
    assert notes.post(f"{url}/restore", json={"revision": 1}, headers=seen(3)).json["items"] == written["items"]
    assert [change["revision"] for change in notes.get(f"{url}/history").json["items"]] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ({"index": "none", **ABOUT}, 404),
        ({"index": "small"}, 422),
        ({"index": "small", "image": 999}, 404),
        (ABOUT, 422),
    ],
)
def test_a_list_of_what_is_not_there_is_refused(notes: ConformingClient, item: dict[str, Any], status: int) -> None:
    assert notes.put("/v1/lists/odd", json={"items": [item]}, headers=seen(0)).status_code == status
    assert notes.get("/v1/lists").json["total"] == 0


ITEMS = {
    "a neuron": {"layer": "features.12", "neuron": 5},
    "a unit": {"layer": "features.12", "neuron": 5, "y": 1, "x": 2},
    "an image": {"image": 3},
    "a class": {"class": "birds"},
}


@pytest.mark.parametrize("kind", [*ITEMS, "a direction"])
@pytest.mark.parametrize("lost", ["index", "image"])
def test_a_list_is_changed_while_an_item_of_it_cannot_be_found(
    serve: Serve, small_index: Path, own_index: Path, tmp_path: Path, kind: str, lost: str
) -> None:
    (tmp_path / "all").mkdir()
    for index in (small_index, own_index):
        (tmp_path / "all" / index.name).symlink_to(index)
    client = serve(tmp_path / "all", notes=str(tmp_path / "notes"), check_seconds=0.0)
    body = {"layer": "features.12", "weights": {"5": 1.0, "7": -0.5}}
    direction = client.post(f"{INDEX}/directions", json=body).json["about"]["direction"]
    item = {"index": "own", **(ITEMS | {"a direction": {"layer": "features.12", "direction": direction}})[kind]}
    first, last = {"index": "small", "layer": "features.7", "neuron": 1}, {"index": "own", "image": 4}
    url = "/v1/lists/odd"
    before = client.put(url, json={"items": [first, item, last]}, headers=seen(0)).json["items"]
    if lost == "index":
        (tmp_path / "all" / "own").unlink()
    else:
        remove(own_index, ids=[3])
    is_there = lost == "image" and kind != "an image"
    changed = client.put(url, json={"items": [item | {"remark": "still"}, first]}, headers=seen(1))
    assert changed.status_code == 200
    assert [one["about"] for one in changed.json["items"]] == [before[1]["about"], before[0]["about"]]
    assert [one["remark"] for one in changed.json["items"]] == ["still", ""]
    assert (changed.json["items"][0]["links"] is not None) == is_there
    for other in (item | {"index": "none"}, {"index": "own", "image": 999}, {"index": "own", "layer": "features.12"}):
        refused = client.put(url, json={"items": [item, first, other]}, headers=seen(2))
        assert refused.status_code in (404, 422), "what the list does not have must be found"
    assert client.put(url, json={"items": [first]}, headers=seen(2)).status_code == 200
    refused = client.put(url, json={"items": [first, item]}, headers=seen(3))
    assert refused.status_code == (200 if is_there else 404), "what was taken out must be found to come back"
    if lost == "index":
        (tmp_path / "all" / "own").symlink_to(own_index)
        restored = client.post(f"{url}/restore", json={"revision": 2}, headers=seen(3)).json["items"]
        assert restored[0]["links"] == before[1]["links"]


def test_what_is_known_of_a_list_or_note_is_sent_anew_once_an_index_has_changed(
    serve: Serve, small_index: Path, own_index: Path, tmp_path: Path
) -> None:
    (tmp_path / "all").mkdir()
    for index in (small_index, own_index):
        (tmp_path / "all" / index.name).symlink_to(index)
    client = serve(tmp_path / "all", notes=str(tmp_path / "notes"), check_seconds=0.0)
    items = [{"index": "own", "image": 3}, {"index": "small", **ABOUT}]
    client.put("/v1/lists/odd", json={"items": items}, headers=seen(0))
    shown = []
    for change in (lambda: None, lambda: remove(own_index, ids=[3]), (tmp_path / "all" / "small").unlink):
        change()
        answer = client.get("/v1/lists/odd")
        shown.append((answer.headers["ETag"], [item["links"] is not None for item in answer.json["items"]]))
        for etag, links in shown:
            again = client.get("/v1/lists/odd", headers={"If-None-Match": etag})
            assert again.status_code == (304 if links == shown[-1][1] else 200)
    assert [links for _, links in shown] == [[True, True], [False, True], [False, False]]
    assert client.put("/v1/lists/odd", json={}, headers=seen(shown[0][0])).status_code == 200, "nobody wrote meanwhile"


def test_what_is_known_of_a_note_is_sent_anew_once_its_image_was_moved(
    serve: Serve, small_index: Path, photo_folder: Path, tmp_path: Path
) -> None:
    photos = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    index = moved_index(small_index, photos, tmp_path / "own")
    client = serve(index, notes=str(tmp_path / "notes"), check_seconds=0.0)
    url = "/v1/indexes/own/note?image=3"
    before = client.put(url, json={"name": "a bird"}, headers=seen(0))
    known = {"If-None-Match": before.headers["ETag"]}
    assert client.get(url, headers=known).status_code == 304
    (photos / "ships").mkdir()
    (photos / before.json["about"]["path"]).rename(photos / "ships" / "a.png")
    relabel(index)
    after = client.get(url, headers=known)
    assert (after.status_code, after.json["about"]["class"], after.json["revision"]) == (200, "ships", 1)
    assert client.put(url, json={"name": "a ship"}, headers=seen(before.headers["ETag"])).json["revision"] == 2


def test_notes_are_listed_last_first(named: ConformingClient) -> None:
    page = named.get(f"{INDEX}/notes?limit=3").json
    assert ([item["about"]["neuron"] for item in page["items"]], page["total"]) == ([63, 62, 61], 64)
    assert named.get(f"{INDEX}/notes?kind=image").json["total"] == 0


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("wheels", ("neuron", "wheels", "name", "equal")), ("WHEE", ("neuron", "wheels", "name", "start")),
        ("vehicles", ("neuron", "vehicles", "tag", "equal")), ("ar wheel", ("neuron", "car wheel", "category", "part")),
        ("roads things", ("neuron", "wheels", "note", "text")), ("birds", ("class", "birds", "class", "equal")),
        ("features.7", ("layer", "features.7", "layer", "equal")), ("photo 003", ("image", None, "path", "start")),
        ("seven 63", ("neuron", "seven 63", "name", "equal")), ("birds/photo", ("image", None, "path", "part")),
    ],
)  # fmt: skip
def test_the_best_is_found_first(named: ConformingClient, text: str, first: tuple[str, str, str, str]) -> None:
    items = named.get(f"{INDEX}/find", query_string={"q": text}).json["items"]
    kind, said, where, match = first
    best = items[0]
    assert (best["about"]["kind"], best["in"], best["match"]) == (kind, where, match)
    assert said in (None, best["text"])
    assert named.get(best["link"]).status_code == 200


def test_what_is_found_is_of_this_index(named: ConformingClient) -> None:
    found = named.get(f"{INDEX}/find?q=seven&limit=10").json
    assert (len(found["items"]), found["more"], found["notes"]) == (10, True, True)
    assert named.get(f"{INDEX}/find?q=nothing+at+all").json["items"] == []
