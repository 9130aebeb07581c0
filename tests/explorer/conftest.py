"""A real browser in front of a real service: Debian's Chromium, driven by Playwright, over `small_index`.

Its headless shell, which has no windows to draw, takes a third of the time of the whole browser.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.waiting import wait_until

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
BOTH = [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone", marks=pytest.mark.slow)]
LAYER = "features.12"
PATIENCE_MS = 60_000
"""How long a step may take before a test fails; ample, as the first upload loads the network."""


@pytest.fixture(scope="package")
def chromium() -> str:
    """The browser's path. Without it the tests are skipped, but in CI they fail."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"there is no Chromium; on Debian: apt-get install {BROWSERS[0]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Closed after these tests: Playwright's event loop would be in the way of others'."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[str]:
    """Where `python -m service` answers about a folder, while it lasts."""
    options = ["--port", "0", "--workers", "1", "--forward-wait", "120", *flags]
    process = subprocess.Popen(
        [sys.executable, "-m", "service", str(folder), *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        found = re.search(r"http://[^/]+/", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="package")
def address(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `small_index` is served under two names: "small" and "twin"."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("small", "twin"):
        (folder / name).symlink_to(small_index)
    with served(folder, "--results", str(folder / "results")) as address:
        yield address


class Visit:
    """One person's browser.

    Attributes
    ----------
    page : Page
    errors : list of str
        What the console said and what failed, but for what a test provoked.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.address = address
        self.said: list[str] = []
        self.provoked: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.said.append(text)

    @property
    def errors(self) -> list[str]:
        return [error for error in self.said if not any(text in error for text in self.provoked)]

    def open(self, fragment: str = "") -> Page:
        self.page.goto(f"{self.address}{fragment}")
        return self.page

    def expect_error(self, text: str) -> None:
        """Let errors that a test provoked pass from here on; fails where none comes.

        A page asks for several things at once, so that the same error may come again a moment later.
        """
        # The browser's events come while Playwright waits.
        wait_until(lambda: any(text in error for error in self.said) or self.page.wait_for_timeout(20))
        self.provoked.append(text)

    def check(self) -> None:
        """No errors, and nothing asked from another host."""
        assert self.errors == []
        hosts = {urlsplit(url).netloc for url in self.requests if not url.startswith(("blob:", "data:"))}
        assert hosts <= {urlsplit(self.address).netloc}


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """A browser of its own, checked at the end; nothing turns in it, as drawing that takes a core."""
    context = browser.new_context(**({"reduced_motion": "reduce"} | options))
    visit = Visit(context, address)
    yield visit
    context.close()
    visit.check()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        yield visit
