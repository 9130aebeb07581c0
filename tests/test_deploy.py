"""compose.yaml and the Kubernetes example: held to the schemas of their kinds, and to the program that they start."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from indexer.commands.registry import make_parser
from service.settings import Settings, environment_name

ROOT = Path(__file__).parent.parent
KUBERNETES = [
    document
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KNOWN = {environment_name(name) for name in Settings.__dataclass_fields__}


def pods() -> Iterator[dict[str, Any]]:
    for document in KUBERNETES:
        if document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]


@pytest.mark.parametrize(
    "document", KUBERNETES, ids=lambda document: f"{document['kind']} {document['metadata']['name']}"
)
def test_kubernetes_knows_every_field(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_validator_finds_unknown_fields() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(KUBERNETES[0] | {"spce": {}}, kubernetes_validate.latest_version(), strict=True)


def check_compose(document: dict[str, Any]) -> None:
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(document)).validate()


def test_compose_knows_every_field() -> None:
    check_compose(COMPOSE)
    with pytest.raises(ValueError, match="prts"):
        check_compose(COMPOSE | {"services": {"service": {"image": "unitscope", "prts": []}}})


def test_what_selects_pods_finds_some() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    for document in KUBERNETES:
        spec = document.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        wanted = selector.get("matchLabels", selector)
        assert document["kind"] in ("Job", "Secret", "PersistentVolumeClaim") or wanted in labels


def test_ports_are_those_of_the_pods() -> None:
    named = {
        port["name"] for pod in pods() for container in pod["spec"]["containers"] for port in container.get("ports", ())
    }
    services = [document for document in KUBERNETES if document["kind"] == "Service"]
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} == named


def test_settings_are_settings_of_the_service() -> None:
    given = {
        variable["name"]
        for pod in pods() for container in pod["spec"]["containers"] for variable in container.get("env", ())
    }  # fmt: skip
    assert {name for name in given if name.startswith("UNITSCOPE_")} <= KNOWN


def test_all_replicas_share_one_folder_for_results_that_they_may_write_to() -> None:
    [deployment] = [
        document for document in KUBERNETES
        if document["kind"] == "Deployment" and document["metadata"]["name"] == "unitscope"
    ]  # fmt: skip
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    set_ = {variable["name"]: variable["value"] for variable in container["env"]}
    folder = set_[environment_name("results")]
    [mount] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == folder]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == mount["name"]]
    [claim] = [document for document in KUBERNETES if document["kind"] == "PersistentVolumeClaim"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert (claim["spec"]["accessModes"], mount.get("readOnly", False)) == (["ReadWriteMany"], False)
    service = COMPOSE["services"]["service"]
    folder = service["environment"][environment_name("results")]
    [name] = [volume.removesuffix(f":{folder}") for volume in service["volumes"] if volume.endswith(f":{folder}")]
    assert name in COMPOSE["volumes"]
    for given in (set_, service["environment"]):  # as they are on the command line
        known = [(name, text) for name, text in given.items() if name.startswith("UNITSCOPE_")]
        for name, text in known:
            Settings.__dataclass_fields__[name.removeprefix("UNITSCOPE_").lower()].metadata["parse"](text)


def test_services_put_nothing_into_the_environment_of_pods() -> None:
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods())


def commands() -> list[list[str]]:
    containers = [container for pod in pods() for container in pod["spec"]["containers"]]
    given = [container["args"] for container in containers] + [
        service["command"] for service in COMPOSE["services"].values() if "command" in service
    ]
    return [[str(word) for word in command] for command in given]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[0])
def test_what_is_started_is_there(command: list[str]) -> None:
    module, *arguments = command
    assert importlib.util.find_spec(module)
    if module == "indexer":
        options = make_parser("unitscope").parse_args(arguments)
        assert (options.engine, options.scheduler.partition("://")[0]) == ("dask", "tcp")


def test_secrets_are_named_and_empty() -> None:
    [secret] = [document for document in KUBERNETES if document["kind"] == "Secret"]
    assert not any(secret["stringData"][name] for name in secret["stringData"] if "KEY" in name)
    used = {
        source["secretRef"]["name"]
        for pod in pods() for container in pod["spec"]["containers"] for source in container.get("envFrom", ())
    }  # fmt: skip
    assert used == {secret["metadata"]["name"]}
