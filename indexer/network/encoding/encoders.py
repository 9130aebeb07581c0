"""What dictionaries compute: the weights of their atoms for a vector of activations, and the vector back from them.

A vector is encoded alone, so its codes do not depend on which others are encoded with it. Encoders compute in float64:
in float32, products of matrices differ in the last digits with where the matrices lie in memory.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

import torch

from indexer.defaults import HALF_MAX

NNLS_STEPS: Final = 200
"""Steps with which NMF finds the weights of its components."""


class Encoder(ABC):
    """A dictionary of K atoms for vectors of C activations. Its tensors are float64.

    Attributes
    ----------
    atoms : tensor (K, C)
        The directions that the codes weigh.
    offset : tensor (C,)
        Added to what the atoms give.
    """

    method: ClassVar[str]
    atoms: torch.Tensor
    offset: torch.Tensor

    @abstractmethod
    def codes(self, vectors: torch.Tensor) -> torch.Tensor:
        """The weights (n, K) float64, none negative, of vectors (n, C) float64."""

    @abstractmethod
    def driven(self, vectors: torch.Tensor) -> torch.Tensor:
        """What grows (n, K) with each code and has a gradient at atoms at rest: before most codes become 0."""

    @property
    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What a file keeps of it, by name."""

    @abstractmethod
    def to(self, device: torch.device) -> "Encoder":
        """The same on another device."""

    @property
    def components(self) -> int:
        return len(self.atoms)

    @property
    def dimensions(self) -> int:
        return int(self.atoms.shape[1])

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The vectors (n, C) float64 that weights (n, K) stand for."""
        return codes @ self.atoms + self.offset

    def __call__(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (B, K, H, W) float32 of the atoms for maps (B, C, H, W) of the layer.

        The maps are rounded to float16 first, as an index keeps them, so that an image has the same codes whether they
        are made of kept maps or of new ones. Each image is encoded alone, for the same reason.
        """
        return torch.stack([self._of_image(image) for image in maps])

    def driven_maps(self, maps: torch.Tensor) -> torch.Tensor:
        """`driven` at each cell, (B, K, H, W) of the maps' own type, without any rounding."""
        vectors = maps.flatten(2).transpose(1, 2).to(torch.float64)
        found = self.driven(vectors.reshape(-1, maps.shape[1])).reshape(*vectors.shape[:2], self.components)
        return found.transpose(1, 2).reshape(len(maps), self.components, *maps.shape[2:]).to(maps.dtype)

    def _of_image(self, maps: torch.Tensor) -> torch.Tensor:
        channels, height, width = maps.shape
        kept = maps.to(torch.float32).clamp(-HALF_MAX, HALF_MAX).to(torch.float16).to(torch.float64)
        codes = self.codes(kept.reshape(channels, height * width).T.contiguous())
        return codes.to(torch.float32).T.reshape(self.components, height, width)


class KMeansEncoder(Encoder):
    """A vector belongs to its nearest centroid; its code is its projection on that, and 0 for all others.

    Parameters
    ----------
    centroids : tensor (K, C)
    """

    method = "kmeans"

    def __init__(self, centroids: torch.Tensor) -> None:
        self.centroids = centroids = _double(centroids)
        self.atoms = centroids / centroids.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        self.offset = torch.zeros_like(centroids[0])

    def codes(self, vectors: torch.Tensor) -> torch.Tensor:
        distances = self.centroids.square().sum(dim=1) - 2 * vectors @ self.centroids.T
        own = distances.argmin(dim=1, keepdim=True)
        along = (vectors @ self.atoms.T).gather(1, own).clamp_min(0)
        return torch.zeros_like(distances).scatter_(1, own, along)

    def driven(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ self.atoms.T

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"centroids": self.centroids}

    def to(self, device: torch.device) -> "KMeansEncoder":
        return KMeansEncoder(self.centroids.to(device))


