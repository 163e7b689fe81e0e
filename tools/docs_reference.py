"""Write the pages of the documentation that are made from the code: settings, command line, Python.

    python -m tools.docs_reference

`tests/test_docs_reference.py` fails when a committed page is not what this would write.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools import docs_api, docs_cli, docs_settings

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- Made from the code by `make reference`; edit the docstrings there. -->\n\n"
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": docs_settings.page,
    "cli.md": docs_cli.page,
    "python-api.md": docs_api.page,
}


def main() -> None:
    """Write all of them."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(NOTE + page(), encoding="utf-8")


if __name__ == "__main__":
    main()
