"""Encoders of other packages: ``--encoder indexer.describe.adapters:open_clip --encoder-args model=ViT-B-32``.

Nothing is downloaded unless ``download`` says what: weights come from a file or a folder of this machine.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.errors import InvalidRequest, NotInstalled


class _Made:
    """An encoder of two functions that give tensors."""

    def __init__(
        self,
        name: str,
        model: Any,
        images: Callable[[Sequence[Image.Image]], Any],
        texts: Callable[[Sequence[str]], Any],
    ) -> None:
        self.name, self.digest = name, _digest(model)
        self._images, self._texts = images, texts

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._of(self._images, images)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._of(self._texts, texts)

    @staticmethod
    def _of(encode: Callable[[Any], Any], given: Sequence[Any]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            vectors: np.ndarray = encode(list(given)).float().cpu().numpy()
        return vectors


def open_clip(model: str, weights: str | None = None, download: str | None = None, device: str = "cpu") -> _Made:
    """A model of the package open_clip.

    Parameters
    ----------
    model : str
        As "ViT-B-32".
    weights : str, optional
        A file of weights.
    download : str, optional
        The name of weights that open_clip may download, as "laion2b_s34b_b79k".

    Raises
    ------
    InvalidRequest
        Neither or both are given, or there is no such file.
    NotInstalled
    """
    try:
        import open_clip as package
    except ImportError as error:
        raise NotInstalled("this encoder needs open_clip: pip install open_clip_torch") from error
    pretrained = _source(weights, download)
    with contextlib.nullcontext() if download else _offline():  # tokenizers of some models lie at a hub
        network, _, prepare = package.create_model_and_transforms(model, pretrained=pretrained, device=device)
        tokenizer = package.get_tokenizer(model)
    network.eval()

    def images(pictures: Sequence[Image.Image]) -> Any:
        import torch

        return network.encode_image(torch.stack([prepare(picture) for picture in pictures]).to(device))

    def texts(words: Sequence[str]) -> Any:
        return network.encode_text(tokenizer(words).to(device))

    return _Made(f"{model}, {download or Path(pretrained).name}", network, images, texts)


def transformers(path: str | None = None, download: str | None = None, device: str = "cpu") -> _Made:
    """A model of the package transformers with ``get_image_features`` and ``get_text_features``, as CLIP and SigLIP.

    Parameters
    ----------
    path : str, optional
        The folder of a model that was saved.
    download : str, optional
        The name of a model that transformers may download, as "openai/clip-vit-base-patch32".

    Raises
    ------
    InvalidRequest
        Neither or both are given, or there is no such folder.
    NotInstalled
    """
    try:
        from transformers import AutoModel, AutoProcessor
    except ImportError as error:
        raise NotInstalled("this encoder needs transformers: pip install transformers") from error
    source, here = _source(path, download), download is None
    network = AutoModel.from_pretrained(source, local_files_only=here).to(device).eval()
    processor = AutoProcessor.from_pretrained(source, local_files_only=here)
    padding = _padding(network.config, processor.tokenizer.model_input_names)

    def images(pictures: Sequence[Image.Image]) -> Any:
        return _features(network.get_image_features(**processor(images=pictures, return_tensors="pt").to(device)))

    def texts(words: Sequence[str]) -> Any:
        given = processor(text=list(words), return_tensors="pt", truncation=True, **padding).to(device)
        return _features(network.get_text_features(**given))

    return _Made(download or Path(source).name, network, images, texts)


def _padding(configuration: Any, inputs: Sequence[str]) -> dict[str, Any]:
    """How texts are padded: to one length wherever the model sees what is padded.

    SigLIP takes a text's vector from the last position, and was trained with all texts padded to its full length; with
    less, a vector depends on the longest text beside it. A model that is given no mask sees what is padded, too.
    """
    if not configuration.model_type.startswith("siglip") and "attention_mask" in inputs:
        return {"padding": True}
    text = getattr(configuration, "text_config", configuration)
    return {"padding": "max_length", "max_length": getattr(text, "max_position_embeddings", None)}


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Let huggingface_hub, where it is installed, use what it has kept, and ask nobody."""
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _features(given: Any) -> Any:
    """The tensor, which newer versions put into a record."""
    return getattr(given, "pooler_output", given)


def _source(here: str | None, download: str | None) -> str:
    if (here is None) == (download is None):
        raise InvalidRequest(
            "say where the weights are on this machine (weights=FILE for open_clip, path=FOLDER for transformers), or "
            "which ones may be downloaded (download=NAME)"
        )
    if here is not None and not Path(here).exists():
        raise InvalidRequest(f"there is no {here}; download=NAME downloads weights")
    return str(here or download)


def _digest(model: Any) -> str:
    """sha256 of all weights, in hexadecimal."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
