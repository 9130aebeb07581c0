"""What keeps the service from listening is named in one line."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service import __main__ as command
from service.processes import sockets
from service.processes.sockets import CannotListen, fits, listen
from tests.service.processes import ROOT, running


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    given = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", ["--host 'nowhere.invalid' leads to no address"]),
        ("x" * 300, ["--host 'xxx", "not the name of a host"]),
        ("a..b", ["--host 'a..b'"]),
        ("192.0.2.1", ["192.0.2.1:0", "not an address of this machine", "--host"]),
    ],
)
def test_a_wrong_host_is_named(host: str, words: list[str]) -> None:
    with pytest.raises(CannotListen) as caught:
        listen(host, 0)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:{}"), ("::1", "[::1]:{}")])
def test_a_port_in_use_is_named(host: str, shown: str) -> None:
    with contextlib.ExitStack() as stack:
        try:
            taken = [stack.enter_context(item) for item in listen(host, 0)]
        except CannotListen:
            pytest.skip("this machine has no such address")
        port = taken[0].getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            listen(host, port)
    assert shown.format(port) in str(caught.value)
    assert "in use already; --port" in str(caught.value)


def test_the_command_says_it_in_one_line(small_index: Path, tmp_path: Path) -> None:
    found = started(str(small_index), "--host", "nowhere.invalid")
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith("unitscope: --host 'nowhere.invalid'")


def test_an_address_that_is_missing_is_left_out_where_another_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sockets._listening

    def without_ipv6(family: int, address: tuple) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return real(family, address)

    both = [(socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))]
    monkeypatch.setattr(sockets, "_listening", without_ipv6)
    monkeypatch.setattr(sockets, "_resolved", lambda *_: both)
    (one,) = listen("localhost", 0)
    with one:
        assert one.getsockname()[0] == "127.0.0.1"
    monkeypatch.setattr(sockets, "_resolved", lambda *_: both[:1])
    with pytest.raises(CannotListen, match="not an address of this machine"):
        listen("localhost", 0)


@pytest.mark.parametrize("length", [200, pytest.param(60, marks=pytest.mark.slow)])
def test_a_temporary_folder_of_any_length_will_do(small_index: Path, tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("t" * length)
    folder.mkdir()
    with running(tmp_path / "log", str(small_index), "--workers", "1", TMPDIR=str(folder)) as service:
        assert service.ask("/readyz").status_code == 200
        elsewhere = [line["message"] for line in service.logged() if "TMPDIR" in line["message"]]
        (shared,) = {
            text.split("PROMETHEUS_MULTIPROC_DIR=")[1].split("\0")[0]
            for text in (Path(f"/proc/{process}/environ").read_text() for process in service.places().values())
        }
    assert fits(f"{shared}/{command.NETWORK}")
    assert bool(elsewhere) == (not fits(f"{folder}/unitscope-12345678/{command.NETWORK}"))
    assert not Path(shared).exists(), "it is removed at the end"


def test_without_a_short_folder_it_is_said_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("t" * 200)
    folder.mkdir()
    monkeypatch.setattr(command.tempfile, "gettempdir", lambda: str(folder))
    monkeypatch.setattr(command, "SHORT_PLACES", (str(tmp_path / "none"),))
    with pytest.raises(OSError, match=r"107 bytes.*set TMPDIR to a shorter one"):
        command._shared_folder()
    assert not list(folder.iterdir())