class NMFEncoder(Encoder):
    """A vector is a sum of components with weights that are not negative (Lee & Seung 1999; CRAFT, Fel et al. 2023).

    The weights solve the least squares problem by `NNLS_STEPS` steps of accelerated projected gradient descent (Beck &
    Teboulle 2009), which begins to accelerate anew for a vector whose last step went back (O'Donoghue & Candes 2015),
    always from 0. It works with components of length 1: where some are much longer than others, the steps that suit
    these are too short for the others.

    Parameters
    ----------
    components : tensor (K, C)
        None negative.
    """

    method = "nmf"

    def __init__(self, components: torch.Tensor) -> None:
        self.atoms = components = _double(components)
        self.offset = torch.zeros_like(components[0])
        self._lengths = components.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        self._directions = components / self._lengths[:, None]
        self._gram = self._directions @ self._directions.T
        largest = torch.linalg.eigvalsh(self._gram)[-1].clamp_min(torch.finfo(torch.float64).tiny)
        self._step = float(1 / largest)

    def codes(self, vectors: torch.Tensor) -> torch.Tensor:
        target = vectors @ self._directions.T
        weights = ahead = torch.zeros_like(target)
        momentum = torch.ones_like(target[:, :1])
        for _ in range(NNLS_STEPS):
            moved = (ahead - self._step * (ahead @ self._gram - target)).clamp_min(0)
            went_back = ((ahead - moved) * (moved - weights)).sum(dim=1, keepdim=True) > 0
            momentum = torch.where(went_back, 1.0, momentum)
            following = (1 + (1 + 4 * momentum**2).sqrt()) / 2
            ahead = moved + (momentum - 1) / following * (moved - weights)
            weights, momentum = moved, following
        found: torch.Tensor = weights / self._lengths
        return found

    def driven(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ self.atoms.T

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"components": self.atoms}

    def to(self, device: torch.device) -> "NMFEncoder":
        return NMFEncoder(self.atoms.to(device))


class SparseAutoencoder(Encoder):
    """A linear layer with ReLU, of which a vector keeps the codes above thresholds, or its ``k`` highest.

    TopK is that of Gao et al. 2024, "Scaling and evaluating sparse autoencoders"; BatchTopK (Bussmann et al. 2024) is
    encoded by its learned threshold.

    Parameters
    ----------
    encoder : tensor (C, K)
    encoder_bias : tensor (K,)
    decoder : tensor (K, C)
    decoder_bias : tensor (C,)
        Subtracted from a vector before it is encoded if ``centred``.
    threshold : tensor (K,), optional
        Codes at or below it become 0.
    k : int, optional
        How many codes a vector may keep.
    centred : bool
    """

    method = "sae"

    def __init__(
        self,
        encoder: torch.Tensor,
        encoder_bias: torch.Tensor,
        decoder: torch.Tensor,
        decoder_bias: torch.Tensor,
        threshold: torch.Tensor | None = None,
        k: int | None = None,
        centred: bool = True,
    ) -> None:
        self.encoder, self.encoder_bias = _double(encoder), _double(encoder_bias)
        self.atoms, self.offset = _double(decoder), _double(decoder_bias)
        self.threshold = None if threshold is None else _double(threshold)
        self.k, self.centred = k, centred

    def before(self, vectors: torch.Tensor) -> torch.Tensor:
        """The codes (n, K) behind the ReLU, before most are left out."""
        return torch.relu(self.driven(vectors))

    def driven(self, vectors: torch.Tensor) -> torch.Tensor:
        given = vectors - self.offset if self.centred else vectors
        return given @ self.encoder + self.encoder_bias

    def codes(self, vectors: torch.Tensor) -> torch.Tensor:
        codes = self.before(vectors)
        if self.threshold is not None:
            codes = torch.where(codes > self.threshold, codes, 0)
        if self.k is None or self.k >= codes.shape[1]:
            return codes
        highest = codes.topk(self.k, dim=1)
        return torch.zeros_like(codes).scatter_(1, highest.indices, highest.values)

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        kept = {
            "encoder": self.encoder,
            "encoder_bias": self.encoder_bias,
            "decoder": self.atoms,
            "decoder_bias": self.offset,
        }
        return kept if self.threshold is None else kept | {"threshold": self.threshold}

    def to(self, device: torch.device) -> "SparseAutoencoder":
        moved = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return SparseAutoencoder(**moved, k=self.k, centred=self.centred)


def _double(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float64, copy=True)
