"""Every word the paper says, in every language it speaks, and how a sentence takes its values.

A language enters, `PaperWords` leaves. The names and verdicts that page and paper share are the page's; whatever is
said in the paper alone is in `paper_texts_*`. A new language is one more key in `TEXTS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from contrapeso.report.page_words import Words, words_in
from contrapeso.report.paper_texts_en import ENGLISH
from contrapeso.report.paper_texts_pt_br import PORTUGUESE

TEXTS: Mapping[str, Mapping[str, Any]] = {"en": ENGLISH, "pt-BR": PORTUGUESE}

Part = str | dict[str, str]
"""A stretch of a sentence: plain text, or one of `cite`, `math`, `ref`, `code`, `em` with what it names or holds."""

_MARKS = {"@": "cite", "=": "math", "#": "ref"}


@dataclass(frozen=True)
class PaperWords:
    """The texts of one language.

    Attributes:
        page: the page's words, for what both say: names, verdicts, numbers.
        texts: sentences and labels, by name.
        forms: what is counted -> (text for one, text for several).
        settings: setting of a run -> what people call it.
        values: value of a setting -> what people call it.
        checks: check of the audit -> what it looks for.
        check_names: check of the audit -> what people call it.
        statuses: status of a check -> what people call it.
    """

    page: Words
    texts: Mapping[str, str]
    forms: Mapping[str, tuple[str, str]]
    settings: Mapping[str, str]
    values: Mapping[str, str]
    checks: Mapping[str, str]
    check_names: Mapping[str, str]
    statuses: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The text of a label, or of a sentence without values."""
        return self.texts[name]

    def say(self, name: str, **values: Part) -> list[Part]:
        """A sentence with its values, as parts. What stands in a value is never read as a mark."""
        return compose(self.texts[name], values)

    def check(self, name: str) -> str:
        """What people call a check of the audit."""
        return self.check_names.get(name, self.page.name(name))

    def counted(self, what: str, count: int) -> str:
        """How many there are of something: `one database`, `20 databases`."""
        one, several = self.forms[what]
        return one if count == 1 else several.format(n=self.page.count(count))


def paper_words(language: str) -> PaperWords:
    """The texts of a language.

    Raises:
        StudyError: the report does not speak it.
    """
    page = words_in(language)
    found = TEXTS[language]
    return PaperWords(
        page=page,
        texts=found["texts"],
        forms=found["counted"],
        settings=found["settings"],
        values=found["values"],
        checks=found["checks"],
        check_names=found["check_names"],
        statuses=found["statuses"],
    )


def compose(text: str, values: Mapping[str, Part]) -> list[Part]:
    """Cut a text of ours at its marks and put the values in their places.

    Args:
        text: with `{name}` for a value, `{@key}` for a reference, `{=key}` for a formula, `{#label}` for a table or a
            figure.
        values: name -> text, or a part.
    """
    parts: list[Part] = []
    for literal, name, _, _ in Formatter().parse(text):
        if literal:
            parts.append(literal)
        if name:
            parts.append({_MARKS[name[0]]: name[1:]} if name[0] in _MARKS else values[name])
    return parts


def plain(parts: Sequence[Part]) -> str:
    """The text of parts that hold no mark."""
    return "".join(part if isinstance(part, str) else next(iter(part.values())) for part in parts)
