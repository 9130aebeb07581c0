"""torchvision's classification models, with its weights or random ones."""

from typing import Any, Final

import torch
from torch import nn

from indexer.errors import InvalidRequest, ModelUnavailable
from indexer.index.loading import Loading
from indexer.inputs.forms import from_preset
from indexer.network.loading.made import Made
from indexer.system.torchvision import torchvision
from indexer.system.user_code import of_user

RANDOM_SEED: Final = 0
"""Seed of random weights, so that the same network can be made again."""

# Built without their training-only parts; torchvision's weights of these two expect `transform_input`.
_CONSTRUCTION: Final[dict[str, dict[str, Any]]] = {
    "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": False},
    "inception_v3": {"aux_logits": False, "transform_input": True, "init_weights": False},
}
TRAINING_ONLY: Final = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def weight_names(name: str) -> list[str]:
    """What ``--weights`` may name for a model of torchvision's.

    Raises
    ------
    InvalidRequest
        There is no such model.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise InvalidRequest(
            f"no torchvision classification model is called {name!r}; there are {', '.join(known)}; "
            "your own is named module:factory, a program's file with its folder, as ./net.pt2"
        )
    return ["DEFAULT", *(member.name for member in torchvision.models.get_model_weights(name))]


def make(name: str, weights: str, loading: Loading) -> Made:
    """A model with torchvision's weights of this name, or with random ones for any other name.

    Raises
    ------
    InvalidRequest
        It does not take these arguments.
    ModelUnavailable
        The weights cannot be downloaded.
    """
    members = torchvision.models.get_model_weights(name)
    known = members[weights] if weights in members.__members__ else members.DEFAULT
    if weights in weight_names(name):
        module = _download(name, known, loading.keywords)
    else:
        arguments = _CONSTRUCTION.get(name, {}) | loading.keywords
        with torch.random.fork_rng(devices=[]), of_user(f"{name} with --model-args"):
            torch.manual_seed(RANDOM_SEED)
            module = torchvision.models.get_model(name, weights=None, **arguments)
    return Made(module, from_preset(known.transforms(), "the model's own"), list(known.meta["categories"]))


def _download(name: str, weights: Any, keywords: dict[str, Any]) -> nn.Module:
    try:
        module: nn.Module = torchvision.models.get_model(name, weights=weights, **keywords)
        return module
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(
            f"the weights {weights} could not be downloaded ({type(error).__name__}); "
            "give a state-dict file instead, or --weights none for random ones"
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{name} does not take these --model-args: {error}") from error
