"""The attacks of `make fool` beside those of foolbox: on the same images, with the same numbers of steps.

python -m benchmarks.fooling INDEX [--images 100] [--l2 0.02 0.05 0.5] [--linf 0.0001 0.0003 0.004] [--out FILE]

1. Images at equal distances are taken from the index, at the size of the network's input; the attack is on what the
   network answers, be it right or not.
2. Smallest change: DeepFool, 50 steps, 10 candidates, overshoot 0.02. Its median norm counts, over all images that are
   fooled. ``--beside`` adds foolbox's DDN (Rony et al. 2019, 100 steps), which seeks longer for a smaller change.
3. Projected gradient descent, 50 steps of 1/20 of the bound, from the image itself. The share fooled within the bound
   counts. The norm is that at the end; foolbox takes all steps, unitscope ends at the first other answer.

Norms are over colours from 0 to 1, before a change is rounded to 8 bits. Needs foolbox (`pip install .[demo]`).
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import foolbox
import numpy as np
import torch

import indexer
from benchmarks.measure import write_records
from indexer.explain.outputs import answering_outputs
from indexer.explain.sources import spread
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.receptive_field.graph.copies import plain_copy
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.attacks import STEPS, OutputsOf, descend, nearest_boundary, norm_of
from indexer.synthesis.images.pixels import to_colours

BATCH: Final = 10
_STEP: Final = 2.5
Attack = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From images (n, 3, h, w) and what the network answers (n,) to changed images."""


@dataclass(frozen=True)
class Outcome:
    """What an attack did to each image: whether another answer is given, and the norm of the change."""

    attack: str
    by: str
    fooled: list[bool]
    norms: list[float]
    seconds: float

    @property
    def median(self) -> float:
        """Of the norm, over images that are fooled; NaN where none is."""
        return float(np.median(np.array(self.norms)[self.fooled])) if any(self.fooled) else float("nan")

    def line(self) -> str:
        return (
            f"| {self.attack} | {self.by} | {sum(self.fooled)} of {len(self.fooled)} | {self.median:.3g} | "
            f"{self.seconds:.2f} |"
        )


class Peer(torch.nn.Module):
    """The network as foolbox takes it: from colours from 0 to 1 to outputs."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._model = plain_copy(network.model.module)
        preprocessing = network.model.preprocessing
        self._mean, self._std = (
            torch.tensor(of).view(1, 3, 1, 1) for of in (preprocessing.mean, preprocessing.std)
        )  # fmt: skip
        for weight in self._model.parameters():
            weight.requires_grad_(False)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self._model((images - self._mean) / self._std)
        return outputs.flatten(1)


def images_of(index: Index, count: int) -> torch.Tensor:
    """Images (n, 3, h, w) of an index, at equal distances."""
    preprocessing = index.manifest.configuration.preprocessing
    rows = spread(np.arange(len(index.images)), count).tolist()
    pictures = (index.picture(index.image(int(index.images.id[row]))) for row in rows)
    return torch.cat([to_colours(preprocessing.pixels(picture)) for picture in pictures])


def outputs_of(index: Index, network: Network) -> OutputsOf:
    seen, layer = Differentiable(network), answering_outputs(index).layer
    return lambda images: seen.maps(images, [layer])[layer][:, :, 0, 0]


def attacks(
    outputs: OutputsOf, peer: Peer, bounds: dict[str, list[float]], beside: bool
) -> Iterator[tuple[str, str, str, Attack]]:
    """Name, norm, whose, and the attack itself; each of unitscope is followed by the same of foolbox."""
    theirs = foolbox.attacks
    deep = {"l2": theirs.L2DeepFoolAttack, "linf": theirs.LinfDeepFoolAttack}
    down = {"l2": theirs.L2ProjectedGradientDescentAttack, "linf": theirs.LinfProjectedGradientDescentAttack}
    for norm in ("l2", "linf"):
        name = f"DeepFool, {norm}"
        yield name, norm, "unitscope", _each(lambda *of, norm=norm: nearest_boundary(outputs, *of, None, norm))
        yield name, norm, "foolbox", _foolbox(peer, deep[norm](steps=STEPS, candidates=10, overshoot=0.02), None)
        if beside and norm == "l2":
            yield "DDN, l2", norm, "foolbox", _foolbox(peer, theirs.DDNAttack(steps=100), None)
        for most in bounds[norm]:
            name = f"descent, {norm}, at most {most:g}"
            again = down[norm](rel_stepsize=_STEP / STEPS, steps=STEPS, random_start=False)
            yield (
                name,
                norm,
                "unitscope",
                _each(lambda *of, norm=norm, most=most: descend(outputs, *of, None, norm, most)),
            )
            yield name, norm, "foolbox", _foolbox(peer, again, most)


def outcome(attack: tuple[str, str, str, Attack], outputs: OutputsOf, images: torch.Tensor) -> Outcome:
    """Try an attack on images. Whether it fooled is asked of the network as unitscope sees it, for both."""
    name, norm, by, run = attack
    fooled: list[bool] = []
    norms: list[float] = []
    started = time.process_time()
    for part in images.split(BATCH):
        answers = _answers(outputs, part)
        changed = run(part, answers)
        fooled += (_answers(outputs, changed) != answers).tolist()
        norms += [norm_of(after - before, norm) for after, before in zip(changed, part, strict=True)]
    return Outcome(name, by, fooled, norms, (time.process_time() - started) / len(images))


@torch.no_grad()
def _answers(outputs: OutputsOf, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([outputs(image[None]).argmax(dim=1) for image in images])


def _each(run: Callable[[torch.Tensor, int], torch.Tensor]) -> Attack:
    return lambda images, answers: torch.cat(
        [run(image[None], answer) for image, answer in zip(images, answers.tolist(), strict=True)]
    )


def _foolbox(peer: Peer, attack: Any, most: float | None) -> Attack:
    model = foolbox.PyTorchModel(peer, bounds=(0, 1), device="cpu")

    def run(images: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = attack.run(model, images, foolbox.criteria.Misclassification(answers), **_bound(most))
        return changed.detach()

    return run


def _bound(most: float | None) -> dict[str, float]:
    return {} if most is None else {"epsilon": most}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--images", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--l2", type=float, nargs="*", default=[0.02, 0.05, 0.5])
    parser.add_argument("--linf", type=float, nargs="*", default=[0.0001, 0.0003, 0.004])
    parser.add_argument("--beside", action="store_true", help="foolbox's DDN as well")
    parser.add_argument("--out", type=Path, help="a JSON of all norms")
    options = parser.parse_args(arguments)
    found = []
    with indexer.open(options.index) as index:
        network = index.network()
        outputs, images = outputs_of(index, network), images_of(index, options.images)
        print(f"\n{len(images)} images of {len(index.images)}\n", flush=True)
        print("| attack | by | fooled | median norm | CPU (s) an image |\n| --- | --- | --- | --- | --- |", flush=True)
        bounds = {"l2": options.l2, "linf": options.linf}
        for attack in attacks(outputs, Peer(network), bounds, options.beside):
            found.append(outcome(attack, outputs, images))
            print(found[-1].line(), flush=True)
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
