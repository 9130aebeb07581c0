"""Assistants ask through the Model Context Protocol, here by the client of its own SDK."""

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from mcp import Client, StdioServerParameters
from PIL import Image
from starlette.testclient import TestClient

import indexer
from indexer.query.learning.neurons import table
from tests.conftest import LAYERS
from tests.marked import LAYER, MARKED, build_marked
from tests.waiting import wait_until
from unitscope.assistants.server import http_app, make_server
from unitscope.cli import main
from unitscope.client.transport import OwnService, Questions, Refused, RunningService

LAYER_12 = LAYERS[1]
READING = {
    "list_indexes", "describe_index", "report", "find_neurons", "show_neuron", "top_patches", "class_neurons",
    "list_images", "show_image", "mistakes", "why", "compare_images", "find_by_text", "show_atlas", "select_in_atlas",
    "proposed_names",
}  # fmt: skip


@pytest.fixture(scope="module")
def questions(small_index: Path) -> Iterator[Questions]:
    service = OwnService(small_index)
    yield Questions(service)
    service.close()


def asked(server: Any, calls: Callable[[Client], Any]) -> Any:
    async def run() -> Any:
        async with Client(server) as client:
            return await calls(client)

    return asyncio.run(run())


def called(questions: Questions, tool: str, **arguments: object) -> list[Any]:
    """What a tool gives: JSON, and pictures."""
    server = make_server(questions, local_files=True, jobs=False)
    answer = asked(server, lambda client: client.call_tool(tool, arguments))
    texts = [block.text for block in answer.content if block.type == "text"]
    assert not answer.is_error, texts
    pictures = [Image.open(io.BytesIO(base64.b64decode(b.data))) for b in answer.content if b.type == "image"]
    return [*(json.loads(text) for text in texts), *pictures]


@pytest.mark.parametrize(("local", "jobs", "notes"), [(True, False, False), (False, False, True), (False, True, False)])
def test_tools_read_unless_told(questions: Questions, local: bool, jobs: bool, notes: bool) -> None:
    server = make_server(questions, local_files=local, jobs=jobs, notes=notes)
    tools = asked(server, lambda client: client.list_tools()).tools
    writing = {"take_name", "refuse_name"} if notes else set()
    expected = READING | ({"look_up_file"} if local else set()) | ({"what_if"} if jobs else set()) | writing
    assert {tool.name for tool in tools} == expected
    assert all(tool.annotations.read_only_hint == (tool.name not in {"what_if"} | writing) for tool in tools)
    assert all(len(tool.description) > 30 for tool in tools)


def test_answers_are_those_of_the_index(questions: Questions, small_index: Path) -> None:
    with indexer.open(small_index) as index:
        (listed,) = called(questions, "list_indexes")
        assert [item["name"] for item in listed["items"]] == ["small"]
        (about,) = called(questions, "describe_index", index="small")
        assert [layer["layer"] for layer in about["layers"]] == list(index.layers)
        assert about["classes"] == [f"{name} ({count} images)" for name, count in index.class_counts().items()]
        found, *pictures = called(questions, "top_patches", index="small", layer=LAYER_12, neuron=9, limit=3)
        patches = index.top_patches(LAYER_12, 9, limit=3).items
        assert [item["image"] for item in found["items"]] == [patch.image.id for patch in patches]
        assert [item["activation"] for item in found["items"]] == [round(patch.activation, 4) for patch in patches]
        assert len(pictures) == 3
        statistics, sheet = called(questions, "show_neuron", index="small", layer=LAYER_12, neuron=9)
        assert statistics["neuron"] == 9
        assert sheet.width > 200
        image, firing, picture = called(questions, "show_image", index="small", image=3)
        assert (image["path"], picture.width <= 384) == (index.image(3).path, True)
        ours = index.neurons_firing(3, limit=10).items
        assert [item["neuron"] for item in firing["items"]] == [record.neuron for record in ours]
        original = Path(index.manifest.image_root) / image["path"]
        (seen,) = called(questions, "look_up_file", index="small", file=str(original), layer=LAYER_12)
        assert seen["images"][0]["image"] == 3


@pytest.mark.parametrize("sort", ["auc_at_least", "maximum", "firing_images"])
def test_the_best_neurons_come_first(questions: Questions, small_index: Path, sort: str) -> None:
    with indexer.open(small_index) as index:
        statistics = table(index, LAYER_12)
        best = statistics.ranked(sort, descending=True).tolist()[:10]
    (found,) = called(questions, "find_neurons", index="small", layer=LAYER_12, sort=sort)
    assert [item["neuron"] for item in found["items"]] == best
    (found,) = called(questions, "find_neurons", index="small", layer=LAYER_12, sort="neuron", limit=3)
    assert [item["neuron"] for item in found["items"]] == [0, 1, 2]


