"""Formulas in the documentation as MathML: a Markdown extension, so that a page needs no script and no network.

`$...$` in a line and `$$ ... $$` as a paragraph of its own go in, as GitHub reads them too; `<math>` comes out, which
browsers draw by themselves. `mkdocs.yml` names it as `tools.docs_math`.
"""

from __future__ import annotations

from re import Match
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

INLINE = r"(?<![\\$\w])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])"
"""One dollar at each end, not beside a letter, a digit or another dollar: prices and shell prompts are no formulas."""
BEFORE_ESCAPES, BEFORE_PARAGRAPHS = 185, 15
"""Markdown reads inline code at 190 and backslashes at 180; paragraphs at 10."""


def mathml(formula: str, *, display: str = "inline") -> ElementTree.Element:
    """The `<math>` element of a formula in LaTeX."""
    element = ElementTree.fromstring(convert(formula, display=display, xmlns=""))
    for part in element.iter():
        part.tag = part.tag.rpartition("}")[2]
    return element


class InlineFormula(InlineProcessor):
    """A formula in a line."""

    def handleMatch(self, m: Match[str], data: str) -> tuple[ElementTree.Element, int, int]:  # noqa: N802
        """The element, and the part of the text that it replaces."""
        return mathml(m[1]), m.start(0), m.end(0)


class FormulaParagraph(BlockProcessor):
    """A formula that stands alone."""

    def test(self, parent: ElementTree.Element, block: str) -> bool:
        """Whether the block begins and ends with two dollars."""
        text = block.strip()
        return len(text) > 4 and text.startswith("$$") and text.endswith("$$")

    def run(self, parent: ElementTree.Element, blocks: list[str]) -> None:
        """Put the element where the block was; wide ones scroll by themselves."""
        box = ElementTree.SubElement(parent, "div", {"class": "formula"})
        box.append(mathml(blocks.pop(0).strip().strip("$").strip(), display="block"))


class Formulas(Extension):
    """Both kinds."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Register with a Markdown parser."""
        md.inlinePatterns.register(InlineFormula(INLINE, md), "formula", BEFORE_ESCAPES)
        md.parser.blockprocessors.register(FormulaParagraph(md.parser), "formulas", BEFORE_PARAGRAPHS)


def makeExtension(**settings: object) -> Formulas:  # noqa: N802
    """What Markdown calls to load the extension."""
    return Formulas(**settings)
