"""Clients: one generated from openapi.yaml, used against the live service, and the examples of docs/clients.md."""

import importlib
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = re.findall(r"```(sh|python|js)\n(.*?)```", (ROOT / "docs" / "clients.md").read_text(), re.DOTALL)
NAME = "unitscope_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generated package; a warning of the generator is a failure."""
    folder = tmp_path_factory.mktemp("generated")
    command = [
        str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--path", str(ROOT / "openapi.yaml"),
        "--config", str(HERE / "client_generator.yaml"), "--meta", "none", "--output-path", str(folder / NAME),
        "--fail-on-warning",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture
def api(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives the modules of the generated package by name."""
    monkeypatch.syspath_prepend(generated)
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def test_every_operation_is_generated(generated: Path) -> None:
    from tests.service.conforming import OPERATIONS

    made = {path.stem for path in (generated / NAME / "api").rglob("*.py")} - {"__init__"}
    assert made == set(OPERATIONS)


def test_a_generated_client_asks_the_live_service(api: Any, live_url: str) -> None:
    with api("client").Client(base_url=live_url) as client:
        listed = api("api.indexes.list_indexes").sync(client=client)
        assert [(index.name, index.ready) for index in listed.items] == [("small", True)]
        patches = api("api.layers.list_patches").sync("small", "features.12", 3, client=client, limit=4)
        assert (len(patches.items), patches.limit) == (4, 4)
        values = [patch.activation for patch in patches.items]
        assert values == sorted(values, reverse=True)
        assert isinstance(patches.items[0].box.left, int)
        place = patches.items[0]
        similar = api("api.cells.list_similar").sync(
            "small", place.image, "features.12", place.cell.y, place.cell.x, client=client
        )
        assert similar.items[0].image == place.image
        detail = api("api.layers.get_neuron").sync("small", "features.12", 3, client=client)
        assert detail.neuron == 3
        report = api("api.classes.get_report").sync("small", client=client)
        assert report.index == "small"


def test_a_generated_client_sends_json_and_files(api: Any, live_url: str, photo_folder: Path) -> None:
    models, types = api("models"), api("types")
    photo = (photo_folder / "birds" / "photo 000.png").read_bytes()
    with api("client").Client(base_url=live_url) as client:
        question = models.Search.from_dict({"layer": "features.12", "weights": {"1": 1.0, "2": -0.5}, "limit": 2})
        found = api("api.queries.search_direction").sync("small", client=client, body=question)
        assert len(found.items) == 2
        body = models.LookupConceptBody(image=[types.File(io.BytesIO(photo), "a.png", "image/png")])
        concept = api("api.queries.lookup_concept").sync("small", client=client, layer="features.12", body=body)
        assert concept.items


def test_a_generated_client_gets_pictures_and_problems(api: Any, live_url: str) -> None:
    with api("client").Client(base_url=live_url) as client:
        picture = api("api.cells.get_patch").sync("small", 1, "features.12", 1, 1, client=client)
        with Image.open(io.BytesIO(picture)) as image:
            assert image.format == "JPEG"
        problem = api("api.images.get_image").sync("small", 10**6, client=client)
        assert (problem.status, problem.type_.value) == (404, "urn:problem-type:unitscope:not-found")
        wrong = api("api.images.list_images").sync("small", limit=0, client=client)
        assert [(fault.name, fault.in_.value) for fault in wrong.errors] == [("limit", "query")]


def test_the_documentation_has_examples_in_every_language() -> None:
    assert {language for language, _ in EXAMPLES} == {"sh", "python", "js"}
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("language", "code"), EXAMPLES, ids=[language for language, _ in EXAMPLES])
def test_an_example(
    language: str, code: str, live_url: str, photo_folder: Path, generated: Path, tmp_path: Path
) -> None:
    program = {"sh": "bash", "python": sys.executable, "js": "node"}[language]
    for needed in (program, *(["curl"] if language == "sh" else [])):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed} here")
    shutil.copy(photo_folder / "birds" / "photo 000.png", tmp_path / "photo.png")
    shutil.copytree(generated / NAME, tmp_path / NAME)
    script = tmp_path / f"example.{ {'sh': 'sh', 'python': 'py', 'js': 'mjs'}[language] }"
    code = code.replace("http://127.0.0.1:8000", live_url).replace("/demo/", "/small/").replace('"demo"', '"small"')
    script.write_text(("set -eu\n" if language == "sh" else "") + code)
    done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    written = sorted(path for path in tmp_path.iterdir() if path.suffix in (".json", ".jpg"))
    assert written or len(done.stdout) > 5
    for path in written:
        assert path.name == "nothing.json" or path.stat().st_size > 100
    if "--etag-compare" in code:
        assert done.stdout == "304\n"
