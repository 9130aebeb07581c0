"""A notebook that asks gives the same, to the byte, whether files or a service lie behind."""

import ast
import contextlib
import io
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "examples" / "ask.ipynb"


def shown(where: str, name: str, patch: pytest.MonkeyPatch) -> list[Any]:
    """What each cell of code prints, and the picture that its last line gives."""
    patch.setenv("UNITSCOPE", where)
    patch.setenv("UNITSCOPE_NAME", name)
    known: dict[str, Any] = {}
    found: list[Any] = []
    for cell in nbformat.read(NOTEBOOK, as_version=4)["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                result = run(cell["source"], known)
            found.append((printed.getvalue(), np.asarray(result).tolist() if isinstance(result, Image.Image) else None))
    return found


def run(source: str, known: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "a cell", "exec"), known)
    return None if last is None else eval(compile(ast.Expression(last.value), "a cell", "eval"), known)


def test_files_and_a_service_give_the_same(small_index: Path, live_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, service = (shown(where, "small", monkeypatch) for where in (str(small_index), live_url))
    assert files == service
    text = "".join(printed for printed, _ in files)
    assert "features.12: 512 neurons on 5 x 7 cells" in text
    assert text.count(".png") == 8  # four patches, and four that are like the first
    assert len([picture for _, picture in files if picture]) == 2
