"""How fast the explorer's wall of neurons is, in a browser: ``python -m benchmarks.explorer FOLDER``.

The index (see `wide_index`) is made under FOLDER. Needs `chromium` and Playwright, as tests/explorer does. Prints

- the time from opening the page in a browser that has nothing of it, to the last picture of the first screen,
- how many of the cards on the screen were without their picture, over all frames of a scroll at constant speed,
- the time until the screen is full again after a jump to the middle and to the end.
"""

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.wide_index import LAYER, make_index

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SCREEN = {"width": 1280, "height": 800}
RUNS = 5
SPEEDS = (500, 1000, 2000)
SCROLL_SECONDS = 6

ON_SCREEN = """
const cards = () => [...document.querySelectorAll('.wall > li')].filter((card) => {
  const box = card.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
});
const blank = (card) => {
  const image = card.querySelector('img');
  return !card.querySelector('.card-dead') && !(image && image.complete && image.naturalWidth);
};
const frame = () => new Promise(requestAnimationFrame);
"""
FULL = (
    "async () => {"
    + ON_SCREEN
    + """
  while (!cards().length || cards().some(blank)) await frame();
  return performance.now();
}"""
)
SCROLL = (
    "async ([speed, seconds]) => {"
    + ON_SCREEN
    + """
  const began = performance.now();
  const from = scrollY;
  let [frames, seen, empty, worst] = [0, 0, 0, 0];
  for (let now = began; now - began < seconds * 1000; now = performance.now()) {
    scrollTo(0, from + (speed * (now - began)) / 1000);
    await frame();
    const shown = cards();
    const without = shown.filter(blank).length;
    frames += 1;
    seen += shown.length;
    empty += without;
    worst = Math.max(worst, without / shown.length);
  }
  return { frames, share: empty / seen, worst };
}"""
)
JUMP = (
    "async (share) => {"
    + ON_SCREEN
    + """
  const began = performance.now();
  scrollTo(0, document.documentElement.scrollHeight * share);
  await frame();
  await frame();
  while (!cards().length || cards().some(blank)) await frame();
  return performance.now() - began;
}"""
)


@contextmanager
def served(index: Path) -> Iterator[str]:
    """Where a service of its own answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service", str(index), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield re.search(r"http://[^/]+/", process.stdout.readline())[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def opened(browser: Browser, url: str) -> tuple[Page, float]:
    """A page in a browser without a cache, and milliseconds until its first screen is full."""
    page = browser.new_context(viewport=SCREEN).new_page()
    page.goto(url, wait_until="commit")
    return page, page.evaluate(FULL)


def main() -> None:
    """Make, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the photographs and the index are kept")
    parser.add_argument("--make-only", action="store_true", help="make the index and stop")
    arguments = parser.parse_args()
    index = make_index(arguments.folder)
    if arguments.make_only:
        return
    with served(index) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        url = f"{address}#/wide/layers/{LAYER}"
        times = []
        for _ in range(RUNS):
            page, milliseconds = opened(browser, url)
            times.append(milliseconds)
            page.context.close()
        print(f"first screen, ms: first {times[0]:.0f}, then median {statistics.median(times[1:]):.0f}, {times}")
        for speed in SPEEDS:
            page, _ = opened(browser, url)
            found = page.evaluate(SCROLL, [speed, SCROLL_SECONDS])
            print(f"scroll at {speed} px/s: {found['frames'] / SCROLL_SECONDS:.0f} frames/s, "
                  f"{found['share']:.1%} of cards without picture, at worst {found['worst']:.0%}")  # fmt: skip
            page.context.close()
        page, _ = opened(browser, url)
        for share in (0.5, 1):
            print(f"jump to {share:.0%}: full after {page.evaluate(JUMP, share):.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
