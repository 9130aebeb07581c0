"""The pages for those who change the code name files; the files are there."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import indexer

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"`([^`\n]+)`")
OURS = re.compile(
    r"(?:benchmarks|deploy|docs|examples|indexer|service|tests)/[\w./*-]*|[\w.-]+\.(?:cff|md|toml|txt|yaml)"
)


def files_named(page: str) -> set[str]:
    """Every word of inline code that is a path of this project, patterns included."""
    words = {word for code in CODE.findall((ROOT / page).read_text()) for word in code.split()}
    return {word for word in words if OURS.fullmatch(word)}


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_named_is_there(page: str) -> None:
    named = files_named(page)
    assert len(named) > 10
    assert {name for name in named if not any(ROOT.glob(name))} == set()


def test_every_room_has_a_line_on_the_map() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for house in ("indexer", "service"):
        rooms = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob(f"{house}/*/**/__init__.py"))
        assert rooms
        assert [room for room in rooms if f"| `{room}/` |" not in page] == []


def test_every_page_is_in_the_contents_of_the_site() -> None:
    contents = (ROOT / "docs" / "index.md").read_text()
    listed = {line for block in re.findall(r"```{toctree}(.*?)```", contents, re.DOTALL) for line in block.splitlines()}
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages - listed == set()


def test_the_files_are_read_as_their_page_says(small_index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "files.md").read_text(), re.DOTALL)
    assert code.count("INDEX/") == 1
    read: dict[str, Any] = {}
    exec(code.replace("INDEX/", f"{small_index}/"), read)
    with indexer.open(small_index) as index:
        image = index.find_images(limit=1).items[0]
        np.testing.assert_array_equal(read["maps"].astype(np.float32), index.activation_maps(image.id, "features.12"))
    assert capsys.readouterr().out.startswith(f"{image.path} (512, ")
