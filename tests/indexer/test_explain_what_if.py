"""What-ifs and importance over an index, against hooks on plain passes over the original images."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import indexer
from indexer.derive.scores import measures
from indexer.dictionaries.learn import Recipe
from indexer.errors import ImageUnavailable, InvalidRequest, NotFound, Stopped
from indexer.explain.edits import Edit
from indexer.explain.group import why_group
from indexer.explain.importance import importance
from indexer.explain.outputs import output_named
from indexer.explain.sources import spread
from indexer.explain.what_if import Changed, WhatIf, what_if
from indexer.explain.why import why
from indexer.jobs.build import build
from indexer.jobs.derived.dictionary import learn_into
from indexer.jobs.derived.scores import work_out_scores
from indexer.jobs.layers import drop_layers
from indexer.network.encoding.files import read_dictionary
from indexer.network.forward import Network
from indexer.query.index import Index
from tests.conftest import build_request, write_photos
from tests.explained_models import made

COUNT = 18
CLASSES = ("0", "1", "2", "zebra")
"""Three that stand for the outputs of their numbers, and one that stands for none."""


def build_own(images: Path, out: Path, net: str, outputs: int = 3) -> Path:
    arguments = (("net", json.dumps(net)), ("outputs", str(outputs)))
    build(out, build_request(
        images, model="tests.explained_models:made", weights="none", layers=("a", "b", "head"), preprocessing={},
        loading=indexer.index.loading.Loading(arguments=arguments),
    ))  # fmt: skip
    return out


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=6, count=COUNT, classes=CLASSES)


class Case:
    """An index, its network, and a plain one."""

    def __init__(self, path: Path, net: str, photos: Path) -> None:
        self.index = indexer.open(path)
        self.network: Network = self.index.network()
        self.module = made(net)[0].eval()
        records = self.index.find_images(limit=100).items
        self.ids = [record.id for record in records]
        self.own = np.array([-1 if record.class_ == "zebra" else int(record.class_) for record in records])
        self.inputs = [self._input(photos / record.path) for record in records]

    def _input(self, path: Path) -> torch.Tensor:
        picture = Image.open(path).convert("RGB").resize((36, 24), Image.Resampling.BILINEAR)
        return (torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25

    def plain(self, layer: str, change: Callable[[torch.Tensor], None] | None = None) -> np.ndarray:
        """The outputs (N, O) of plain passes over the originals; ``change`` works in place on a copy of the layer's."""

        def hook(part: object, given: object, returned: torch.Tensor) -> torch.Tensor:
            copied = returned.clone()
            if change is not None:
                change(copied)
            return copied

        handle = self.module.get_submodule(layer).register_forward_hook(hook)
        with torch.no_grad():
            outputs = torch.cat([self.module(each) for each in self.inputs]).numpy()
        handle.remove()
        return outputs


