"""Between a network and the configuration that an index records of it."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from indexer.errors import ConfigurationMismatch, DamagedFile, InvalidRequest, ModelUnavailable
from indexer.index.configuration import MAX_CELLS, MAX_NEURONS, MAX_SIDE, Configuration, DictionaryFile, LayerInfo
from indexer.index.loading import is_program
from indexer.network.encoding.encoders import Encoder
from indexer.network.encoding.files import read_dictionary
from indexer.network.forward import Network, device_named
from indexer.network.models import LoadedModel, load_model
from indexer.receptive_field.layout import Layout
from indexer.store.atomic import file_sha256
from indexer.store.remote import parse_location
from indexer.store.storage import storage_at

log = logging.getLogger(__name__)


def configuration_of(
    network: Network, keep_images: bool, dictionaries: Mapping[str, DictionaryFile] = MappingProxyType({})
) -> Configuration:
    """What an index of this network's activations records; ``dictionaries`` has the files of its encoded layers.

    Raises
    ------
    InvalidRequest
        No index can have a layer of that shape.
    """
    layers = tuple(
        LayerInfo(name, *network.shapes[name], trace.field, trace.layout, dictionaries.get(name))
        for name, trace in network.traces.items()
    )
    for layer in layers:
        if not layer.is_possible:
            raise InvalidRequest(
                f"layer {layer.name!r} has {layer.channels} neurons and maps of {layer.height} x {layer.width} cells; "
                f"an index takes {MAX_NEURONS} neurons, {MAX_CELLS} cells and {MAX_SIDE} in a row at most: leave it "
                "out (--layers; --output none, if it is the network's output)"
            )
    model = network.model
    return Configuration(
        model.name, model.weights, model.digest, model.preprocessing, layers, keep_images, network.precision,
        model.loading,
    )  # fmt: skip


def network_of(
    configuration: Configuration, weights: str | None = None, device: str | None = None, model: str | None = None
) -> Network:
    """The network that an index was made with.

    Parameters
    ----------
    configuration : Configuration
    weights : str, optional
        Where its weights are now; by default where they were.
    device : str, optional
    model : str, optional
        By default the recorded name. The recorded name of a person's own model is code to import: a caller that does
        not trust the index must check it first. A program's file is loaded only where it is named here.

    Raises
    ------
    ConfigurationMismatch
        These are other weights than those the index was made with.
    ModelUnavailable, InvalidRequest
    """
    layers = [layer.name for layer in configuration.layers]
    layouts = {layer.name: layer.layout for layer in configuration.layers if layer.layout}
    loaded = _loaded(configuration, weights, model)
    encoders = {layer.name: encoder_of(configuration, layer.dictionary) for layer in configuration.layers
                if layer.dictionary}  # fmt: skip
    return Network(loaded, layers, device_named(device), configuration.precision, layouts, encoders)


def network_with(
    configuration: Configuration,
    layers: Sequence[str],
    layouts: Mapping[str, Layout] | None = None,
    weights: str | None = None,
    device: str | None = None,
    model: str | None = None,
) -> Network:
    """As `network_of`, with these layers in place of those of the index."""
    loaded = _loaded(configuration, weights, model)
    return Network(loaded, layers, device_named(device), configuration.precision, layouts)


def _loaded(configuration: Configuration, weights: str | None, model: str | None) -> LoadedModel:
    if model is None and is_program(configuration.model):
        raise ModelUnavailable(
            f"the index was made with the program {configuration.model}, which is code: it is loaded only if you name "
            "it with --model"
        )
    loaded = load_model(
        model or configuration.model,
        weights or configuration.weights,
        configuration.loading,
        configuration.preprocessing,
    )
    for note in loaded.notes:
        log.info("%s", note)
    if loaded.digest != configuration.weights_digest:
        raise ConfigurationMismatch(
            f"the weights {loaded.weights} are not those of the index: sha256 {loaded.digest[:12]}… here, "
            f"{configuration.weights_digest[:12]}… there"
        )
    return loaded


def encoder_of(configuration: Configuration, dictionary: DictionaryFile) -> Encoder:
    """The encoder of one of an index's dictionaries.

    Raises
    ------
    DamagedFile, NotInstalled
    """
    file = parse_location(configuration.home) / dictionary.file
    local = storage_at(file).local_file(dictionary.file)
    if file_sha256(local) != dictionary.sha256:
        raise DamagedFile(dictionary.file, "is not the dictionary that the manifest lists")
    return read_dictionary(local, dictionary.file).encoder
