"""Shards -> the derived files of a new generation, then the manifest that publishes them."""

import os
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from indexer.derive.carried.files import carried_files
from indexer.derive.executor import Executor, LocalExecutor
from indexer.derive.image_table import ImageTable, write_image_table
from indexer.derive.labels import KEY, Labels, read_labels
from indexer.derive.layer import write_layer
from indexer.derive.nearest.vectors import write_vectors
from indexer.derive.scores.file import key_of as scores_key
from indexer.derive.scores.writing import write_scores
from indexer.derive.sources import Sources, closing_opened, open_shards, opened
from indexer.index import layout
from indexer.index.manifest import Manifest, publish
from indexer.index.score_recipe import ScoreRecipe
from indexer.store import atomic, durable
from indexer.store.storage import Location, storage_at

Report = Callable[[str], None]


def derive_and_publish(
    index: Location,
    manifest: Manifest,
    report: Report = lambda stage: None,
    executor: Executor | None = None,
    labels: Labels | None = None,
    unchanged: Collection[str] = (),
) -> Manifest:
    """Derive everything from the shards that ``manifest`` lists and publish it as the next generation.

    Nothing that is already published changes before the last step. ``executor`` runs the parts; by default this
    process runs them. ``labels`` are the paths and classes that have changed since the shards were written, by default
    those of ``manifest``. The files of ``unchanged`` layers are taken over from the generation of ``manifest``: its
    images must be those of the new one, with the same classes. Returns the manifest as published.
    """
    generation = manifest.generation + 1
    labels = read_labels(index, manifest) if labels is None else labels
    folder = layout.derived_folder(generation)
    (index / layout.DERIVED).mkdir(exist_ok=True)
    atomic.remove_partial(index / layout.DERIVED)
    atomic.remove(index / folder)
    with closing_opened(), atomic.publishing(index.resolve() / folder) as partial:
        partial.mkdir()
        derived = _derive(
            partial, index.resolve(), folder, manifest, labels, report, executor or LocalExecutor(), unchanged
        )
    carried = carried_files(manifest)
    published = replace(
        manifest,
        generation=generation,
        images=derived.images,
        derived={key: f"{folder}/{file}" for key, file in derived.files.items()} | carried,
        checksums={f"{folder}/{file}": digest for file, digest in derived.checksums.items()}
        | {file: manifest.checksums[file] for file in carried.values()},
        vectors=derived.vectors,
        relabelled=derived.relabelled,
        scores=_scored(manifest),
    )
    publish(index, published)
    _forget_old(index, manifest, published)
    return published


@dataclass(frozen=True)
class _Derived:
    images: int
    files: dict[str, str]
    checksums: dict[str, str]
    vectors: dict[str, dict[str, Any]]
    relabelled: int


class _Files:
    """Finished derived files. They are flushed to disk and hashed while the next file is made."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.names: dict[str, str] = {}
        self._folder, self._pool = folder, pool
        self._taken: dict[str, str] = {}
        self._settled: list[tuple[str, Future[str], Future[None]]] = []

    def done(self, key: str, file: str) -> None:
        self.names[key] = file
        path = self._folder / file
        self._settled.append(
            (file, self._pool.submit(atomic.file_sha256, path), self._pool.submit(durable.flush, path))
        )

    def take_over(self, key: str, file: Location, sha256: str) -> None:
        """Take a file of an earlier generation, which stays as it is."""
        self.names[key] = file.name
        self._taken[file.name] = sha256
        local = storage_at(file).local_file(file.name)
        try:
            os.link(local, self._folder / file.name)
        except OSError:  # of another disk, or of one that knows no links
            shutil.copyfile(local, self._folder / file.name)
            durable.flush(self._folder / file.name)

    def checksums(self) -> dict[str, str]:
        for _, _, flushed in self._settled:
            flushed.result()
        return self._taken | {file: digest.result() for file, digest, _ in self._settled}


def _derive(
    partial: Path,
    index: Location,
    folder: str,
    manifest: Manifest,
    labels: Labels,
    report: Report,
    executor: Executor,
    unchanged: Collection[str],
) -> _Derived:
    kinds: dict[str, dict[str, Any]] = {}
    report("image table")
    with open_shards(index, manifest) as shards:
        write_image_table(partial / layout.IMAGES, shards, set(manifest.removed), labels)
    with ThreadPoolExecutor(2) as pool, executor.sharing(partial / layout.IMAGES, index / folder) as table:
        files = _Files(partial, pool)
        files.done("images", layout.IMAGES)
        labels = labels.among(ImageTable(partial, layout.IMAGES).id)
        if labels.changed:
            labels.write(partial / layout.LABELS)
            files.done(KEY, layout.LABELS)
        sources = Sources(index, manifest.configuration, tuple(manifest.shards), table)
        for info in manifest.configuration.layers:
            if info.name in unchanged:
                kinds[info.name] = manifest.vectors[info.name]
                _take_over(files, index, manifest, info.name)
                continue
            report(f"{info.name}: peaks and statistics")
            file, faiss, lists = (layout.layer_file(info.name, suffix) for suffix in (".h5", ".faiss", ".lists"))
            write_layer(partial / file, info, sources, executor)
            files.done(f"layer {info.name}", file)
            report(f"{info.name}: vectors")
            kinds[info.name] = write_vectors(partial / faiss, partial / lists, info, sources, executor)
            files.done(f"vectors {info.name}", faiss)
            if (partial / lists).exists():
                files.done(f"lists {info.name}", lists)
        _score(files, partial, index, manifest, sources, executor, report, unchanged)
        return _Derived(opened(sources).images, files.names, files.checksums(), kinds, len(labels.changed))


def _scored(manifest: Manifest) -> dict[str, ScoreRecipe]:
    """The recipes of scores of which an index still has both layers."""
    layers = {info.name for info in manifest.configuration.layers}
    return {name: recipe for name, recipe in manifest.scores.items() if {name, recipe.by} <= layers}


def _score(
    files: _Files,
    partial: Path,
    index: Location,
    manifest: Manifest,
    sources: Sources,
    executor: Executor,
    report: Report,
    unchanged: Collection[str],
) -> None:
    """Work out the scores of layers that have any, or take them over where nothing on which they depend has changed."""
    infos = {info.name: info for info in manifest.configuration.layers}
    for name, recipe in _scored(manifest).items():
        key = scores_key(name)
        if key in manifest.derived and {name, recipe.by} <= set(unchanged):
            files.take_over(key, index / manifest.derived[key], manifest.checksums[manifest.derived[key]])
            continue
        report(f"{name}: scores")
        file = layout.layer_file(name, ".scores.h5")
        write_scores(partial / file, partial / files.names[f"layer {name}"], infos[name], recipe, sources, executor)
        files.done(key, file)


def _take_over(files: _Files, index: Location, manifest: Manifest, layer: str) -> None:
    for key in (f"{kind} {layer}" for kind in ("layer", "vectors", "lists")):
        if (file := manifest.derived.get(key)) is not None:
            files.take_over(key, index / file, manifest.checksums[file])


def _forget_old(index: Location, previous: Manifest, published: Manifest) -> None:
    """Remove the folders of generations before the previous one, which a reader may be about to open."""
    used = {PurePosixPath(file).parent.name for file in (*previous.derived.values(), *published.derived.values())}
    for folder in (index / layout.DERIVED).iterdir():
        if folder.name.isdigit() and int(folder.name) < published.generation and folder.name not in used:
            atomic.remove(folder)