@pytest.fixture(scope="module", params=["Net", "Residual", "Concatenating"])
def case(request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    path = build_own(photos, tmp_path_factory.mktemp("indexes") / "own", request.param)
    found = Case(path, request.param, photos)
    with found.index:
        yield found


def edited(case: Case, layer: str) -> tuple[list[Edit], Callable[[torch.Tensor], None]]:
    """One edit of each kind, and the same by hand."""
    mean = float(np.mean(np.concatenate([case.index.activation_maps(id, layer)[3].ravel() for id in case.ids])))

    def change(maps: torch.Tensor) -> None:
        maps[:, 0] = 0
        maps[:, 1] *= -2.5
        maps[:, 2] = torch.minimum(maps[:, 2], torch.tensor(0.1))
        maps[:, 3] = mean

    return [Edit(0), Edit(1, "scale", -2.5), Edit(2, "clamp", 0.1), Edit(3, "mean")], change


def check(case: Case, result: WhatIf, before: np.ndarray, after: np.ndarray, rows: np.ndarray) -> None:
    """Accuracy, recall, confusion and changed answers by their definitions."""
    own, first, second = case.own[rows], before[rows].argmax(1), after[rows].argmax(1)
    judged = own >= 0
    assert (result.images, result.judged) == (len(rows), judged.sum())
    assert [each.class_ for each in result.classes] == ["0", "1", "2"]
    assert result.unmatched == ["zebra"]
    for answers, accuracy, matrix, recalls in (
        (first, result.accuracy_before, result.confusion_before, [each.recall_before for each in result.classes]),
        (second, result.accuracy_after, result.confusion_after, [each.recall_after for each in result.classes]),
    ):
        assert accuracy == pytest.approx((answers == own)[judged].mean()) if judged.any() else accuracy is None
        for a in range(3):
            of_class = answers[own == a]
            assert matrix[a] == [int((of_class == b).sum()) for b in range(3)]
            assert recalls[a] == (pytest.approx((of_class == a).mean()) if len(of_class) else None)
    expected = [
        (case.ids[row], b, a, "wrong" if b == own[n] else "right" if a == own[n] else "other")
        for n, (row, b, a) in enumerate(zip(rows, first, second, strict=True)) if b != a
    ]  # fmt: skip
    found = [(each.image, each.before, each.after, each.turned) for each in result.changed]
    assert found == expected
    assert all(isinstance(each, Changed) and each.after_name == str(each.after) for each in result.changed)


@pytest.mark.parametrize("layer", ["a", "b"])
def test_an_exact_what_if_is_that_of_hooks_over_the_originals(case: Case, layer: str) -> None:
    edits, change = edited(case, layer)
    result = what_if(case.index, case.network, layer, edits, exact=True)
    assert result.exact
    assert result.rounding_before is result.rounding_after is None
    check(case, result, case.plain(layer), case.plain(layer, change), np.arange(COUNT))
    of_one = what_if(case.index, case.network, layer, edits, class_="1", exact=True)
    check(case, of_one, case.plain(layer), case.plain(layer, change), np.flatnonzero(case.own == 1))
    of_none = what_if(case.index, case.network, layer, edits, class_="zebra", exact=True)
    check(case, of_none, case.plain(layer), case.plain(layer, change), np.flatnonzero(case.own == -1))
    assert json.loads(json.dumps(result.as_dict()))["classes"][0]["class"] == "0"


@pytest.mark.parametrize("layer", ["a", "b"])
def test_from_kept_maps_outputs_are_within_the_stated_difference(case: Case, layer: str, monkeypatch) -> None:
    """The outputs themselves are seen where they are compared."""
    seen = []
    from indexer.explain import what_if as module

    compared = module.compared
    monkeypatch.setattr(module, "compared", lambda mine, theirs: seen.append((mine, theirs)) or compared(mine, theirs))
    edits, change = edited(case, layer)
    result = what_if(case.index, case.network, layer, edits)
    if not result.exact:
        assert result.way.startswith("from kept maps of a" if layer == "a" else "from kept maps of")
        (before, kept), (after, exact) = seen
        np.testing.assert_allclose(kept, case.plain(layer), atol=1e-5)
        np.testing.assert_allclose(exact, case.plain(layer, change)[spread(np.arange(COUNT), 8)], atol=1e-5)
        assert np.abs(before - case.plain(layer)).max() <= result.rounding_before.largest + 1e-5
        assert np.abs(after - exact).max() <= result.rounding_after.largest + 1e-5
        assert 0 < result.rounding_before.largest < 1e-2
        assert (result.rounding_before.images, result.rounding_after.images) == (COUNT, 8)
    else:
        assert result.way == f"from the originals: paths of the network lead past {layer}"


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("edits", [[], [Edit(2, "scale", 1.0), Edit(1, "clamp", 1e30)]])
def test_a_what_if_that_edits_nothing_changes_nothing(case: Case, edits: list[Edit], exact: bool) -> None:
    result = what_if(case.index, case.network, "b", edits, exact=exact)
    assert result.changed == []
    assert result.accuracy_before == result.accuracy_after
    assert result.confusion_before == result.confusion_after


def test_importance_is_that_of_hooks(case: Case) -> None:
    rows = spread(np.flatnonzero(case.own >= 0), 9)
    steps: list[tuple[int, int]] = []
    result = importance(
        case.index, case.network, "b", images=9, neurons=[4, 0, 2], progress=lambda *step: steps.append(step)
    )
    assert result.image_ids == [case.ids[row] for row in rows]
    assert (result.images, result.of) == (9, int((case.own >= 0).sum()))
    assert steps == [(n, 9) for n in range(1, 10)]
    own, before = case.own[rows], case.plain("b")[rows]
    assert result.accuracy == pytest.approx((before.argmax(1) == own).mean())
    assert sorted(each.neuron for each in result.neurons) == [0, 2, 4]
    keys = [(each.accuracy, each.own_output) for each in result.neurons]
    assert keys == sorted(keys)
    for each in result.neurons:
        after = case.plain("b", lambda maps, neuron=each.neuron: maps[:, neuron].zero_())[rows]
        change = (after.argmax(1) == own).astype(float) - (before.argmax(1) == own)
        value = after[np.arange(9), own].astype(float) - before[np.arange(9), own]
        assert each.accuracy == pytest.approx(change.mean())
        assert each.accuracy_error == pytest.approx(change.std(ddof=1) / 3)
        assert each.own_output == pytest.approx(value.mean(), abs=2e-3)
        assert each.own_output_error == pytest.approx(value.std(ddof=1) / 3, abs=2e-3)
        assert each.changed == (after.argmax(1) != before.argmax(1)).sum()


def test_a_group_is_the_mean_of_its_images(case: Case) -> None:
    ids = [case.ids[n] for n in (3, 4, 8, 17)]
    group = why_group(case.index, case.network, "b", images=[*ids, ids[0]], for_="1", against="0", limit=6)
    each = [why(case.index, case.network, id, "b", for_="1", against="0", limit=6) for id in ids]
    assert (group.images, group.of, group.image_ids) == (4, 4, ids)
    assert group.value == pytest.approx(np.mean([one.said.value for one in each]), abs=1e-5)
    for pushing in (*group.up, *group.down):
        own = [one for said in each for one in (*said.said.up, *said.said.down) if one.neuron == pushing.neuron]
        contributions = [one.contribution for one in own] + [0.0] * (4 - len(own))
        assert pushing.contribution == pytest.approx(np.mean(contributions), abs=1e-5)
        assert pushing.contribution_error == pytest.approx(np.std(contributions, ddof=1) / 2, abs=1e-5)
        if len(own) == 4:
            assert pushing.effect == pytest.approx(np.mean([one.effect for one in own]), abs=1e-5)
    said = [pushing.contribution for pushing in group.up]
    assert said == sorted(said, reverse=True)


def test_what_a_group_is_explained_for(case: Case) -> None:
    answers = case.plain("b").argmax(1)
    a, b = next((own, said) for own, said in zip(case.own, answers, strict=True) if own >= 0 and own != said)
    pair = why_group(case.index, case.network, "b", class_=str(a), answered=str(b), limit=1)
    assert (pair.for_.output, pair.against.output) == (b, a)
    assert pair.of == ((case.own == a) & (answers == b)).sum()
    answered = why_group(case.index, case.network, "b", answered=str(b), limit=1, sample=2)
    assert (answered.for_.output, answered.against) == (b, None)
    assert (answered.images, answered.of) == (2, (answers == b).sum())
    assert why_group(case.index, case.network, "b", class_="2", limit=1, sample=1).for_.output == 2
    assert why_group(case.index, case.network, "b", class_="zebra", limit=1, sample=1).for_ is None
    with pytest.raises(InvalidRequest, match="name the group"):
        why_group(case.index, case.network, "b")
    with pytest.raises(InvalidRequest, match="not both"):
        why_group(case.index, case.network, "b", images=case.ids[:1], class_="1")


@pytest.mark.parametrize(
    ("edits", "error", "message"),
    [
        ([Edit(6)], NotFound, "layer b has the neurons 0 to 5, not 6"),
        ([Edit(1, "mute")], InvalidRequest, "an edit is one of silence, scale, clamp, mean, not 'mute'"),
        ([Edit(1, "scale")], InvalidRequest, "neuron 1: scale needs a finite number, not None"),
        ([Edit(1, "clamp", float("nan"))], InvalidRequest, "clamp needs a finite number, not nan"),
        ([Edit(1, "silence", 3.0)], InvalidRequest, "silence takes no value, and 3.0 was given"),
        ([Edit(1), Edit(1, "mean")], InvalidRequest, "neuron 1 is edited twice"),
    ],
)
def test_edits_that_cannot_be_are_refused(case: Case, edits: list[Edit], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        what_if(case.index, case.network, "b", edits)


def test_work_is_stopped_when_it_is_told(case: Case) -> None:
    for work in (
        lambda: what_if(case.index, case.network, "b", [Edit(0)], stop=lambda: True),
        lambda: importance(case.index, case.network, "b", stop=lambda: True),
        lambda: why_group(case.index, case.network, "b", class_="1", stop=lambda: True),
    ):
        with pytest.raises(Stopped):
            work()


def test_one_output_gives_no_answers_but_a_why(tmp_path: Path, photos: Path) -> None:
    with indexer.open(build_own(photos, tmp_path / "index", "Residual", outputs=1)) as index:
        network, image = index.network(), int(index.images.id[2])
        with pytest.raises(InvalidRequest, match="the network has one output, layer head, so there are no answers"):
            what_if(index, network, "b", [Edit(0)])
        said = why(index, network, image, "b").as_dict()
        assert said["for"] == said["answer"] == {"output": 0, "name": "0"}
        assert (len(said["heat"]["y"]), len(said["heat"]["x"])) == (12, 18)
        with pytest.raises(NotFound, match="has the outputs 0 to 0, not 1"):
            why(index, network, image, "b", for_="1")


def test_an_atom_that_is_silenced_is_its_part_taken_off(tmp_path: Path, photos: Path) -> None:
    path = build_own(photos, tmp_path / "own", "Net")
    learn_into(path, "few", Recipe("a", "sae", 5, cells=400, k=2, steps=60, rate=5e-3))
    with Case(path, "Net", photos).index as index:
        case = Case(path, "Net", photos)
        file = index.layer("a~few").info.dictionary.file
        encoder = read_dictionary(path / file, file).encoder

        def change(maps: torch.Tensor) -> None:
            codes = encoder(maps)
            for atom, factor in ((1, -1.0), (3, 1.5)):
                maps += factor * codes[:, atom, None] * encoder.atoms[atom][None, :, None, None].float()

        edits = [Edit(1), Edit(3, "scale", 2.5)]
        result = what_if(index, case.network, "a~few", edits, exact=True)
        check(case, result, case.plain("a"), case.plain("a", change), np.arange(COUNT))
        kept = what_if(index, case.network, "a~few", edits)
        assert kept.way == "from kept maps of a"
        assert kept.rounding_after.largest < 1e-2
        assert what_if(index, case.network, "a~few", []).changed == []
        said = why(index, case.network, case.ids[0], "a~few").as_dict()
        assert said["neurons"] == 5
        alone = {each["neuron"]: each["effect"] for each in (*said["up"], *said["down"])}
        assert alone
        found = importance(index, case.network, "a~few", images=4)
        assert (found.way, len(found.neurons)) == ("from kept maps of a", 5)
        for each in found.neurons:
            own = what_if(index, case.network, "a~few", [Edit(each.neuron)])
            changed = {one.image for one in own.changed} & set(found.image_ids)
            assert each.changed == len(changed)
        group = why_group(index, case.network, "a~few", class_="1", sample=2)
        assert group.as_dict()["neurons"] == 5
    work_out_scores(path, "a~few", "b", patches=4, pool="image")
    with indexer.open(path) as index:
        scores = index.layer("a~few").scored()
        for atom in range(5):
            top = index.top_patches("a~few", atom, limit=4, min=1e-30).items
            vectors = np.array([index.activation_maps(patch.image.id, "b").mean(axis=(1, 2)) for patch in top])
            assert scores.clarity[atom] == pytest.approx(measures.clarity(vectors), abs=1e-5, nan_ok=True)
    drop_layers(path, ["a"])
    with indexer.open(path) as index, pytest.raises(InvalidRequest, match="python -m indexer add-layers INDEX a"):
        why(index, index.network(), case.ids[0], "a~few")


def test_originals_that_are_gone_are_named_where_they_are_needed(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=1, count=6, classes=("0", "2"))
    with indexer.open(build_own(photos, tmp_path / "index", "Net")) as index:
        network = index.network()
        photos.rename(tmp_path / "elsewhere")
        result = what_if(index, network, "b", [Edit(0)])
        assert (result.rounding_before.images, result.rounding_after) == (6, None)
        with pytest.raises(ImageUnavailable, match="is no longer there"):
            what_if(index, network, "b", [Edit(0)], exact=True)
        with pytest.raises(ImageUnavailable):
            why(index, network, int(index.images.id[0]), "b")


def test_more_categories_than_classes_and_none_that_match(index: Index) -> None:
    """A thousand outputs, and classes that stand for none of them."""
    network = index.network()
    result = what_if(index, network, "features.12", [Edit(3), Edit(5, "scale", 40.0)])
    assert (result.judged, result.accuracy_before, result.classes) == (0, None, [])
    assert result.unmatched == ["birds", "boats"]
    assert all(each.turned == "other" for each in result.changed)
    with pytest.raises(NotFound, match="no image's class stands for an output"):
        importance(index, network, "features.12", images=1)
    with pytest.raises(NotFound, match="has the outputs 0 to 999, not 1000"):
        why(index, network, 0, "features.12", for_="1000")
    with pytest.raises(NotFound, match="'nonsense' is neither the number nor the name of an output"):
        why(index, network, 0, "features.12", for_="nonsense")
    with pytest.raises(InvalidRequest, match="holds the network's outputs themselves"):
        why(index, network, 0, "classifier")


def test_outputs_are_named_by_number_class_or_category(case: Case) -> None:
    known = list(case.index.manifest.categories)

    def rename(*categories: str) -> None:
        case.index.manifest.categories[:] = categories
        case.index.kept.clear()  # the names of an open index never change, so what follows from them is kept

    try:
        rename("cat", "dog", "cat")
        assert [output_named(case.index, text) for text in ("2", "dog")] == [2, 1]
        with pytest.raises(InvalidRequest, match="'cat' is the name of the outputs 0, 2; give the number of one"):
            output_named(case.index, "cat")
        rename("zebra", "dog", "cat")
        assert output_named(case.index, "zebra") == 0, "it is a class too"
    finally:
        rename(*known)
