"""The pages for those who change the code name files; the files are there."""

import re
from pathlib import Path

import pytest

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
