"""The documentation site builds without a warning, asks nothing of anybody, and shows formulas without a script."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from xml.etree import ElementTree

import pytest
from documents import ROOT, prose

pytest.importorskip("zensical", reason="the extra docs is not installed")

PAGES = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))
LOADED = re.compile(
    r"<(?:script|img|iframe|source|audio|video)[^>]*\bsrc=[\"']?([^\"'\s>]+)|<link[^>]*\bhref=[\"']?([^\"'\s>]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    for name in ("docs", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("pocket", "__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_every_page_is_built_and_in_the_navigation(site):
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name in PAGES:
        assert (site / f"{name}.html").is_file()
        assert f": {name}.md\n" in config, f"{name}.md is not in the navigation of mkdocs.yml"


def test_no_page_loads_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        for found in LOADED.findall(page.read_text(encoding="utf-8")):
            assert not re.match(r"(https?:)?//", "".join(found)), f"{page.name} loads {found}"
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_every_formula_is_mathml(site):
    source, built = prose(ROOT / "docs" / "method.md"), (site / "method.html").read_text(encoding="utf-8")
    displayed = source.count("$$") // 2
    assert displayed >= 8 and built.count('<math display="block">') == displayed
    assert built.count('<math display="inline">') >= 30
    article = re.search(r"<article.*?</article>", built, re.DOTALL)[0]
    assert "$" not in re.sub(r"<code.*?</code>", "", article, flags=re.DOTALL), "a formula was not recognised"


def test_dollars_that_are_no_formula_stay():
    from markdown import markdown

    page = markdown("From $5 to $6, `$x$` and $p_i$.\n\n$$\n\\frac{1}{2}\n$$\n", extensions=["tools.docs_math"])
    assert "From $5 to $6, <code>$x$</code> and <math" in page and page.count("<math") == 2
    fraction = ElementTree.fromstring(re.search(r'<math display="block">.*?</math>', page)[0]).find(".//mfrac")
    assert ["".join(part.itertext()) for part in fraction] == ["1", "2"]


def test_a_browser_asks_only_the_site_for_anything(site):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here")
    handler = partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_address[1]}/"
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 390, "height": 800})
            asked, complaints = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            for name in PAGES:
                page.goto(f"{here}{name}.html")
                assert page.locator("article h1").first.inner_text()
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            page.goto(f"{here}index.html")
            page.keyboard.press("Control+k")
            page.keyboard.type("exchange rate", delay=20)
            page.get_by_text("How to read a verdict").last.wait_for()
            browser.close()
        server.shutdown()
    assert [url for url in asked if not url.startswith((here, "data:", "blob:"))] == []
    assert complaints == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing about it."""

    def log_message(self, *arguments):
        """Keep the test's output clean."""
