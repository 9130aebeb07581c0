"""A network whose own code raises: its words and its files are for the log, and clients get one line."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from indexer.errors import UserCodeFailed
from indexer.jobs.build import build
from service.http import problems
from service.inference.loader import Networks
from tests.conftest import build_request, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.turns import asking, one_by_one

CELL = "/v1/indexes/own/images/1/layers/1/cells/1,1/saliency.png?neuron=3"
QUESTIONS = {
    "/v1/indexes/own/lookup": "image-rejected",
    "/v1/indexes/own/lookup/heatmap.png?layer=1&neuron=2": "image-rejected",
    f"{CELL}&method=gradient": "invalid-request",
    f"{CELL}&method=occlusion": "invalid-request",
}
RAISED = {
    "raise FileNotFoundError('no table at /srv/private/table.npy')": "FileNotFoundError: no table at /srv/private",
    "raise SystemExit('usage: private')": "SystemExit: usage: private",
    "nn.functional.conv2d(images[:, :2], self.weight)": "RuntimeError: Given groups=1",
}
BROKEN = "private_network.broken"
CODE = """
from pathlib import Path
from torch import nn

class Convolution(nn.Conv2d):
    def forward(self, images):
        broken = Path(__file__).with_suffix(".broken")
        if broken.exists():
            exec(broken.read_text())
        return super().forward(images)

def make():
    return nn.Sequential(Convolution(3, 8, 5, 4), nn.ReLU()), dict(resize=(40, 56), mean=(0.5,) * 3, std=(0.25,) * 3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index called "own" whose network fails with the code in a file `BROKEN`, if there is one; its images."""
    (tmp_path / "private_network.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "private_network", raising=False)
    photos = write_photos(tmp_path / "photos", seed=4, count=3)
    build(tmp_path / "own", build_request(photos, model="private_network:make", layers=["1"], preprocessing={}))
    return tmp_path


@pytest.fixture(params=["here", "apart"])
def client(request: pytest.FixtureRequest, serve: Serve, folder: Path) -> Iterator[ConformingClient]:
    """A client of a service that runs the network in its own process, or asks another one."""
    model = "private_network:make"
    if request.param == "here":
        yield serve(folder / "own", model=model)
        return
    networks = Networks(model, None, 60_000)
    with asking(folder / "own", folder, one_by_one(networks)) as apart:
        yield apart


def test_clients_get_one_line_and_the_log_the_rest(
    client: ConformingClient, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("captum.attr")
    photo = next((folder / "photos").rglob("*.png")).read_bytes()

    def ask(url: str) -> TestResponse:
        return client.get(url) if url.startswith(CELL) else client.post(url, data=photo, content_type="image/png")

    lookup, *_ = QUESTIONS
    assert ask(lookup).status_code == 200  # a network that cannot be loaded is another matter
    for code, said in RAISED.items():
        (folder / BROKEN).write_text(code)
        for url, kind in QUESTIONS.items():
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                answer = ask(url)
            assert (answer.status_code, answer.json["type"].split(":")[-1]) == (422, kind)
            assert "the log of the service says why" in answer.json["detail"]
            text = answer.get_data(as_text=True)
            assert not [word for word in ("private", "/srv", ".py", "Error", "groups", str(folder)) if word in text]
            assert said in caplog.text
            assert "(private_network.py:" in caplog.text
    (folder / BROKEN).unlink()
    assert ask(lookup).status_code == 200, "the network was not given up"


def test_wherever_it_is_raised_its_words_stay_here(serve: Serve, small_index: Path) -> None:
    client = serve(small_index)

    def fail() -> None:
        raise UserCodeFailed("the network raises ValueError: /srv/private (private.py:3)")

    client.application.add_url_rule("/fails", "fails", fail)
    client.application.test_client_class = FlaskClient  # the contract knows no such path
    answer = client.application.test_client().get("/fails")
    assert (answer.status_code, answer.json["type"]) == (500, problems.TYPE_PREFIX + "internal-error")
    assert "private" not in answer.get_data(as_text=True)
