"""Every word the page says, in every language it speaks.

A language enters, `Words` leaves: the texts of that language and its way of writing numbers. Names that a user or a
data set gave, and the audit's own sentences, are shown as they are. A new language is one more key in `TEXTS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contrapeso.errors import StudyError
from contrapeso.report import text
from contrapeso.report.page_texts_en import ENGLISH
from contrapeso.report.page_texts_pt_br import PORTUGUESE

TEXTS: Mapping[str, Mapping[str, Any]] = {"en": ENGLISH, "pt-BR": PORTUGUESE}

# The verdicts of `stats.paired.verdict`, which are English, and the key of their translation.
_VERDICTS = (
    (re.compile(r"gain"), "gain"),
    (re.compile(r"loss"), "loss"),
    (re.compile(r"no difference larger than (?P<points>\S+) points"), "none"),
    (re.compile(r"not distinguishable at this n \(up to (?P<points>\S+) points\)"), "unclear"),
    (re.compile(r"not distinguishable at this n \(up to (?P<nats>\S+) nats per token\)"), "unclear_text"),
    (re.compile(r"not valid: (?P<reason>.*)", re.DOTALL), "withheld"),
)


@dataclass(frozen=True)
class Words:
    """The texts of one language.

    Attributes:
        language: tag as in HTML, e.g. `pt-BR`.
        page: texts of the static page, by name.
        explorer: texts of the item explorer, by name.
        names: what single words of outcomes, checks and tasks are called.
        verdicts: what a comparison may be called.
        decimal: the decimal mark; a comma makes intervals separate their ends by semicolons.
    """

    language: str
    page: Mapping[str, str]
    explorer: Mapping[str, str]
    names: Mapping[str, str]
    verdicts: Mapping[str, str]
    decimal: str

    @property
    def cut(self) -> str:
        """What ends a text that was cut; `{length}` is the length of the whole."""
        return self.page["cut"]

    def name(self, word: str) -> str:
        """A reason, check, level, category or flag as people write it; an unknown one with blanks for underscores."""
        return self.names.get(word, word.replace("_", " "))

    def number(self, text: str) -> str:
        """Formatted numbers with this language's decimal mark: `[1.5, 2.0]` -> `[1,5; 2,0]`."""
        return text if self.decimal == "." else text.replace(", ", "; ").replace(".", self.decimal)

    def standing(self, standing: str) -> str:
        """Where a variant stands among the others: `on the front`, `uncertain`, `dominated by X`."""
        other = standing.removeprefix("dominated by ")
        return self.page["dominated"].format(variant=other) if other != standing else self.name(standing)

    def count(self, count: int) -> str:
        """A whole number with its thousands apart: `14,042`, `14.042`."""
        return f"{count:,}" if self.decimal == "." else f"{count:,}".replace(",", ".")

    def verdict(self, verdict: str) -> str:
        """The verdict of a comparison in this language; one that is not known stays as it is."""
        for pattern, key in _VERDICTS:
            if match := pattern.fullmatch(verdict):
                found = match.groupdict()
                found |= {name: self.number(found[name]) for name in ("points", "nats") if name in found}
                return self.verdicts[key].format(**found)
        return verdict


def words_in(language: str) -> Words:
    """The texts of a language.

    Raises:
        StudyError: the page does not speak it.
    """
    if language not in TEXTS:
        raise StudyError(f"no report in language {language!r}; set report.language to one of {', '.join(TEXTS)}")
    return Words(language=language, **TEXTS[language])


def verdict_sentences(summary: Mapping[str, Any], words: Words) -> list[str]:
    """One sentence for each run or imported adapter that was weighed, or what there is to say when none was.

    In English they are those of `text.verdict_sentences`, which speaks for `report.md` and `summary.json`.
    """
    target, general = summary["facts"]["target"], summary["facts"]["general"]
    names = {"target_task": text.task_name(target), "general_task": text.task_name(general)}
    changes = {(row["variant"], row["task"]): row for row in summary["comparisons"]}
    sentences = []
    for row in summary["tradeoff"]:
        variant = row["variant"]
        if text.on_the_way(summary, variant):
            continue
        if not row["valid"]:
            reason = words.verdict(text.not_valid(row))
            sentences.append(words.page["sentence_withheld"].format(variant=variant, reason=reason))
            continue
        said = names | {
            "variant": variant,
            "target": _change(changes[variant, target], words),
            "general": _change(changes[variant, general], words),
            "rate": words.number(text.rate_cell(row)),
        }
        has_price = row["exchange_rate"] is not None and changes[variant, target]["verdict"] == "gain"
        kind = "sentence_rate" if has_price else "sentence"
        sentences.append(words.page[kind].format(**said))
    return sentences or [words.page["sentence_nothing"]]


def _change(row: Mapping[str, Any], words: Words) -> str:
    """What happened on one task, with the size of it in points."""
    task, (low, high) = text.task_name(row["task"]), row["ci"]
    if row["verdict"] not in ("gain", "loss"):
        return words.page["change_other"].format(verdict=words.verdict(row["verdict"]), task=task)
    ends = (low, high) if row["verdict"] == "gain" else (-high, -low)
    size, interval = (words.number(shown) for shown in (f"{100 * abs(row['delta']):.1f}", text.span(ends)))
    return words.page[f"change_{row['verdict']}"].format(points=size, interval=interval, task=task)
