"""A shortcut that was planted is found from the mistakes alone, and gone when its neurons are silenced."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import indexer
from examples.shortcut import TELLS, how_many, marked_images, silenced, suspicion, telling
from indexer.query.index import Index
from indexer.query.learning.report import report
from indexer.query.learning.report_text import to_markdown
from indexer.query.learning.shortcuts.hints import ONE_PLACE, PART_OF_CLASS, hints
from tests.marked import CHANNELS, LAYER, MARKED, build_marked


@pytest.fixture(scope="module", params=[(0, 0.5, 0.3), pytest.param((1, 0.4, 0.4), marks=pytest.mark.slow)])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Of a network that has learned the mark; images of its class carry it more often than others, or as often."""
    with indexer.open(build_marked(tmp_path_factory.mktemp("marked"), *request.param)) as opened:
        yield opened


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    path = build_marked(tmp_path_factory.mktemp("plain"), 0, own=0, others=0, in_training=0)
    with indexer.open(path) as opened:
        yield opened


def test_a_planted_shortcut_is_found_and_silenced(index: Index) -> None:
    network, marked = index.network(), marked_images(index)
    found = suspicion(index, network, LAYER, limit=6)
    assert found.class_ == MARKED
    assert len(set(found.mistakes) & set(marked)) > 0.8 * len(found.mistakes)
    aucs = telling(index, LAYER, marked)
    assert sum(aucs[neuron] >= TELLS for neuron in found.neurons(5)) >= 4
    count = how_many(index, network, LAYER, found)
    before = silenced(index, network, LAYER, [], MARKED, marked)
    after = silenced(index, network, LAYER, found.neurons(count), MARKED, marked)
    others = [neuron for neuron in range(CHANNELS) if neuron not in found.neurons(6)][:count]
    control = silenced(index, network, LAYER, others, MARKED, marked)
    assert before.answered_so > 0.8
    assert after.answered_so <= before.answered_so - 0.4
    assert after.clean >= before.clean - 0.06  # six are a fifth of this layer, which is small
    assert control.answered_so > 0.8


def test_marked_images_are_told_by_the_auc_of_their_peaks(index: Index) -> None:
    marked = marked_images(index)
    rows = [index.images.find_id(image) for image in marked]
    is_marked = np.zeros(len(index.images), bool)
    is_marked[rows] = True
    peaks = np.asarray(index.layer(LAYER).peaks)
    for neuron, auc in telling(index, LAYER, marked).items():
        assert auc == pytest.approx(roc_auc_score(is_marked, peaks[neuron]))


def test_neurons_that_are_hinted_at_tell_marked_images(index: Index) -> None:
    aucs, found = telling(index, LAYER, marked_images(index)), report(index)
    assert found["hints"]
    for hint in found["hints"]:
        assert hint["layer"] == LAYER
        assert aucs[hint["neuron"]] >= TELLS
        assert hint["text"] in to_markdown(found).replace("\\", "")
    marked = [index.image(image).class_ for image in marked_images(index)]
    kind = PART_OF_CLASS if marked.count(MARKED) > marked.count("blue") else ONE_PLACE
    assert kind in {hint["kind"] for hint in found["hints"]}
    assert any("Hints" in sentence for sentence in found["findings"])


def test_a_network_without_a_shortcut_gives_no_hint(plain: Index) -> None:
    assert hints(plain) == []
    assert report(plain)["hints"] == []
