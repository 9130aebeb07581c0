"""ImageNet weights of SqueezeNet 1.1 from the package ``ndf``, as a state dict of ``squeezenet1_1``.

1. `read_kernels` reads the package's pickle, which may hold numpy arrays and nothing else.
2. `fold_preprocessing` rewrites the first convolution for torchvision's input.
3. `state_dict` gives torchvision's names and axes; `write_weights` does all three and writes the file.
"""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from indexer.demo.packages import package_folder
from indexer.errors import DamagedFile
from indexer.store import atomic

SHA256: Final = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"

BGR_MEAN: Final = np.array([104.006, 116.669, 122.679])
"""The mean that the published weights expect to be subtracted from B, G, R in 0..255."""

RGB_MEAN: Final = np.array([0.485, 0.456, 0.406])
RGB_STD: Final = np.array([0.229, 0.224, 0.225])
"""torchvision's normalisation of R, G, B in 0..1."""

_FIRES = {"fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7, "fire6": 9, "fire7": 10, "fire8": 11, "fire9": 12}
_PARTS = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
MODULES: Final = {
    "conv1": "features.0",
    **{f"{fire}/{a}": f"features.{number}.{b}" for fire, number in _FIRES.items() for a, b in _PARTS.items()},
    "conv10": "classifier.1",
}
"""Name in the pickle -> module of torchvision's model."""

# numpy 2 moved `_reconstruct`. Pickling an array names the function, wherever it is.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}; only numpy arrays are admitted")
        return _ADMITTED[module, name]


def load_arrays(data: bytes) -> Any:
    """Unpickle data that may name numpy arrays and no other object.

    Raises
    ------
    pickle.UnpicklingError
        The data names another object.
    """
    return _ArrayUnpickler(io.BytesIO(data)).load()


def read_kernels(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Convolutions by name: kernel (h, w, in, out) and bias (out,), float32.

    Raises
    ------
    DamagedFile
        It is not the file of ndf 0.1.4, for which this function was written.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise DamagedFile(path.name, f"its sha256 is {digest}, that of ndf 0.1.4 is {SHA256}")
    return {name: (kernel, bias) for name, (kernel, bias) in load_arrays(data).items()}


def fold_preprocessing(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn a convolution of BGR in 0..255 minus the mean into the same one of torchvision's normalised RGB.

    This is exact because the convolution has no padding: a padded zero would stand for another colour afterwards.

    Parameters
    ----------
    kernel : ndarray (h, w, 3, out)
        Input channels B, G, R.
    bias : ndarray (out,)

    Returns
    -------
    ndarray (h, w, 3, out), ndarray (out,)
        float64, input channels R, G, B.
    """
    rgb = kernel[:, :, ::-1].astype(np.float64)
    scaled = rgb * (255 * RGB_STD)[:, None]
    shift = 255 * RGB_MEAN - BGR_MEAN[::-1]
    return scaled, bias.astype(np.float64) + np.einsum("hwio,i->o", rgb, shift)


def state_dict(kernels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
    """The state dict of ``squeezenet1_1``, from the kernels of `read_kernels`."""
    state: dict[str, torch.Tensor] = {}
    for name, module in MODULES.items():
        kernel, bias = fold_preprocessing(*kernels[name]) if name == "conv1" else kernels[name]
        state[f"{module}.weight"] = _float32(kernel.transpose(3, 2, 0, 1))
        state[f"{module}.bias"] = _float32(bias)
    return state


def _float32(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


def write_weights(path: Path) -> None:
    """Write the state dict of the installed package to ``path``, atomically.

    Raises
    ------
    ModelUnavailable
        The package is not installed.
    DamagedFile
        The package's file is not that of ndf 0.1.4.
    """
    source = package_folder("ndf") / "example_models" / "weights" / "squeezenet_weights.pkl"
    state = state_dict(read_kernels(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.publishing(path) as partial:
        torch.save(state, partial)