def test_what_is_wrong_is_said(questions: Questions) -> None:
    server = make_server(questions, local_files=True, jobs=False)
    for tool, arguments, message in (
        ("show_neuron", {"index": "small", "layer": "nine", "neuron": 0}, "no layer 'nine'"),
        ("show_image", {"index": "small", "image": 10**6}, "no image 1000000"),
        ("describe_index", {"index": "large"}, "large"),
    ):
        answer = asked(server, lambda client, tool=tool, arguments=arguments: client.call_tool(tool, arguments))
        assert answer.is_error
        assert message in answer.content[0].text
        assert "Traceback" not in answer.content[0].text


def test_a_running_service_is_asked_alike(questions: Questions, live_url: str) -> None:
    there = Questions(RunningService(live_url))
    for tool, arguments in (
        ("list_indexes", {}),
        ("report", {"index": "small"}),
        ("class_neurons", {"index": "small", "layer": LAYER_12, "class_name": "birds"}),
    ):
        assert called(there, tool, **arguments) == called(questions, tool, **arguments)
    with pytest.raises(Refused, match="no service answers at"):
        Questions(RunningService("http://127.0.0.1:9")).get("/v1/indexes")


def test_the_command_answers_on_standard_input_and_output(small_index: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "unitscope", "mcp", str(small_index)], env=dict(os.environ)
    )
    answer = asked(server, lambda client: client.call_tool("list_indexes", {}))
    assert json.loads(answer.content[0].text)["items"][0]["name"] == "small"


def test_over_http_other_hosts_and_tokens_are_refused(small_index: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "unitscope", "mcp", str(small_index), "--http", f"127.0.0.1:{port}",
        "--http-token-file", str(tmp_path / "token"),
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: _status(port, {}) is not None)
            allowed = {"Authorization": "Bearer secret"}
            assert _status(port, {}) == 401
            assert _status(port, {"Authorization": "Bearer other"}) == 401
            assert _status(port, allowed | {"Host": "evil.example"}) == 421
            assert _status(port, allowed | {"Origin": "http://evil.example"}) == 403
            assert _status(port, allowed) == 200
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("listens", "host", "status"),
    [
        (("127.0.0.1", 80), "127.0.0.1", 200), (("127.0.0.1", 8765), "127.0.0.1", 421),
        (("::1", 8765), "[::1]:8765", 200), (("::1", 8765), "[::2]:8765", 421),
        (("0.0.0.0", 8765), "192.168.1.5:8765", 200), (("::", 8765), "host.example:8765", 200),
        (("192.168.1.5", 8765), "192.168.1.5:8765", 200), (("192.168.1.5", 8765), "evil.example:8765", 421),
    ],
)  # fmt: skip
def test_the_host_that_requests_name(questions: Questions, listens: tuple[str, int], host: str, status: int) -> None:
    app = http_app(make_server(questions, local_files=False, jobs=False), *listens, "secret")
    headers = {"Authorization": "Bearer secret", "Host": host, **KINDS}
    with TestClient(app) as client:
        assert client.post("/mcp", content=json.dumps(MESSAGE), headers=headers).status_code == status


MESSAGE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}},
}  # fmt: skip
"""A first message of the protocol."""
KINDS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def _status(port: int, headers: dict[str, str]) -> int | None:
    """The status of a first message of the protocol; None if nothing listens yet."""
    request = Request(f"http://127.0.0.1:{port}/mcp", json.dumps(MESSAGE).encode(), KINDS | headers)
    try:
        with urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def test_beyond_this_machine_a_token_is_needed(small_index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", str(small_index), "--http", "0.0.0.0:8765"]) == 1
    assert "give --http-token-file, or listen on 127.0.0.1" in capsys.readouterr().err


def test_a_planted_shortcut_is_found_through_tools_alone(tmp_path: Path) -> None:
    """As an assistant would: from the report to the mistakes, to the neurons that tell them from right answers."""
    index = build_marked(tmp_path / "marked", seed=0, own=0.5, others=0.3)
    service = OwnService(index, model="tests.marked:network")
    ask = Questions(service)
    (report,) = called(ask, "report", index="index")
    assert report["hints"]
    (mistakes,) = called(ask, "mistakes", index="index", limit=50)
    wrong = [item for item in mistakes["items"] if item["answered"] == MARKED]
    classes = {item["class"] for item in wrong}
    right = [
        item["image"]
        for name in classes
        for item in called(ask, "list_images", index="index", class_name=name, limit=50)[0]["items"]
        if item["image"] not in {one["image"] for one in mistakes["items"]}
    ]
    (telling,) = called(
        ask, "compare_images", index="index", layer=LAYER, images=[item["image"] for item in wrong], against=right
    )
    found = telling["items"][0]["neuron"]
    (why,) = called(ask, "why", index="index", image=wrong[0]["image"], layer=LAYER)
    assert found in {record["neuron"] for record in why["up"]}
    with indexer.open(index) as opened:
        top = opened.top_patches(LAYER, found, limit=10).items
        assert sum("-marked" in patch.image.path for patch in top) >= 9
    service.close()
