"""Names for a later checkpoint: who is proposed what, in the library, on the command line and over HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import unitscope
from indexer.errors import InvalidRequest, NotFound
from indexer.query.learning.counterparts import best_of, counterparts
from service.notes.exchange.proposing import Proposal
from service.notes.exchange.suggestions import suggest
from tests.checkpoints import LAST, LAYER, ORDER, build_checkpoints
from tests.conftest import write_photos
from tests.indexer.test_jobs import tiny_build
from tests.service.conforming import ConformingClient
from tests.service.conftest import served
from unitscope import cli

NAMED = {3: "wheels", 0: "sky", 7: "grass", 5: "fur"}
PROPOSALS = "/v1/indexes/late/proposals"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``indexes/early`` and ``indexes/late``, and ``notes`` in which early's neurons have the names `NAMED`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    early, _ = build_checkpoints(folder)
    with unitscope.open(early) as index, unitscope.open_notes(folder / "notes") as book:
        for neuron, name in NAMED.items():
            book.write(index, layer=LAYER, neuron=neuron, name=name)
    return folder


@pytest.fixture
def own_notes(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder / "notes", tmp_path / "notes"))


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[ConformingClient]:
    with served(folder / "indexes", notes=str(folder / "notes")) as client:
        yield client


def due() -> dict[int, tuple[str, int]]:
    """Name and counterpart by neuron of the later checkpoint."""
    return {new: (NAMED[old], old) for new, old in enumerate(ORDER) if old in NAMED and new != LAST}


def by_neuron(found: list[Proposal]) -> dict[int, tuple[str, int]]:
    return {proposal.neuron: (proposal.name, proposal.counterpart) for proposal in found}


def test_counterparts_are_those_of_a_slow_twin(folder: Path) -> None:
    with unitscope.open(folder / "indexes/early") as early, unitscope.open(folder / "indexes/late") as late:
        found = counterparts(late, LAYER, early)
        images = late.find_images(limit=100).items
        own = np.array([late.activation_maps(image.id, LAYER).max(axis=(1, 2)) for image in images])
        rows = [early.find_images(path=image.path).items[0].id for image in images]
        theirs = np.array([early.activation_maps(row, LAYER).max(axis=(1, 2)) for row in rows])
        for neuron in range(8):
            expected = [np.corrcoef(own[:, neuron], theirs[:, other])[0, 1] for other in range(8)]
            assert found.match[neuron] == np.argmax(expected)
            assert found.correlation[neuron] == pytest.approx(max(expected), abs=1e-4)  # maps are kept as float16
        assert found.images == 24
        assert counterparts(late, LAYER, early) is found
        assert [found.match[new] for new in range(8) if new != LAST] == [old for old in ORDER if old != ORDER[LAST]]


def test_who_fits_each_other_best_and_who_fits_nobody() -> None:
    together = np.array([[0.9, 0.1], [0.8, 0.2], [np.nan, np.nan], [-0.5, 0.3]])
    found = best_of(together, 30)
    assert found.match.tolist() == [0, 0, -1, 1]
    assert found.mutual.tolist() == [True, False, False, True]
    np.testing.assert_array_equal(found.correlation, [0.9, 0.8, np.nan, 0.3])


def test_a_name_is_proposed_to_its_counterpart_alone_and_nothing_is_written(folder: Path, own_notes: Path) -> None:
    with (
        unitscope.open(folder / "indexes/early") as early,
        unitscope.open(folder / "indexes/late") as late,
        unitscope.open_notes(own_notes) as book,
    ):
        found = book.propose(late, early)
        assert by_neuron(found) == due()
        assert [proposal.correlation for proposal in found] == sorted((p.correlation for p in found), reverse=True)
        assert {(proposal.other, proposal.images) for proposal in found} == {("early", 24)}
        assert book.names(late) == {}
        # A neuron that has a name is proposed none, and one whose name is taken away is again.
        first = found[0]
        book.write(late, layer=LAYER, neuron=first.neuron, name="mine")
        assert by_neuron(book.propose(late, early)).keys() == due().keys() - {first.neuron}
        book.write(late, layer=LAYER, neuron=first.neuron, text="no name", revision=1)
        assert by_neuron(book.propose(late, early)) == due()
        assert book.propose(early, late) == []  # the later one has no names


def test_what_cannot_propose_is_said(folder: Path, tmp_path: Path) -> None:
    tiny_build(tmp_path / "other", write_photos(tmp_path / "photos", seed=5, count=6))
    with (
        unitscope.open(folder / "indexes/early") as early,
        unitscope.open(folder / "indexes/late") as late,
        unitscope.open(tmp_path / "other") as other,
        unitscope.open_notes(folder / "notes") as book,
    ):
        with pytest.raises(InvalidRequest, match="have the same weights, so they share all names"):
            book.propose(early, early)
        with pytest.raises(InvalidRequest, match="0 images in common; counterparts need 20"):
            book.propose(other, early)
        with pytest.raises(NotFound, match="no layer 'nothing'"):
            book.propose(late, early, layer="nothing")


def test_over_http_a_proposal_is_taken_over_by_an_ordinary_put(folder: Path, own_notes: Path) -> None:
    with served(folder / "indexes", notes=str(own_notes)) as client:
        body = client.get(PROPOSALS).json
        assert {item["neuron"]: (item["name"], item["by"]["neuron"]) for item in body["items"]} == due()
        assert (body["total"], body["asked"]) == (len(due()), ["early"])
        item = body["items"][0]
        assert client.get(item["links"]["counterpart"]).json["name"] == item["name"]
        note = client.get(item["links"]["note"])
        assert note.json["name"] is None
        client.put(item["links"]["note"], json={"name": item["name"]}, headers={"If-Match": note.headers["ETag"]})
        assert client.get(item["links"]["neuron"]).json["name"] == item["name"]
        after = client.get(PROPOSALS).json
        assert [other["neuron"] for other in after["items"]] == [each["neuron"] for each in body["items"][1:]]


def test_they_are_asked_for_by_layer_neuron_index_and_page(client: ConformingClient) -> None:
    every = client.get(PROPOSALS).json["items"]
    neuron = every[1]["neuron"]
    assert client.get(f"{PROPOSALS}?from=early&layer={LAYER}&neuron={neuron}").json["items"] == [every[1]]
    assert client.get(f"{PROPOSALS}?layer={LAYER}&neuron={LAST}").json["items"] == []
    assert client.get(f"{PROPOSALS}?limit=1&offset=1").json["items"] == [every[1]]
    assert client.get(f"{PROPOSALS}?least=1").json["items"] == []
    etag = client.get(PROPOSALS).headers["ETag"]
    assert client.get(PROPOSALS, headers={"If-None-Match": etag}).status_code == 304
    assert client.get("/v1/indexes/early/proposals").json["items"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?from=late", 422), ("?from=nobody", 404), ("?layer=nothing", 404), (f"?layer={LAYER}&neuron=8", 404),
        ("?neuron=1", 422), ("?least=2", 422),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(client: ConformingClient, query: str, status: int) -> None:
    assert client.get(f"{PROPOSALS}{query}").status_code == status


def test_without_notes_none_is_proposed(folder: Path) -> None:
    with served(folder / "indexes", notes="") as client:
        assert client.get(PROPOSALS).status_code == 503


def test_the_command_shows_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early, late = str(folder / "indexes/early"), str(folder / "indexes/late")
    asked = ["notes", "propose", late, "--from", early, "--notes", str(folder / "notes")]
    assert cli.main(asked) == 0
    said = capsys.readouterr()
    for neuron, (name, counterpart) in due().items():
        assert f"{LAYER} {neuron}: proposed {name!r} (counterpart {counterpart} in early, r = " in said.out
    assert said.err == f"{len(due())} names proposed; none is written\n"
    assert cli.main([*asked, "--format", "json", "--layer", LAYER]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["neuron"]: (row["name"], row["counterpart"]) for row in rows} == due()


def described(folder: Path, *names: tuple[int, int, str], **changes: object) -> str:
    """Lines as ``describe --out`` writes them, for the later checkpoint."""
    with unitscope.open(folder / "indexes/late") as late:
        weights = late.manifest.configuration.weights_digest
    about = {"weights_sha256": weights, "layer": LAYER, "dictionary_sha256": None, "by": "encoder", "encoder": "clip"}
    numbers = {"score": 1.5, "auc": 0.8, "auc_at_least": 0.7}
    return "".join(
        json.dumps({**about, **numbers, "neuron": neuron, "rank": rank, "name": name, **changes}) + "\n"
        for neuron, rank, name in names
    )


def of_machine(body: dict) -> list[tuple[int, str]]:
    return [(item["neuron"], item["name"]) for item in body["items"] if item["by"]["kind"] != "counterpart"]


def test_names_by_machine_are_brought_in_accepted_and_refused(
    folder: Path, own_notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.jsonl"

    def bring(*names: tuple[int, int, str]) -> str:
        file.write_text(described(folder, *names))
        assert cli.main(["notes", "suggest", str(file), "--notes", str(own_notes)]) == 0
        return capsys.readouterr().err

    assert bring((2, 1, "stripes"), (2, 2, "zebra"), (4, 1, "sea")) == "3 names proposed, 0 of them refused before\n"
    with served(folder / "indexes", notes=str(own_notes)) as client:
        body = client.get(PROPOSALS).json
        assert of_machine(body) == [(2, "stripes"), (2, "zebra"), (4, "sea")]
        first = next(item for item in body["items"] if item["name"] == "stripes")
        expected = {"kind": "encoder", "encoder": "clip", "score": 1.5, "auc": 0.8, "auc_at_least": 0.7}
        assert first["by"] == expected
        refusal = {"layer": LAYER, "neuron": 2, "name": "stripes"}
        assert client.put(first["links"]["refusal"], json=refusal).json == refusal | {"refused": True}
        assert of_machine(client.get(PROPOSALS).json) == [(2, "zebra"), (4, "sea")]
        # A counterpart's name is refused alike, and refusing is taken back.
        neuron, (name, _) = next(iter(due().items()))
        counterpart = {"layer": LAYER, "neuron": neuron, "name": name}
        client.put(first["links"]["refusal"], json=counterpart)
        assert neuron not in {item["neuron"] for item in client.get(f"{PROPOSALS}?from=early").json["items"]}
        client.put(first["links"]["refusal"], json=counterpart | {"refused": False})
        assert neuron in {item["neuron"] for item in client.get(f"{PROPOSALS}?from=early").json["items"]}
        # What is brought in again replaces what was there, and what was refused stays so.
        assert bring((2, 1, "stripes"), (2, 2, "horse")) == "2 names proposed, 1 of them refused before\n"
        assert of_machine(client.get(PROPOSALS).json) == [(2, "horse"), (4, "sea")]
        note = client.get(f"/v1/indexes/late/note?layer={LAYER}&neuron=4")
        client.put(note.json["links"]["self"], json={"name": "sea"}, headers={"If-Match": note.headers["ETag"]})
        assert of_machine(client.get(PROPOSALS).json) == [(2, "horse")]
        assert of_machine(client.get(f"{PROPOSALS}?layer={LAYER}&neuron=2").json) == [(2, "horse")]
        assert of_machine(client.get("/v1/indexes/early/proposals").json) == []
        assert client.put(first["links"]["refusal"], json=refusal | {"neuron": 99}).status_code == 404


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights_sha256": 7}, "name no layer"), ({"layer": ""}, "name no layer"),
        ({"dictionary_sha256": "x"}, "name no layer"), ({"neuron": -1}, "whole numbers"),
        ({"neuron": True}, "whole numbers"), ({"rank": 1.0}, "whole numbers"), ({"name": "x" * 201}, "1 to 200"),
        ({"name": "two\nlines"}, "1 to 200"), ({"name": None}, "1 to 200"), ({"by": "magic"}, "by is one of"),
        ({"score": "high"}, "numbers or null"), ({"auc": float("nan")}, "numbers or null"),
        ({"encoder": 3}, "encoder is null"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_proposal_brings_nothing_in(folder: Path, tmp_path: Path, changes: dict, said: str) -> None:
    lines = described(folder, (1, 1, "fine")) + described(folder, (1, 2, "wrong"), **changes)
    with unitscope.open_notes(tmp_path / "notes") as book:
        with pytest.raises(InvalidRequest, match=f"line 2 is no proposal: .*{said}"):
            suggest(book.notes, lines.splitlines())
        assert not (tmp_path / "notes").exists()
