"""Notes from the library and the command line; and what they outlive."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unitscope
from service.errors import RevisionReplaced
from tests.conftest import build_request, write_photos
from unitscope import open_notes

LAYER = "features.12"


def run(*arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "unitscope", "notes", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=dict(os.environ))


def test_a_note_book_writes_what_a_service_reads(small_index: Path, tmp_path: Path) -> None:
    from tests.service.conftest import served

    with unitscope.open(small_index) as index, open_notes(tmp_path) as book:
        first = book.write(index, layer=LAYER, neuron=5, name="wheels", text="round", tags=("a",), author="ada")
        book.write(index, class_="birds", name="all birds")
        book.write(index, layer=LAYER, neuron=5, y=1, x=2, name="a unit")
        assert book.get(index, layer=LAYER, neuron=5) == first
        assert dict(book.names(index)) == {LAYER: {5: "wheels"}}
        assert [note.state["name"] for note in book.find(index, "birds")] == ["all birds"]
        with pytest.raises(RevisionReplaced):
            book.write(index, layer=LAYER, neuron=5, name="late", revision=0)
        book.write(index, layer=LAYER, neuron=5, name="cars")
        assert book.restore(index, 1, layer=LAYER, neuron=5).state == first.state
        assert [change.after["name"] for change in book.history(index, layer=LAYER, neuron=5)] == [
            "wheels",
            "cars",
            "wheels",
        ]
        for wrong in ({}, {"layer": LAYER}, {"image": 1, "class_": "birds"}):
            with pytest.raises(unitscope.InvalidRequest, match="give layer and neuron"):
                book.get(index, **wrong)
    with served(small_index, notes=str(tmp_path)) as client:
        assert client.get(f"/v1/indexes/small/layers/{LAYER}/neurons/5").json["name"] == "wheels"


def test_names_outlive_a_rebuild_with_other_shards_and_what_is_added_and_removed(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=3, count=6)
    changes = {"layers": ("features.7",), "shard_size": 4}
    from indexer.cli import main
    from indexer.jobs.build import build

    build(tmp_path / "index", build_request(photos, **changes))
    with open_notes(tmp_path / "notes") as book:
        with unitscope.open(tmp_path / "index") as index:
            book.write(index, layer="features.7", neuron=3, name="kept")
            path = index.image(2).path
            book.write(index, image=2, name="a picture")

        def still_there() -> None:
            with unitscope.open(tmp_path / "index") as index:
                assert dict(book.names(index)) == {"features.7": {3: "kept"}}
                [image] = index.find_images(path=path).items
                assert book.get(index, image=image.id).state["name"] == "a picture"

        (tmp_path / "more").mkdir()
        write_photos(tmp_path / "more", seed=4, count=1, classes=("new",))
        shutil.copytree(tmp_path / "more" / "new", photos / "new")
        for command in (["add"], ["remove", "--id", "0"], ["compact"]):
            assert main([command[0], str(tmp_path / "index"), *command[1:]]) == 0, command
            still_there()
        shutil.rmtree(tmp_path / "index")
        build(tmp_path / "index", build_request(photos, **(changes | {"shard_size": 2})))
        still_there()


def test_the_command_writes_a_file_and_brings_it_in(small_index: Path, tmp_path: Path) -> None:
    file, there, here = tmp_path / "notes.jsonl", str(tmp_path / "there"), str(tmp_path / "here")
    with unitscope.open(small_index) as index, open_notes(there) as book:
        book.write(index, layer=LAYER, neuron=5, name="wheels\u2028", author="ada")
    done = run("export", str(file), "--notes", there)
    assert (done.returncode, done.stderr) == (0, "1 subjects written\n")
    assert json.loads(file.read_text())["history"][0]["author"] == "ada"
    assert run("import", str(file), "--notes", here).stderr == "1 subjects new, 0 changed, 0 the same\n"
    assert (
        run("import", "-", "--notes", here, stdin=file.read_text()).stderr == "0 subjects new, 0 changed, 1 the same\n"
    )
    assert run("export", "-", "--notes", here).stdout == file.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "{tmp}/none.jsonl"), "none.jsonl cannot be read"),
        (("import", "{tmp}/bad.jsonl"), "line 2 is no note"),
        (("export", "{tmp}/no/folder/x.jsonl"), "cannot be written"),
        (("export", "{tmp}/x.jsonl", "--notes", "postgresql://127.0.0.1:1/x"), "cannot be used now"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "bad.jsonl").write_text("\nnonsense\n")
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    done = run(*given, *([] if "--notes" in given else ["--notes", str(tmp_path / "notes")]))
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
