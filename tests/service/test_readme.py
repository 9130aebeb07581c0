"""The requests that the README and docs/asking.md show are requests that the service answers."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.service.conforming import ConformingClient

ROOT = Path(__file__).parents[2]
TEXT = "".join((ROOT / file).read_text() for file in ("README.md", "docs/asking.md"))
COMMANDS = sorted(set(re.findall(r"(curl [^`\n]*\$api[^`\n]*)", TEXT)))
TYPES = {"png": "image/png", "jpg": "image/jpeg", "html": "text/html"}
TO_THE_TEST_INDEX = {
    "images/341/": "images/1/",
    "cells/8,11/": "cells/2,3/",
    "vehicles": "boats",
    '"neuron": 412': '"neuron": 12',
    "y=6&x=6": "y=2&x=3",
}


def test_every_kind_of_question_is_shown() -> None:
    assert len(COMMANDS) >= 12
    assert sum("-o " in command for command in COMMANDS) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_request_that_is_shown(command: str, client: ConformingClient, photo_folder: Path) -> None:
    words = shlex.split(command)
    [url] = [word for word in words if word.startswith("$api")]
    for shown, here in TO_THE_TEST_INDEX.items():
        url = url.replace(shown, here)
    url = url.replace("$api", "/v1/indexes/small")
    if "--json" in words:
        body = words[words.index("--json") + 1]
        for shown, here in TO_THE_TEST_INDEX.items():
            body = body.replace(shown, here)
        response = client.post(url, json=json.loads(body))
    elif "-F" in words:
        with (photo_folder / "boats" / "photo 001.png").open("rb") as photo:
            response = client.post(url, data={"image": (photo, "photo.png")})
    else:
        response = client.get(url)
    assert response.status_code == (202 if "-i" in words else 200)
    if "-o" in words:
        assert response.mimetype == TYPES[words[words.index("-o") + 1].rpartition(".")[2]]
    else:
        assert response.json
