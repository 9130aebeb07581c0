"""The files around the code: they name each other's targets, files and packages, and must agree."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.order import LONGEST, group

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line]


def package_name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


def test_every_package_is_pinned_and_no_registry_is_named() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in PINS)
    pinned = {package_name(line.partition("==")[0]) for line in PINS}
    wanted = [
        *PROJECT["dependencies"],
        *(requirement for extra in EXTRAS.values() for requirement in extra),
        "uv",
    ]
    assert {package_name(requirement) for requirement in wanted} - {PROJECT["name"]} <= pinned


@pytest.mark.parametrize("script", PROJECT["scripts"].values())
def test_console_scripts_exist(script: str) -> None:
    module, _, function = script.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_image_is_built_by_make_and_runs_as_nobody_special() -> None:
    steps = re.findall(r"^RUN (.+)$", DOCKERFILE, flags=re.MULTILINE)
    used = {target for step in steps for target in re.findall(r"make ([a-z-]+)", step)}
    assert used == {"dependencies", "install"}
    assert used <= MAKE_TARGETS
    assert len(re.findall(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)) == 2
    assert re.findall(r"^USER (.+)$", DOCKERFILE, flags=re.MULTILINE) == ["10001"]
    assert "/healthz" in DOCKERFILE
    assert "ARG DEVICE=cpu" in DOCKERFILE


def test_what_the_image_copies_exists_and_is_sent_to_the_builder() -> None:
    copied = [name for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == sent
    assert all((ROOT / name).exists() for name in copied)


def test_settings_of_the_image_are_settings_of_the_service() -> None:
    from service.settings import Settings, environment_name

    known = {environment_name(name) for name in Settings.__dataclass_fields__}
    assert set(re.findall(r"\bUNITSCOPE_[A-Z_]+\b", DOCKERFILE)) <= known


def test_dockerfile_passes_its_linter() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not packaged for this platform")
    found = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


@pytest.mark.parametrize("target", ["demo", "docs", "test", "install", "dependencies"])
@pytest.mark.parametrize("setting", ["", "DEVICE=cpu", "EDITABLE=", "IMAGES=my photos"])
def test_make_can_plan_its_targets(target: str, setting: str) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "-C", str(ROOT), target, *filter(None, [setting])]
    planned = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert (planned.stderr, planned.returncode) == ("", 0)


@pytest.mark.parametrize("failing", [None, "ruff", "lint-imports", "mypy", "python"])
def test_make_test_fails_where_one_of_its_tools_fails(tmp_path: Path, failing: str | None) -> None:
    for tool in ("uv", "ruff", "lint-imports", "mypy", "python"):
        file = tmp_path / "bin" / tool
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho ran {tool}\nexit {int(tool == failing)}\n")
        file.chmod(0o755)
    (tmp_path / ".installed-test").touch()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-C", str(ROOT), "test", f"VENV={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert (done.returncode == 0) == (failing is None), done.stdout + done.stderr
    assert f"ran {failing or 'mypy'}\n" in done.stdout


def test_the_forge_runs_ci_on_every_python_that_is_promised() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]
    promised = re.findall(
        r"Programming Language :: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE
    )
    assert job["strategy"]["matrix"]["python"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs[0] == ".ci/run"
    assert all(line.startswith("make ") and line.split()[1] in MAKE_TARGETS for line in runs[1:])


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "make test"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_the_areas_of_the_tests_are_there() -> None:
    named = re.findall(r"\btests/[\w/]+(?:\.py)?", (ROOT / "docs" / "testing.md").read_text())
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists()] == []


def test_the_longest_files_of_tests_are_still_there() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    assert set(LONGEST) <= {Path(group(file)).stem for file in files}
