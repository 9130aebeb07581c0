"""What the service's slower questions would cost whoever wrote them down once, without index, contract or checks."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from indexer.images.geometry import Box
from indexer.images.reading import read_picture
from indexer.network.forward import Network
from indexer.query.index import Index


def crop(file: Path, box: Box) -> bytes:
    """Decode a JPEG, cut a box out of it, encode it as the service does."""
    buffer = io.BytesIO()
    with Image.open(file) as picture:
        part = picture.convert("RGB").crop((box.left, box.top, box.right, box.bottom))
    part.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def lookup(index: Index, network: Network, layer: str, limit: int) -> Callable[[bytes], object]:
    """Decode, one forward pass on one thread, the FAISS search for one cell, one product with all images' peaks."""
    torch.set_num_threads(1)
    vectors, peaks = index.layers[layer].vectors(), np.array(index.layers[layer].peaks)
    lengths = np.maximum(np.linalg.norm(peaks, axis=0), 1e-30)

    def look(data: bytes) -> object:
        pixels = network.model.preprocessing.pixels(read_picture(data))
        maps = network.run(np.stack([pixels]), lambda name, maps: maps[0].numpy(), [layer])[layer]
        flat = maps.reshape(len(maps), -1)
        vector = np.ascontiguousarray(flat[:, np.square(flat).sum(axis=0).argmax()])
        near = vectors.search((vector / np.linalg.norm(vector))[None], limit)
        return near, np.argsort(-(flat.max(axis=1) @ peaks / lengths))[:limit]

    return look
