"""What is distributed: the sdist holds what its tests read, and the wheel installs packages of this project only."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("unitscope", "indexer", "service", "tests", "benchmarks", "deploy", "docs", "examples", ".ci")
FILES = (
    ".dockerignore", "Dockerfile", "LICENSE", "Makefile", "README.md", "compose.yaml", "constraints.txt",
    "cpu-overrides.txt", "openapi.yaml", "pyproject.toml",
)  # fmt: skip
NOT_KEPT = {"__pycache__", "results"}
PACKAGES = {"unitscope", "indexer", "service"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel, built by what is installed here: no network, no other environment."""
    out = tmp_path_factory.mktemp("distributed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    """Paths of the sdist's files, relative to the project."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def wheel(built: Path) -> list[str]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_sdist_holds_a_whole_folder(sdist: set[str], folder: str) -> None:
    wanted = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
    wanted = {path.as_posix() for path in wanted if not NOT_KEPT & set(path.parts)}
    assert wanted
    assert wanted - sdist == set()


def test_the_sdist_holds_the_files_around_the_code(sdist: set[str]) -> None:
    assert set(FILES) - sdist == set()


def test_the_wheel_installs_no_package_but_ours(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert tops >= PACKAGES
    assert {top for top in tops if not top.endswith(".dist-info")} <= PACKAGES


def test_the_wheel_holds_the_contract_and_every_file_of_the_packages(wheel: list[str]) -> None:
    assert "service/openapi.yaml" in wheel
    for package in PACKAGES:
        files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()]
        assert {file.as_posix() for file in files if not NOT_KEPT & set(file.parts)} <= set(wheel)
