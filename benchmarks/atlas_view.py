"""How smooth an atlas is in a browser: ``python -m benchmarks.atlas_view INDEX --layer 10 --points 1000000``.

A copy of INDEX, in a folder that is deleted, gets an atlas of so many generated points: 40 round clouds of cells.
Needs Chromium and Playwright, as tests/explorer does. Where there is no GPU, Chromium draws WebGL on the processor; the
first line says by what. Prints

- the time from opening the page, in a browser that has nothing of it, to the frame that shows all points, and the bytes
  that were sent for it, without and with thumbnails of patches;
- frames a second while the atlas is moved at constant speed, and the longest frame; and the time from standing still to
  the frame with all points.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import indexer
from benchmarks.explorer import SCREEN, served
from benchmarks.measure import write_records
from indexer.derive.carried.atlas import Atlas, Recipe
from indexer.jobs.derived.atlas import keep_atlas
from tests.explorer.conftest import BROWSERS, FLAGS

CLOUDS: Final = 40
SECONDS: Final = 5
SHOWN: Final = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  while (!document.querySelector('.atlas canvas')?.dataset.drawn) await frame();
  await frame();
  const sent = performance.getEntriesByType('resource');
  return {
    milliseconds: performance.now(),
    bytes: sent.reduce((total, one) => total + one.transferSize, 0),
    points: sent.filter((one) => one.name.includes('points.npy')).reduce((total, one) => total + one.transferSize, 0),
    drawn: Number(document.querySelector('.atlas canvas').dataset.drawn),
  };
}"""
MOVED: Final = """async (seconds) => {
  const frame = () => new Promise(requestAnimationFrame);
  const canvas = document.querySelector('.atlas canvas');
  const box = canvas.getBoundingClientRect();
  const at = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind, {
    pointerId: 1, isPrimary: true, bubbles: true, clientX: box.left + x, clientY: box.top + box.height / 2,
  }));
  canvas.setPointerCapture = () => {};
  at('pointerdown', box.width / 2);
  let [frames, longest, before] = [0, 0, performance.now()];
  const began = before;
  for (let now = began; now - began < seconds * 1000; now = performance.now()) {
    at('pointermove', box.width / 2 + (box.width / 4) * Math.sin((now - began) / 300));
    await frame();
    frames += 1;
    longest = Math.max(longest, performance.now() - before);
    before = performance.now();
  }
  const while_moving = Number(canvas.dataset.drawn);
  at('pointerup', box.width / 2);
  const stopped = performance.now();
  while (Number(canvas.dataset.drawn) < Number(canvas.dataset.points)) await frame();
  await frame();
  return { frames, longest, settled: performance.now() - stopped, while_moving, milliseconds: stopped - began };
}"""
BY: Final = """() => {
  const gl = document.createElement('canvas').getContext('webgl');
  const about = gl?.getExtension('WEBGL_debug_renderer_info');
  return gl ? gl.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : 'no WebGL';
}"""


@dataclass(frozen=True)
class Seen:
    """What a browser did with an atlas of so many points; times in milliseconds."""

    points: int
    renderer: str
    first_paint: float
    bytes: int
    bytes_of_points: int
    first_paint_with_patches: float
    bytes_with_patches: int
    frames_a_second: float
    longest_frame: float
    drawn_while_moving: int
    until_all_are_drawn: float

    def lines(self) -> list[str]:
        """What to print."""
        return [
            f"{self.points:,} points, drawn by {self.renderer}",
            f"all points shown after {self.first_paint:,.0f} ms, {self.bytes / 1e6:.1f} MB sent "
            f"({self.bytes_of_points / 1e6:.1f} MB of them points)",
            f"with patches after {self.first_paint_with_patches:,.0f} ms, {self.bytes_with_patches / 1e6:.1f} MB",
            f"moving: {self.frames_a_second:.1f} frames/s, the longest {self.longest_frame:,.0f} ms, "
            f"{self.drawn_while_moving:,} points drawn; all again {self.until_all_are_drawn:,.0f} ms after it stopped",
        ]


def browser_path() -> str | None:
    """Where a Chromium is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def with_generated(index: Path, layer: str, points: int) -> None:
    """Give a layer of an index an atlas of so many generated points."""
    rng = np.random.default_rng(0)
    with indexer.open(index) as opened:
        info, ids = opened.layer(layer).info, np.asarray(opened.images.id)
        generation = opened.generation
    cloud = rng.integers(0, CLOUDS, points)
    places = rng.random((CLOUDS, 2))[cloud] + 0.02 * rng.normal(size=(points, 2))
    places -= places.min(axis=0)
    atlas = Atlas(
        images=ids[rng.integers(0, len(ids), points)], cells=rng.integers(0, info.cells, points),
        layout=(places / places.max()).astype(np.float32), neurons=cloud % info.channels,
        fitted=np.ones(points, np.uint8), recipe=Recipe(len(ids), generation, 0, 30, 500, 10), kept=0.0,
        kept_by_pca=0.0,
    )  # fmt: skip
    keep_atlas(index, info, atlas)


def opened_at(browser: Browser, url: str) -> tuple[Page, dict[str, Any]]:
    """A page in a browser without a cache, once all points are shown, and what that took."""
    page = browser.new_context(viewport=SCREEN).new_page()
    page.goto(url, wait_until="commit")
    return page, page.evaluate(SHOWN)


def seen(browser: Browser, url: str, points: int) -> Seen:
    """Open an atlas twice, and move it."""
    page, with_patches = opened_at(browser, url)
    page.context.close()
    page, alone = opened_at(browser, f"{url}?patches=off")
    moved = page.evaluate(MOVED, SECONDS)
    renderer = page.evaluate(BY)
    page.context.close()
    return Seen(
        points, renderer, alone["milliseconds"], alone["bytes"], alone["points"], with_patches["milliseconds"],
        with_patches["bytes"], 1000 * moved["frames"] / moved["milliseconds"], moved["longest"], moved["while_moving"],
        moved["settled"],
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000], help="(%(default)s)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        own = Path(shutil.copytree(options.index, Path(folder) / "own"))
        for points in options.points:
            with_generated(own, options.layer, points)
            with served(own) as address:
                found.append(seen(browser, f"{address}#/own/layers/{options.layer}/atlas", points))
            print("\n".join(found[-1].lines()), flush=True)
        browser.close()
    if options.out:
        write_records(found, options.out)


if __name__ == "__main__":
    main()
