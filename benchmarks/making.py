"""What an image made for a neuron costs, beside the passes through the network that it cannot do without.

python -m benchmarks.making INDEX --layer features.12 [--steps 256] [--count 512] [--measured 32] [--out FILE]

1. A step of `fourier` beside a forward and a backward pass alone, over the same batch of 8 images of the same size, in
   turns. The passes alone end at the layer, as those of a step do.
2. What else an image costs (its figures), and what all images of a layer cost once.
3. From these, what ``--count`` neurons cost, and what ``--measured`` neurons should cost with an eighth of the steps,
   and do cost: whether such a plan can be believed.

All are seconds of CPU, as a busy machine makes a wall clock tell little.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

import indexer
from benchmarks.made import drawn
from benchmarks.measure import Row, heading, rounds, write
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis import ways
from indexer.synthesis.ascending.ascent import ascend
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import NeuronMean
from indexer.synthesis.images.natural import Natural, natural
from indexer.synthesis.optimal import Maker
from indexer.synthesis.recipe import Settings
from indexer.synthesis.trust import Judge

BATCH: Final = 8
STEPS: Final = 4
"""So many in each turn."""
FEWER: Final = 8


@dataclass(frozen=True)
class Plan:
    """Seconds of CPU: of all images once, of a step of a batch, and of the figures of an image."""

    once: float
    step: float
    figures: float

    def seconds(self, neurons: int, steps: int) -> float:
        """What so many neurons cost, in batches that are full or as dear as full ones."""
        return self.once + -(-neurons // BATCH) * steps * self.step + neurons * self.figures


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that some work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def steps_beside_passes(index: Index, network: Network, layer: str, neurons: Sequence[int], known: Natural) -> Row:
    """Seconds of a step beside those of the passes alone."""
    seen, objective = Differentiable(network), NeuronMean(layer, neurons)
    batch = torch.rand((len(neurons), 3, *seen.size), generator=chance("cost"))

    def passes(_: int) -> float:
        return cpu(lambda: [_pass(seen, objective, batch) for _ in range(STEPS)]) / STEPS

    def steps(_: int) -> float:
        settings = Settings(steps=STEPS)
        start, views = ([chance(part, neuron) for neuron in neurons] for part in ("start", "views"))
        made = ways.from_chance("fourier", seen.size, seen.device, start, lambda: known)
        look = ways.look(settings, seen.size, views)
        return cpu(lambda: ascend(seen, made, objective, look, steps=STEPS, rate=settings.rate)) / STEPS

    name = f"a step of {len(neurons)} images of {' x '.join(map(str, seen.size))} / its passes"
    return Row(name, *rounds(passes, steps))


def _pass(seen: Differentiable, objective: NeuronMean, batch: torch.Tensor) -> None:
    images = batch.clone().requires_grad_()
    objective(seen.maps(images, objective.layers, before_relu=True)).sum().backward()  # type: ignore[no-untyped-call]


def plan(index: Index, network: Network, layer: str, neurons: Sequence[int], step: float) -> Plan:
    """What images of a layer cost, from a step's seconds."""
    seen = Differentiable(network)
    grey = np.full((len(neurons), *seen.size, 3), 128, np.uint8)
    once = cpu(lambda: (natural(index), Maker(index, network, layer, Settings())))
    judge = Judge(index, seen, layer)
    judge.of(grey[:1], neurons[:1])
    return Plan(once, step, cpu(lambda: judge.of(grey, neurons)) / len(neurons))


def _make(index: Index, network: Network, layer: str, neurons: Sequence[int], steps: int) -> None:
    maker = Maker(index, network, layer, Settings(steps=steps))
    for first in range(0, len(neurons), BATCH):
        maker.make(neurons[first : first + BATCH])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--steps", type=int, default=256, help="(%(default)s)")
    parser.add_argument("--count", type=int, default=512, help="neurons planned for (%(default)s)")
    parser.add_argument("--measured", type=int, default=32, help="neurons made with fewer steps (%(default)s)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with indexer.open(options.index) as index:
        network, neurons = index.network(), drawn(index, options.layer, options.measured, 0)
        heading("Images made for neurons")
        row = steps_beside_passes(index, network, options.layer, neurons[:BATCH], natural(index))
        print(row.line(), flush=True)
        found = plan(index, network, options.layer, neurons[:BATCH], float(np.median(row.measured)))
        print(f"\nonce {found.once:.1f} s, a step {found.step:.3f} s, figures of an image {found.figures:.2f} s")
        whole = found.seconds(options.count, options.steps)
        print(f"{options.count} neurons, {options.steps} steps: {whole:.0f} s, {whole / options.count:.1f} s an image")
        fewer = max(1, options.steps // FEWER)
        spent = cpu(lambda: _make(index, network, options.layer, neurons, fewer))
        planned = found.seconds(len(neurons), fewer)
        print(f"{len(neurons)} neurons, {fewer} steps: {planned:.1f} s planned, {spent:.1f} s measured")
    if options.out:
        write("Images made for neurons", [row], options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
