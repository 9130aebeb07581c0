"""The example notebook runs from `open` to a figure, over an index that is not the one it was written with."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import indexer
from indexer.pictures.sheet import sheet
from indexer.pictures.sheet_draw import raster
from indexer.query.learning import neurons
from tests.conftest import LAYERS

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "explore.ipynb"


def texts(cell: nbformat.NotebookNode) -> str:
    return "".join(output["text"] for output in cell["outputs"] if output["output_type"] == "stream")


def picture(cell: nbformat.NotebookNode) -> Image.Image:
    [output] = [output for output in cell["outputs"] if output["output_type"] == "execute_result"]
    kept = output["data"].get("image/png") or output["data"]["image/jpeg"]  # JPEG in the file, which is smaller
    return Image.open(io.BytesIO(base64.b64decode(kept)))


@pytest.mark.filterwarnings("default")  # those of the kernel's own packages
def test_notebook(small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITSCOPE_INDEX", str(small_index))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with indexer.open(small_index) as index:
        chosen = neurons.worth_showing(neurons.table(index, LAYERS[1]), 6)
        made = raster(sheet(index, LAYERS[1], chosen, columns=7, size=72))
        paths = [patch.image.path for patch in index.top_patches(LAYERS[1], chosen[0], limit=5).items]
    assert [line.split(":")[0] for line in texts(cells[0]).splitlines()] == list(LAYERS)
    assert [int(line.split()[0]) for line in texts(cells[2]).splitlines()] == chosen
    assert re.findall(r"\d  (.*):", texts(cells[3])) == paths
    assert picture(cells[4]).width == 280 or picture(cells[4]).height == 280
    assert np.array_equal(np.asarray(picture(cells[6]).convert("RGB")), np.asarray(made.convert("RGB")))


def test_what_is_shown_of_it_is_whole() -> None:
    """As it is read without running it: every cell has run, in order, and none failed."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output["output_type"] != "error" for cell in cells for output in cell["outputs"])
    assert picture(cells[6]).width > 400
