"""One forward pass with hooks on some layers, which ends as soon as all of them have run.

An exception ends the pass, because nothing behind the last layer is needed. Networks catch exceptions, and some then
try again with other arguments. Therefore ``except Exception`` does not catch this one, the first output of a layer
counts, and an error of a hook is kept until the network's code has returned, and raised then.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from indexer.errors import UserCodeFailed
from indexer.receptive_field.parts import Place, place_in
from indexer.system.user_code import of_user

_ENDS = 8
"""How often a pass is ended whose network catches every exception; then it may run to its own end."""

_ONE_AT_A_TIME = "if it takes one image at a time, --batch-size 1 helps"


class _Ended(BaseException):
    """Ends a forward pass."""


def run_pass(
    module: nn.Module, batch: torch.Tensor, layers: Iterable[str], seen: Callable[[str, object], bool]
) -> object:
    """Run a module on a batch; give what it returns, None where the pass ended before.

    Parameters
    ----------
    layers : names of modules within it, or of parts of what they return
    seen : callable (layer, output) -> bool
        Called before anything can change a layer's output; says whether the pass may end. An error that it raises is
        raised from here.

    Raises
    ------
    UserCodeFailed
        The network's own code raised something; the line says what and where.
    """
    running = _Pass(seen)
    # Of nn.Module, because the method of a TorchScript module refuses; the hook runs all the same.
    places = {layer: place_in(module, layer) for layer in layers}
    handles = [
        nn.Module.register_forward_hook(module.get_submodule(place.module), running.hook(layer, place))
        for layer, place in places.items()
    ]
    images, _, height, width = batch.shape
    returned: object = None
    try:
        with of_user(
            f"the network, given {images} images of height {height} and width {width},",
            _ONE_AT_A_TIME if images > 1 else "",
        ):
            returned = module(batch)
    except _Ended:
        pass
    except UserCodeFailed:
        if not running.ended:
            raise
    finally:
        for handle in handles:
            handle.remove()
    if running.error is not None:
        raise running.error
    return returned


class _Pass:
    def __init__(self, seen: Callable[[str, object], bool]) -> None:
        self._seen = seen
        self.ended = 0
        self.error: BaseException | None = None

    def hook(self, layer: str, place: Place) -> Callable[[nn.Module, object, object], None]:
        is_wanted = place.counted()

        def see(module: nn.Module, inputs: object, output: object) -> None:
            if not is_wanted():
                return
            if not self.ended and not self._goes_on(layer, place, output):
                self.ended = 1
            if self.ended and self.ended <= _ENDS:
                self.ended += 1
                raise _Ended

        return see

    def _goes_on(self, layer: str, place: Place, output: object) -> bool:
        try:
            return not self._seen(layer, place.of(output))
        except BaseException as error:
            self.error = error
            return False
