"""Text vectors of small networks of `transformers` with random weights: those of each text alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexer.describe import adapters
from tests.marks import seeds

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "red", "wheel", "of", "the", "old", "car", "in", "grass"]
TEXTS = ["a wheel", "red", "a wheel of the old car in the grass of the old car", "the old red car"]
LENGTH = 24
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SMALL | {
    "vocab_size": len(WORDS), "max_position_embeddings": LENGTH,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION = SMALL | {"image_size": 32, "patch_size": 16}


def tokenizer(inputs: list[str], most: int | None) -> Any:
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_input_names=inputs, **({} if most is None else {"model_max_length": most}),
    )  # fmt: skip


def saved(folder: Path, kind: str, most: int | None, seed: int) -> Any:
    """A network and its processor, written to a folder."""
    torch.manual_seed(seed)
    if kind == "clip":
        network = transformers.CLIPModel(transformers.CLIPConfig(text_config=TEXT, vision_config=VISION))
        words = tokenizer(["input_ids", "attention_mask"], most)
        processor = transformers.CLIPProcessor(transformers.CLIPImageProcessor(), words)
    else:
        network = transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=VISION))
        words = tokenizer(["input_ids", "attention_mask"] if kind == "siglip with a mask" else ["input_ids"], most)
        processor = transformers.SiglipProcessor(transformers.SiglipImageProcessor(), words)
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, words


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize(("kind", "most"), [("clip", LENGTH), ("siglip", LENGTH), ("siglip", None),
                                            ("siglip with a mask", LENGTH)])  # fmt: skip
def test_a_text_has_one_vector_beside_whatever_it_stands(
    kind: str, most: int | None, seed: int, tmp_path: Path
) -> None:
    network, words = saved(tmp_path, kind, most, seed)
    encoder = adapters.transformers(path=str(tmp_path))
    together = encoder.encode_texts(TEXTS)
    given = words(TEXTS, padding="max_length", max_length=LENGTH, return_tensors="pt")
    with torch.no_grad():
        expected = network.get_text_features(**{name: given[name] for name in words.model_input_names}).pooler_output
    np.testing.assert_allclose(together, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-2  # vectors of other texts differ by far more than that
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encoder.encode_texts([text])[0], vector, rtol=1e-4, atol=1e-5)
