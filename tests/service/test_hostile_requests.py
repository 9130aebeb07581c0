"""Every request of the table gets what the table says, in bounded memory, and docs/safety.md shows it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.hostile import cases

ROOT = Path(__file__).parents[2]
GROWTH_KB = 250_000
"""At most 1 million pixels are decoded, which is 3 MB; the rest is the network's."""


@pytest.fixture(scope="module")
def found(small_index: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.service.hostile", str(small_index)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_there_are_many_and_each_has_a_name() -> None:
    table = cases()
    assert len(table) >= 60
    assert len({case.what for case in table}) == len(table)


def test_each_gets_what_the_table_says(found: dict[str, Any]) -> None:
    wanted = {case.what: case.status for case in cases()}
    assert {case["what"]: case["status"] for case in found["cases"]} == wanted
    for case in found["cases"]:
        assert case["status"] == 200 or len(case["detail"]) > 10, case
        assert "Traceback" not in case["detail"]
        assert str(ROOT) not in case["detail"]


def test_memory_stays_bounded_over_all_of_them(found: dict[str, Any]) -> None:
    assert found["peak_kb"] - found["before_kb"] < GROWTH_KB


def test_the_documentation_shows_the_table() -> None:
    rows = re.findall(r"^\| (.+?) \| (\d{3}) \|$", (ROOT / "docs" / "safety.md").read_text(), re.MULTILINE)
    assert rows == [(case.what, str(case.status)) for case in cases()]
