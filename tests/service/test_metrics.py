"""Metrics: what they count, that their labels stay few, and that the dashboard and the document name what there is."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer.jobs.upkeep.remove import remove
from service.http.contract import Contract
from service.telemetry import metrics
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "unitscope-service.json").read_text())
DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
LAYER = "/v1/indexes/small/layers/features.12"
NEURON = "/v1/indexes/{index}/layers/{layer}/neurons/{neuron}"


def samples(client: ConformingClient) -> dict[tuple[str, tuple], float]:
    """All samples, by name and labels."""
    text = client.get("/metrics").get_data(as_text=True)
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: dict[tuple[str, tuple], float], name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/healthz", "/healthz", 200), (f"{LAYER}/neurons/3", NEURON, 200), (f"{LAYER}/neurons/x", NEURON, 422),
        ("/v1/indexes/none/images", "/v1/indexes/{index}/images", 404), ("/no/such/path", "none", 404),
    ],
)  # fmt: skip
def test_requests_are_counted_by_route_and_status(client: ConformingClient, path: str, route: str, status: int) -> None:
    before = samples(client)
    answers = [client.get(path) for _ in range(3)]
    after = samples(client)
    labels = {"route": route, "method": "GET", "status": str(status)}
    name = "unitscope_requests_total"
    assert value(after, name, **labels) == value(before, name, **labels) + 3
    name = "unitscope_request_seconds_count"
    assert value(after, name, route=route) == value(before, name, route=route) + 3
    name = "unitscope_response_bytes_total"
    sent = sum(len(answer.get_data()) for answer in answers)
    assert value(after, name, route=route) == value(before, name, route=route) + sent
    name = "unitscope_requests_in_progress"  # with the one that asks for them
    assert value(after, name) == value(before, name)


def test_labels_do_not_grow_with_what_is_asked(client: ConformingClient) -> None:
    def ask(number: int) -> None:
        client.get(f"/v1/indexes/small/images/{number}")
        client.get(f"/v1/indexes/{number}/images")
        client.get(f"/{number}")
        client.open("/healthz", method=f"M{number}")

    for number in (0, 3, 5000):  # an image that is there, and one that is not
        ask(number)
    before = samples(client).keys()
    for number in range(1, 30):
        ask(number)
    assert samples(client).keys() == before
    routes = {dict(labels).get("route") for _, labels in before} - {None}
    assert routes <= {operation.path for operation in Contract.load().operations} | {metrics.NO_ROUTE}


def test_what_clients_have_already_is_counted(client: ConformingClient) -> None:
    url = f"{LAYER}/neurons"
    tag = client.get(url).headers["ETag"]
    before = samples(client)
    client.get(url, headers={"If-None-Match": tag})
    client.get(url, headers={"If-None-Match": '"other"'})
    after = samples(client)
    for result in ("known", "changed"):
        name = "unitscope_conditional_requests_total"
        assert value(after, name, result=result) == value(before, name, result=result) + 1


def test_uploads_are_timed(client: ConformingClient, photo_folder: Path) -> None:
    before = samples(client)
    photo = (photo_folder / "birds" / "photo 002.png").read_bytes()
    assert client.post("/v1/indexes/small/lookup", data=photo, content_type="image/png").status_code == 200
    after = samples(client)
    waits = "unitscope_upload_wait_seconds_count"
    assert value(after, waits) == value(before, waits) + 1
    assert value(after, "unitscope_uploads_waiting") == 0


def test_indexes_are_described_as_they_are_now(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(small_index, tmp_path / name)
    client = serve(tmp_path, check_seconds=0.0)
    before = samples(client)
    files = [*(tmp_path / "a" / "shards").iterdir(), *(tmp_path / "a" / "derived").rglob("*.*")]
    assert value(before, "unitscope_index_bytes", index="a") == sum(path.stat().st_size for path in files)
    remove(tmp_path / "a", ids=[3])
    (tmp_path / "b" / "manifest.json").write_text("no manifest")
    after = samples(client)
    assert value(after, "unitscope_index_generation", index="a") == 1 + value(
        before, "unitscope_index_generation", index="a"
    )
    assert value(after, "unitscope_index_images", index="a") == 39
    assert [value(after, "unitscope_index_ready", index=name) for name in "ab"] == [1, 0]
    assert value(before, "unitscope_index_ready", index="b") == 1
    assert ("unitscope_index_images", (("index", "b"),)) not in after
    shutil.rmtree(tmp_path / "b")
    assert ("unitscope_index_ready", (("index", "b"),)) not in samples(client)


def exported(client: ConformingClient) -> dict[str, str]:
    """The name and the type of every metric."""
    text = client.get("/metrics").get_data(as_text=True)
    return dict(re.findall(r"^# TYPE (unitscope_\w+) (\w+)$", text, flags=re.MULTILINE))


def expressions(node: Any) -> Iterator[str]:
    """Everything in the dashboard that Prometheus is asked."""
    if isinstance(node, dict):
        for key, item in node.items():
            if key in ("expr", "definition", "query") and isinstance(item, str):
                yield item
            yield from expressions(item)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


def test_every_metric_of_the_dashboard_is_exported_and_every_exported_one_is_there(client: ConformingClient) -> None:
    series = set()
    for name, kind in exported(client).items():
        series |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    named = set(re.findall(r"unitscope_\w+", " ".join(expressions(DASHBOARD["panels"] + [DASHBOARD["templating"]]))))
    assert named <= series
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in named} == set(
        exported(client)
    )


def test_labels_of_the_dashboard_are_those_of_the_metrics() -> None:
    known = {"le", "job", "index"}
    for collector in metrics.REGISTRY._collector_to_names:
        known |= set(collector._labelnames)
    for expression in expressions(DASHBOARD["panels"]):
        for group in re.findall(r"by \(([^)]+)\)", expression):
            assert set(group.split(", ")) <= known


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_metric_is_documented_and_nothing_else(client: ConformingClient) -> None:
    rows = re.findall(r"^\| `(unitscope_\w+)` \| (\w+) \|", DOCUMENT, flags=re.MULTILINE)
    assert dict(rows) == exported(client)
    assert len(rows) == len(dict(rows))
