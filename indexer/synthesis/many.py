"""Optimal inputs of many neurons, kept one after another, so that interrupted work goes on where it ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from indexer.errors import InvalidRequest
from indexer.explain.sources import Progress, Stop, never, silent
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.kept import is_kept, keep_optimal
from indexer.synthesis.optimal import Maker, Optimal, optimal_recipe
from indexer.synthesis.recipe import Settings

MOST_AT_ONCE = 256


@dataclass
class Done:
    """What became of the neurons that were asked for.

    Attributes
    ----------
    made : list of Optimal
        Those made now, in order.
    before : list of int
        Neurons whose image was there already.
    unmoved : list of int
        Neurons that nothing can move.
    note : str or None
        See `indexer.synthesis.optimal.Maker`.
    """

    made: list[Optimal] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    unmoved: list[int] = field(default_factory=list)
    note: str | None = None


def make_many(
    index: Index,
    network: Network,
    layer: str,
    neurons: Sequence[int],
    settings: Settings,
    *,
    at_once: int,
    progress: Progress = silent,
    stop: Stop = never,
) -> Done:
    """Make the optimal inputs that are not kept beside an index yet, and keep them.

    Parameters
    ----------
    at_once : int
        How many are made side by side, at most `MOST_AT_ONCE`.
    progress : callable
        Told how many steps are done, and of how many of all images that are to be made.

    Raises
    ------
    NotFound
    InvalidRequest
        ``at_once`` is out of bounds.
    Stopped, BadActivations, ImageUnavailable, UserCodeFailed
    """
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise InvalidRequest(f"batch must be 1 to {MOST_AT_ONCE}, not {at_once}")
    recipes = {neuron: optimal_recipe(index, layer, neuron, settings) for neuron in neurons}
    done = Done(before=[neuron for neuron, recipe in recipes.items() if is_kept(index, layer, recipe)])
    left = [neuron for neuron in recipes if neuron not in set(done.before)]
    maker = Maker(index, network, layer, settings) if left else None
    for first in range(0, len(left), at_once):
        assert maker is not None
        part = left[first : first + at_once]
        for made in maker.make(part, _told(progress, first, len(part), len(left), settings.steps), stop):
            keep_optimal(index, layer, made.neuron, made.png())
            done.made.append(made)
    if maker:
        done.unmoved, done.note = maker.unmoved, maker.note
    return done


def _told(progress: Progress, first: int, count: int, total: int, steps: int) -> Callable[[int], None]:
    return lambda step: progress(first * steps + step * count, total * steps)
