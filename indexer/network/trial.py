"""Whether a network gives the same activations for an image again, alone, and while other passes run.

An index promises what a plain forward pass gives for an image by itself. Randomness that evaluation mode leaves on,
statistics of a batch, and state that one pass leaves to another break that promise, so they are looked for:

1. ``trial = Trial(network, pixels)`` takes one or two images of a job.
2. ``trial.begin(pool)``, before the job: the images together, each alone, and together in as many passes at once as
   the job runs. Passes that disturb one another run one at a time from then on.
3. ``trial.again(pixels)``, now and then among the other passes: the same images, and others together and alone.

Compared are numbers of every map that hardly stay the same when a value or its cell changes: highest, lowest, mean, and
a mean with fixed random weights.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from indexer.errors import NotReproducible
from indexer.network.forward import Network

IMAGES = 2
_ROUNDING = {"float32": 1e-3, "float32-folded": 1e-3, "tf32": 2e-2, "bfloat16": 1e-1}
"""How far the kernels for one image and for several may part, as a share of a neuron's range."""
_REPEATED = {"cpu": 1e-6, "cuda": 1e-4}
"""The same of one kernel that runs twice: on a CPU nothing, but for sums in another order."""

Prints = dict[str, np.ndarray]


class Trial:
    """Images whose activations are worked out again; see the module's description.

    Parameters
    ----------
    pixels : ndarray (n, h, w, 3) uint8
        At most `IMAGES`, and no more than the job has in a batch.
    """

    def __init__(self, network: Network, pixels: np.ndarray) -> None:
        self._network = network
        self._pixels = pixels
        self._prints: Prints = {}
        self._again = _REPEATED.get(network.device.type, 1e-4)
        self._rounding = _ROUNDING[network.precision]

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Compare before the job; ``pool`` is the one that its passes will run in.

        Raises
        ------
        NotReproducible
            Names the first layer that differs.
        """
        self._prints = pool.submit(self._prints_of, self._pixels).result()
        passes = [pool.submit(self._prints_of, self._pixels) for _ in range(max(2, self._network.at_once))]
        results = [future.result() for future in passes]  # all of them: nothing may run when passes are parted
        if any(self._differs(prints) is not None for prints in results):
            self._network.one_at_a_time("passes that ran at once gave other activations than one by itself")
            self._prints = pool.submit(self._prints_of, self._pixels).result()  # of the copy that is left
            pool.submit(self._check_repeated, "").result()
        pool.submit(self._check_alone, self._pixels, self._prints).result()

    def again(self, pixels: np.ndarray) -> None:
        """Compare while other passes run; ``pixels`` are images of the job, as many as `Trial` takes.

        Raises
        ------
        NotReproducible
        """
        beside = " while others run" if self._network.at_once > 1 else ""
        self._check_repeated(beside)
        if len(pixels) > 1:
            self._check_alone(pixels[:IMAGES], self._prints_of(pixels[:IMAGES]))

    def _check_repeated(self, beside: str) -> None:
        layer = self._differs(self._prints_of(self._pixels))
        if layer is not None:
            raise NotReproducible(
                f"layer {layer!r} gives other activations when the same images pass through the network again{beside}: "
                "it keeps something from one pass to the next, or draws random numbers (as dropout does outside of "
                "eval()); nothing was kept"
            )

    def _check_alone(self, pixels: np.ndarray, together: Prints) -> None:
        if len(pixels) == 1:
            return
        for number in range(len(pixels)):
            alone = self._prints_of(pixels[number : number + 1])
            layer = _first_difference(
                {layer: prints[number : number + 1] for layer, prints in together.items()}, alone, self._rounding
            )
            if layer is not None:
                raise NotReproducible(
                    f"layer {layer!r} gives other activations for an image alone than for the same image within a "
                    "batch: it mixes the images of a batch, as a batch norm without running statistics does; "
                    "--batch-size 1 keeps what it gives for each image alone"
                )

    def _differs(self, prints: Prints) -> str | None:
        return _first_difference(self._prints, prints, self._again)

    def _prints_of(self, pixels: np.ndarray) -> Prints:
        return self._network.run(pixels, lambda layer, maps: _prints(maps).cpu().numpy())


def _first_difference(there: Prints, here: Prints, share: float) -> str | None:
    """The first layer in whose prints (B, C, 4) anything differs by more than this share of a neuron's range."""
    for layer, expected in there.items():
        actual = here[layer]
        finite = np.where(np.isfinite(expected), np.abs(expected), 0)
        room = share * (finite.max(axis=(0, 2), keepdims=True) + finite.max(initial=0) / 10)
        with np.errstate(invalid="ignore"):
            same = (np.abs(actual - expected) <= room) | (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        if not same.all():
            return layer
    return None


def _prints(maps: torch.Tensor) -> torch.Tensor:
    """Of maps (B, C, H, W) highest, lowest, mean and weighted mean: (B, C, 4) float32."""
    flat = maps.to(torch.float32).flatten(2)
    weights = _weights(flat.shape[2]).to(flat.device)
    return torch.cat([flat.amax(2, keepdim=True), flat.amin(2, keepdim=True), flat @ weights], dim=2)


@functools.lru_cache(maxsize=64)
def _weights(cells: int) -> torch.Tensor:
    """Columns of weights for means over cells: equal ones, and random ones."""
    drawn = torch.rand(cells, generator=torch.Generator().manual_seed(cells))
    return torch.stack([torch.full_like(drawn, 1 / cells), drawn / drawn.sum()], dim=1)
