"""Sparse autoencoders, learned with BatchTopK (Bussmann, Leask and Nanda 2024).

While it learns, a batch of n vectors keeps its n * k highest codes. The lowest code that a batch keeps, averaged over
batches, becomes the threshold with which a vector is encoded alone. Atoms that no batch kept for a while, or that
repeat another, begin anew as what the others leave of a vector (Bricken et al. 2023, "Towards monosemanticity").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from indexer.network.encoding.encoders import SparseAutoencoder

_BATCH: Final = 1024
_FORGETTING: Final = 0.99
_REVIVING: Final = 100
"""Steps after which atoms begin anew that no batch kept since."""
_SAME: Final = 0.9
"""The cosine from which two atoms are one."""
_LAST_REVIVAL: Final = 0.6
"""Share of all steps after which none does any more."""


@dataclass(frozen=True)
class Settings:
    """How an autoencoder learns: atoms that a vector keeps on average, steps, learning rate of Adam."""

    k: int
    steps: int
    rate: float


def learn_autoencoder(
    vectors: np.ndarray,
    components: int,
    seed: int,
    settings: Settings,
    told: Callable[[int], None] = lambda steps: None,
) -> SparseAutoencoder:
    """An autoencoder of vectors (n, C) float32 with so many atoms; ``told`` hears of every step."""
    chance = torch.Generator().manual_seed(seed)
    given = torch.from_numpy(vectors).clone()  # where torch lays it: results differ with where data lie in memory
    scale = float(given.shape[1] ** 0.5 / given.norm(dim=1).mean().clamp_min(1e-12))
    model = _Model(given, scale, components, settings.k, chance)
    optimiser = torch.optim.Adam(model.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, 5 * (1 - step / settings.steps)))
    for step in range(1, settings.steps + 1):
        batch = given[torch.randint(len(given), (min(_BATCH, len(given)),), generator=chance)] * scale
        model.loss(batch).backward()  # type: ignore[no-untyped-call]
        model.keep_decoder_normal()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        model.normalise_decoder()
        if step % _REVIVING == 0 and step < settings.steps * _LAST_REVIVAL:
            model.revive(batch, optimiser)
        told(1)
    return model.encoder_of_unscaled(scale)


class _Model(nn.Module):
    def __init__(self, given: torch.Tensor, scale: float, components: int, k: int, chance: torch.Generator) -> None:
        super().__init__()
        self._k = k
        atoms = torch.randn((components, given.shape[1]), generator=chance)
        atoms = atoms / atoms.norm(dim=1, keepdim=True)
        self.decoder = nn.Parameter(atoms)
        self.encoder = nn.Parameter(atoms.T.clone())
        self.encoder_bias = nn.Parameter(torch.zeros(components))
        self.decoder_bias = nn.Parameter(given.mean(dim=0) * scale)
        self._threshold = torch.zeros(())
        self._steps = 0
        self._idle = torch.zeros(components, dtype=torch.long)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        codes = self._kept(torch.relu((batch - self.decoder_bias) @ self.encoder + self.encoder_bias))
        self._note(codes.detach())
        error = batch - codes @ self.decoder - self.decoder_bias
        return error.square().mean()

    def _kept(self, before: torch.Tensor) -> torch.Tensor:
        """The highest codes of a batch; the lowest of them is remembered."""
        most = min(before.numel(), self._k * len(before))
        lowest = before.detach().flatten().kthvalue(before.numel() - most + 1).values.clamp_min(1e-12)
        self._lowest = lowest
        return torch.where(before >= lowest, before, 0)

    def _note(self, codes: torch.Tensor) -> None:
        self._steps += 1
        self._threshold = _FORGETTING * self._threshold + (1 - _FORGETTING) * self._lowest
        self._idle = torch.where((codes > 0).any(dim=0), 0, self._idle + 1)

    @torch.no_grad()
    def keep_decoder_normal(self) -> None:
        """Take out of the gradient what would only change the length of an atom."""
        assert self.decoder.grad is not None
        along = (self.decoder.grad * self.decoder).sum(dim=1, keepdim=True)
        self.decoder.grad -= along * self.decoder

    @torch.no_grad()
    def normalise_decoder(self) -> None:
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True).clamp_min(1e-12))

    @torch.no_grad()
    def revive(self, batch: torch.Tensor, optimiser: torch.optim.Adam) -> None:
        """Let idle atoms begin anew: each as what the others leave of one of the vectors of which they leave most."""
        dead = torch.nonzero((self._idle >= _REVIVING) | self._repeating()).flatten()[: len(batch)]
        if not len(dead):
            return
        codes = self._kept(torch.relu((batch - self.decoder_bias) @ self.encoder + self.encoder_bias))
        error = batch - codes @ self.decoder - self.decoder_bias
        worst = error[error.square().sum(dim=1).topk(len(dead)).indices]
        atoms = worst / worst.norm(dim=1, keepdim=True).clamp_min(1e-12)
        self.decoder[dead], self.encoder[:, dead], self.encoder_bias[dead] = atoms, atoms.T, 0.0
        for parameter, part in ((self.decoder, dead), (self.encoder, (slice(None), dead)), (self.encoder_bias, dead)):
            for moment in ("exp_avg", "exp_avg_sq"):
                optimiser.state[parameter][moment][part] = 0.0
        self._idle[dead] = 0

    def _repeating(self) -> torch.Tensor:
        """Which atoms (K,) point where an earlier one does."""
        cosines = (self.decoder @ self.decoder.T).tril(-1)
        return (cosines > _SAME).any(dim=1)

    def encoder_of_unscaled(self, scale: float) -> SparseAutoencoder:
        """The encoder for vectors as they are; a ReLU of scaled vectors is the scaled ReLU of vectors."""
        threshold = self._threshold / (1 - _FORGETTING**self._steps) / scale
        return SparseAutoencoder(
            encoder=self.encoder.detach(),
            encoder_bias=self.encoder_bias.detach() / scale,
            decoder=self.decoder.detach(),
            decoder_bias=self.decoder_bias.detach() / scale,
            threshold=threshold.expand(len(self.decoder)).clone(),
        )
