"""Settings: flags, environment, defaults, and their documentation."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from service.settings import Settings, WrongSetting, environment_name, flag, shown

DOCUMENT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (?:`([^`]*)`)? ?\| (.+) \|$", re.MULTILINE)
ROWS = {cells[1]: cells for cells in ROW.findall(DOCUMENT)}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert [row[1] for row in ROWS.values()] == [environment_name(item.name) for item in fields(Settings)]
    for item in fields(Settings):
        name, _, default, text = ROWS[environment_name(item.name)]
        assert name == ("DIR" if item.name == "directory" else flag(item.name))
        assert default == ("" if item.default in (MISSING, None, (), "") else shown(item.default))
        assert text == item.metadata["help"]


def test_defaults(tmp_path: Path) -> None:
    settings = Settings.read([str(tmp_path)], {})
    assert settings == Settings(directory=tmp_path)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_flags_win_over_the_environment() -> None:
    environment = {"UNITSCOPE_PORT": "81", "UNITSCOPE_HOST": "::1", "UNITSCOPE_DIRECTORY": "a", "UNITSCOPE_IMAGES": "p"}
    settings = Settings.read(["b", "--port", "82"], environment)
    assert (settings.directory, settings.host, settings.port, settings.images) == (Path("b"), "::1", 82, Path("p"))
    assert Settings.read([], environment).directory == Path("a")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([], {}, "DIR"),
        (["x", "--port", "65536"], {}, "argument --port: must be a number from 0 to 65535, not '65536'"),
        (["x", "--threads", "many"], {}, "argument --threads: must be a number from 2 to 256, not 'many'"),
        (["x", "--check-seconds", "nan"], {}, "argument --check-seconds: must be a number"),
        (["x"], {"UNITSCOPE_MAX_PIXELS": "0"}, "UNITSCOPE_MAX_PIXELS must be a number from 1"),
        (["x", "--threads", "4"], {}, "threads (4) must be more than forward-passes (1)"),
        (["x", "--prefix", "//evil.example"], {}, "argument --prefix: must be a path such as /tools/unitscope"),
        (["x", "--trusted-proxies", "10.0.0.1/8"], {}, "--trusted-proxies: must be addresses or networks such as"),
        (["x", "--verbose"], {}, "unrecognized arguments: --verbose"),
    ],
)
def test_wrong_settings_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        Settings.read(arguments, environment)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("value", ["tcp://10.96.0.10:80", "udp://10.0.0.1:53", "sctp://[fd00::1]:80"])
def test_what_kubernetes_says_of_a_service_of_this_name_is_no_setting(value: str) -> None:
    links = {
        "UNITSCOPE_PORT": value, "UNITSCOPE_SERVICE_HOST": "10.96.0.10", "UNITSCOPE_SERVICE_PORT": "80",
        "UNITSCOPE_PORT_80_TCP": value, "UNITSCOPE_PORT_80_TCP_ADDR": "10.96.0.10", "UNITSCOPE_DIRECTORY": "x",
    }  # fmt: skip
    assert Settings.read([], links) == Settings(directory=Path("x"))
    assert Settings.read(["--port", "81"], links).port == 81


@pytest.mark.parametrize("value", ["tcp://", "http://10.0.0.1:80", "80 tcp://10.0.0.1:80"])
def test_other_ports_are_still_refused(capsys: pytest.CaptureFixture[str], value: str) -> None:
    with pytest.raises(SystemExit):
        Settings.read(["x"], {"UNITSCOPE_PORT": value})
    assert "UNITSCOPE_PORT must be a number" in capsys.readouterr().err


def test_pictures_of_many_originals_leave_a_thread_for_other_questions() -> None:
    for threads, queue in ((12, 5), (8, 1), (7, 0), (5, 0)):
        assert Settings(directory=Path("x"), threads=threads).drawing_queue == queue


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.read(["--help"], {})
    text = capsys.readouterr().out
    assert all(flag(item.name) in text for item in fields(Settings) if item.name != "directory")


def test_uploads_cannot_take_every_thread() -> None:
    with pytest.raises(WrongSetting):
        Settings(directory=Path("x"), threads=5, forward_passes=2, forward_queue=3)
