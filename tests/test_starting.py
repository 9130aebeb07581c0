"""How commands begin and end: a command loads what it needs, and its process is gone when its work is done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.cli import main

LOADED = "import json, sys; from indexer.cli import main; import contextlib, io\n"
AFTER_EACH = """
for command in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(command)
    assert status == 0, (command, status)
    assert out.getvalue() or command[0] == "sheet", command
    assert "torch" not in sys.modules, command
"""
HELP = """
from indexer.commands.registry import filled
from unitscope.cli import parser
filled(parser())
assert not {"torch", "numpy", "PIL", "h5py", "faiss"} & sys.modules.keys()
"""


def python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_commands_that_only_read_an_index_do_without_torch(small_index: Path, own_index: Path, tmp_path: Path) -> None:
    index, own, out = str(small_index), str(own_index), str(tmp_path)
    layer = ["--layer", "features.12"]
    commands = [
        ["info", index], ["info", index, "--json"], ["report", index], ["report", index, "--format", "html"],
        ["verify", index], ["sheet", index, *layer, "--neurons", "1,2", "--out", f"{out}/sheet.png"],
        ["export", index, *layer, "--neurons", "1", "--out", f"{out}/coco"],
        ["page", index, "--out", f"{out}/page.html"],
        ["export-activations", index, *layer, "--cells", "2", "--out", f"{out}/activations"],
        ["compare", index, own, *layer], ["trend", index, own],
    ]  # fmt: skip
    done = python(LOADED + AFTER_EACH, json.dumps(commands))
    assert done.returncode == 0, done.stderr


def test_help_of_every_command_loads_nothing_large() -> None:
    done = python("import sys\n" + HELP)
    assert done.returncode == 0, done.stderr


def test_the_check_above_can_fail() -> None:
    done = python("import sys, numpy\n" + HELP)
    assert "AssertionError" in done.stderr


ENDING = """
import atexit, sys, threading, time, weakref
from indexer.commands.console.ending import leave
class Kept: pass
kept = Kept()
weakref.finalize(kept, print, "finalized")
atexit.register(print, "at exit")
sys.modules["torch"] = sys
{more}
print("last words")
leave(3)
"""


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("", {"last words", "at exit", "finalized"}),
        (
            "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()",
            {"last words", "thread", "at exit", "finalized"},
        ),
        (
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            {"last words", "at exit", "finalized"},
        ),
    ],
    ids=["no thread", "a thread that is waited for", "a thread that is not"],
)
def test_leaving_loses_nothing(more: str, wanted: set[str]) -> None:
    done = python(ENDING.format(more=more))
    assert (done.returncode, done.stderr) == (3, "")
    assert set(done.stdout.splitlines()) == wanted


def test_an_error_in_the_last_output_is_not_swallowed() -> None:
    code = ENDING.format(more="sys.stdout = open('/dev/full', 'w')")
    done = python(code)
    assert done.returncode not in (0, 3)
    assert "No space left" in done.stderr


def test_python_m_indexer_gives_the_status_of_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "indexer", *command], capture_output=True, text=True, check=False)
    assert main(command) == done.returncode == 1
    assert done.stderr == capsys.readouterr().err
