"""Indexes of a network at steps of its training, so that a trend fills itself.

::

    checkpoints = unitscope.callbacks.Checkpoints("RUN", "val/", "train:network", layers=["layer3", "layer4"])
    for epoch in range(90):
        ...                           # train
        checkpoints(epoch, network)   # RUN/indexes/step-00000000, step-00000001, ...

``unitscope serve RUN/indexes`` shows them while they come, and ``unitscope trend RUN/indexes/*`` what changes.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import InvalidRequest, NotInstalled

if TYPE_CHECKING:
    from torch import nn


class NotIndexed(UserWarning):
    """A step of training has no index, and why. The training goes on."""


class Checkpoints:
    """Called at a step of training, it keeps the weights and builds an index with them.

    The index is built by a process of its own, for which this one waits, as a build sets threads and switches of torch
    that a training must not inherit. An index that is there stays, so that a training which is taken up again goes on.

    Parameters
    ----------
    folder : path
        Gets ``weights/step-00000010.pth`` and ``indexes/step-00000010``.
    images : path or URL
        The images to index: a folder of class folders, or a list. A validation set is a good choice.
    model : str
        ``module:factory``, which makes the network without these weights and names its preprocessing, as
        ``unitscope build --model`` takes it; or one of torchvision's names.
    layers : sequence of str, optional
        By default those that ``build`` chooses.
    options : sequence of str
        Further options of ``unitscope build``, such as ``["--batch-size", "64"]``.
    """

    def __init__(
        self, folder: str | os.PathLike[str], images: str | os.PathLike[str], model: str, *,
        layers: Sequence[str] = (), options: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self._build = [str(images), "--model", model, *(["--layers", ",".join(layers)] if layers else []), *options]

    def __call__(self, step: int, network: "nn.Module") -> Path | None:
        """Index a network as it is now. Gives the index, or None if it was not built, after a `NotIndexed` warning.

        Of several processes that train together, the first alone does.

        Raises
        ------
        InvalidRequest
            ``step`` is negative, or has more than eight digits.
        """
        if not 0 <= step < 10**8:
            raise InvalidRequest(f"a step is a number from 0 to 99999999, not {step}")
        if not _is_first():
            return None
        name = f"step-{step:08d}"
        weights, index = self.folder / "weights" / f"{name}.pth", self.folder / "indexes" / name
        if not (index / "manifest.json").is_file():
            _save(weights, network)
            if (problem := self._built(weights, index)) is not None:
                warnings.warn(f"step {step} was not indexed: {problem}", NotIndexed, stacklevel=2)
                return None
        return index

    @property
    def indexes(self) -> list[Path]:
        """The finished indexes, in order of training."""
        return sorted(path.parent for path in self.folder.glob("indexes/step-*/manifest.json"))

    def trend(self, layer: str | None = None) -> dict[str, Any]:
        """How they change, see `indexer.query.learning.trend.trend`.

        Raises
        ------
        InvalidRequest
            There are less than two.
        """
        from contextlib import ExitStack

        from indexer.query.index import open
        from indexer.query.learning.trend import trend

        with ExitStack() as stack:
            return trend([stack.enter_context(open(path)) for path in self.indexes], layer)

    def _built(self, weights: Path, index: Path) -> str | None:
        """Why an index was not built; None if it was."""
        command = [
            sys.executable,
            "-m",
            "unitscope",
            "build",
            *self._build,
            "--weights",
            str(weights),
            "--out",
            str(index),
        ]
        path = os.pathsep.join(part or os.getcwd() for part in sys.path)  # where the factory was found here
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return None
        return (done.stderr.strip().splitlines() or [f"the build ended with status {done.returncode}"])[-1]


def lightning_callback(checkpoints: Checkpoints, network: "Callable[[Any], nn.Module]", every: int = 1) -> Any:
    """A callback for ``lightning``: at the end of every so many epochs, the module's network is indexed.

    Parameters
    ----------
    network : callable
        Gives the network of a ``LightningModule``, such as ``lambda module: module.net``.
    every : int
        Epochs from one index to the next.

    Raises
    ------
    NotInstalled
        Neither ``lightning`` nor ``pytorch_lightning`` is installed.
    """
    base = _lightning().Callback

    class CheckpointsCallback(base):  # type: ignore[misc, valid-type]
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if (trainer.current_epoch + 1) % every == 0:
                checkpoints(trainer.global_step, network(pl_module))

    return CheckpointsCallback()


def _lightning() -> Any:
    import importlib

    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise NotInstalled("this needs lightning, which is not installed")


def _is_first() -> bool:
    import torch.distributed as distributed

    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _save(path: Path, network: "nn.Module") -> None:
    import torch
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    from indexer.store import atomic

    if isinstance(network, (DataParallel, DistributedDataParallel)):
        network = network.module
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.publishing(path) as partial:
        torch.save(network.state_dict(), partial)
