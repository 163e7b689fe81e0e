"""Links lead somewhere: files and headings exist, addresses elsewhere are well-formed and of hosts we know."""

from urllib.parse import urlsplit

import pytest
from documents import DOCUMENTS, IDS, ROOT, anchors, links

HOSTS = {
    "arxiv.org",
    "colab.research.google.com",
    "github.com",
    "huggingface.co",
    "www.kaggle.com",
    "img.shields.io",
    "yale-lily.github.io",
    "bird-bench.github.io",
    "docs.pytorch.org",
    "people.eecs.berkeley.edu",
}
"""Where documents may lead. A name that is new here is a decision, not an accident."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_link_inside_the_project_leads_to_a_file_and_a_heading(document):
    for target in links(document):
        if urlsplit(target).scheme:
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{document.name}: no file {target}"
        assert not anchor or anchor in anchors(file), f"{document.name}: no heading {target}"


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.parent.name == "docs"], ids=lambda path: path.name)
def test_pages_of_the_site_link_to_pages_of_the_site(document):
    for target in links(document):
        if not urlsplit(target).scheme:
            file = (document.parent / target.partition("#")[0]).resolve()
            assert file.is_relative_to(ROOT / "docs"), f"{document.name}: {target} is not on the site"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_address_elsewhere_is_well_formed_and_of_a_known_host(document):
    for target in links(document):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https" and parts.hostname in HOSTS, f"{document.name}: {target}"
            assert parts.username is None and parts.port is None and parts.path.strip("/"), target


def test_there_are_links_to_check():
    assert sum(len(links(document)) for document in DOCUMENTS) > 80
    assert "compare-two-systems" in anchors(ROOT / "docs" / "scoring.md")
    assert "nope" not in anchors(ROOT / "docs" / "scoring.md")
