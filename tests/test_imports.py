"""What a new interpreter has loaded after an import: what is large comes when it is needed, and not before."""

import subprocess
import sys

import pytest

LIBRARIES = {"numpy", "torch", "torchvision", "faiss", "h5py", "PIL", "flask", "waitress"}
TORCH = {"torch", "torchvision"}


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("indexer, indexer.errors", LIBRARIES),
        ("service, service.errors", LIBRARIES),
        # The process that starts the others.
        ("service.__main__, service.processes.supervisor", LIBRARIES),
        ("service.tokens", LIBRARIES),
        # A process that answers requests: only one that runs the network needs torch.
        ("service.app, service.processes.request_worker, service.processes.server", TORCH),
        ("indexer.query.index, indexer.pictures", TORCH),
    ],
)
def test_what_an_import_loads(modules: str, forbidden: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not forbidden & set(done.stdout.split())


def test_torch_comes_with_the_network() -> None:
    code = "import sys; from service.inference.loader import Networks; before = 'torch' in sys.modules; "
    code += "Networks.preload(); print(before, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
