"""What ``pip install unitscope`` gives: the package ``unitscope`` and the command of that name."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import unitscope
from indexer import errors
from indexer.commands.registry import COMMANDS
from tests.conftest import write_photos
from unitscope import cli

ROOT = Path(__file__).parents[1]
LAYER = "features.12"
NETWORK = ["--model", "squeezenet1_1", "--weights", "none", "--layers", LAYER]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_every_error_is_there() -> None:
    ours = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert len(ours) > 10
    assert ours <= set(unitscope.__all__)
    assert all(getattr(unitscope, name) is getattr(errors, name) for name in ours)


def test_importing_it_loads_nothing_large() -> None:
    code = "import sys, unitscope; print({'torch', 'numpy', 'PIL'} & sys.modules.keys() or 'none')"
    assert run("-c", code).stdout == "none\n"


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'unitscope' has no attribute 'close'"):
        unitscope.close  # noqa: B018


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "unitscope/__init__.py"
    assert f"version: {unitscope.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert run("-m", "unitscope", "--version").stdout == f"unitscope {unitscope.__version__}\n"


def test_build_and_open(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=5, count=3)
    out = tmp_path / "index"
    assert unitscope.build(photos, str(out), model="squeezenet1_1", weights="none", layers=[LAYER]) is None
    with unitscope.open(out) as index:
        assert index.top_patches(LAYER, 7, limit=2).items
    with pytest.raises(unitscope.ConfigurationMismatch, match="layers"):
        unitscope.build(photos, out, model="squeezenet1_1", weights="none", layers=["features.5"])
    with pytest.raises(TypeError, match="no_such_option"):
        unitscope.build(photos, out, model="squeezenet1_1", no_such_option=1)


def test_it_has_the_commands_of_indexer_and_more() -> None:
    said = run("-m", "unitscope", "--help").stdout
    names = re.findall(r"^    ([a-z-]+)  ", said, flags=re.MULTILINE)
    assert names == [*(command.name for command in COMMANDS), "serve", "mcp", "notes", "look"]


def test_serve_takes_what_the_service_takes() -> None:
    ours, theirs = (run("-m", *command, "--help").stdout for command in (["unitscope", "serve"], ["service"]))
    assert "usage: unitscope serve " in ours
    assert set(re.findall(r"--[a-z-]+", ours)) == set(re.findall(r"--[a-z-]+", theirs))
    wrong = run("-m", "unitscope", "serve", ".", "--port", "x")
    assert wrong.returncode == 2
    assert "unitscope serve: error: argument --port: must be a number from 0 to 65535, not 'x'" in wrong.stderr


@pytest.mark.parametrize(("function", "new"), [("old_indexer", "`unitscope`"), ("old_service", "`unitscope serve`")])
def test_old_names_name_the_new(function: str, new: str) -> None:
    done = run("-c", f"import sys; sys.argv[1:] = ['--help']; from unitscope.cli import {function}; {function}()")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: unitscope-")
    [line] = done.stderr.splitlines()
    assert new in line


def test_a_shell_completes_commands_and_options(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(run("-m", "unitscope", "--print-completion", "bash").stdout)
    assert completed(script, "she") == ["sheet"]
    assert completed(script, "serve", "--por") == ["--port"]
    assert completed(script, "build", "--keep") == ["--keep-images"]


def completed(script: Path, *words: str) -> list[str]:
    ask = (
        f'source "{script}"; COMP_WORDS=(unitscope {" ".join(words)}); COMP_CWORD={len(words)}; '
        f'function compopt {{ :; }}; _shtab_unitscope unitscope "{words[-1]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split()


@contextlib.contextmanager
def looking(*arguments: str, cache: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """``unitscope look``, as soon as it answers: its URL, and the process."""
    command = [sys.executable, "-m", "unitscope", "look", *arguments, "--no-browser"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            for line in process.stdout:
                if found := re.search(r"unitscope answers at (\S+)", line):
                    yield found[1], process
                    break
            else:
                pytest.fail("it ended before it answered")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def images_at(url: str) -> int:
    with urllib.request.urlopen(f"{url}v1/indexes", timeout=60) as answer:
        [index] = json.load(answer)["items"]
    return index["images"]


def test_look_builds_then_adds(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=6, count=3)
    before = len([path for path in photos.rglob("*") if path.is_file()])
    with looking(str(photos), *NETWORK, cache=tmp_path / "cache") as (url, process):
        assert images_at(url) == before
    assert process.returncode == 0
    [index] = (tmp_path / "cache" / "unitscope" / "look").iterdir()
    assert index.name.startswith("photos-squeezenet1_1-")
    first = next(path for path in photos.rglob("*") if path.is_file())
    [other] = (path for path in write_photos(tmp_path / "more", 7, 1).rglob("*") if path.is_file())
    first.with_name("another.png").write_bytes(other.read_bytes())
    with looking(str(photos), *NETWORK, cache=tmp_path / "cache") as (url, process):
        assert images_at(url) == before + 1
    assert process.returncode == 0


def test_look_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    done = run("-m", "unitscope", "look", str(tmp_path / "none"), *NETWORK, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    where, why = (line for line in done.stderr.splitlines() if "RANDOM" not in line and "network's output" not in line)
    index = f"{tmp_path}/cache/unitscope/look/none-squeezenet1_1-"
    assert where.startswith(f"unitscope: the index of {tmp_path}/none is {index}")
    assert why.startswith("unitscope: ")
    assert str(tmp_path / "none") in why


def test_each_folder_model_and_weights_has_an_index_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unitscope.look import index_folder

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").touch()

    def folder(*arguments: str) -> Path:
        return index_folder(cli.parser().parse_args(["look", *arguments]))

    ones = [
        folder("a", "--model", "resnet18"), folder("b", "--model", "resnet18"), folder("a", "--model", "resnet34"),
        folder("a", "--model", "resnet18", "--weights", "w.pth"),
        folder("a", "--model", "resnet18", "--layers", "layer1"),
    ]  # fmt: skip
    assert len(set(ones)) == len(ones)
    assert all(one.parent == tmp_path / "unitscope" / "look" for one in ones)
    assert folder(str(tmp_path / "a"), "--model", "resnet18") == ones[0]
    assert folder("a", "--model", "resnet18", "--weights", str(tmp_path / "w.pth")) == ones[3]
    (tmp_path / "net.pt2").touch()
    program = folder("a", "--model", "net.pt2")
    assert program == folder("a", "--model", str(tmp_path / "net.pt2"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "net.pt2").touch()
    assert program != folder("a", "--model", "other/net.pt2")


def test_look_at_a_network_of_ones_own(tmp_path: Path) -> None:
    """It is run only where it is named: when images are added, and for uploads, too."""
    photos = write_photos(tmp_path / "photos", seed=6, count=2)
    network = ["--model", "tests.own_models:small", "--layers", "0"]
    for _ in range(2):
        with looking(str(photos), *network, cache=tmp_path / "cache") as (url, process):
            [index] = json.load(urllib.request.urlopen(f"{url}v1/indexes", timeout=60))["items"]
            photo = next(path for path in photos.rglob("*.png"))
            asked = urllib.request.Request(f"{url}v1/indexes/{index['name']}/lookup", photo.read_bytes())
            asked.add_header("Content-Type", "image/png")
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert json.load(answer)["layer"] == "0"
        assert process.returncode == 0


def test_an_index_goes_through_one_file(small_index: Path, tmp_path: Path) -> None:
    unitscope.pack(str(small_index), tmp_path / "a.tar", originals=True)
    unitscope.unpack(tmp_path / "a.tar", str(tmp_path / "copy"))
    with unitscope.open(tmp_path / "copy") as copy, unitscope.open(small_index) as index:
        assert copy.top_patches(LAYER, 3) == index.top_patches(LAYER, 3)
        assert copy.picture(copy.image(3)).tobytes() == index.picture(index.image(3)).tobytes()
