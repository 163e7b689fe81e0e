"""Decide whether a predicted query gave what the gold query gave, by three rules.

Results of the sandbox enter, verdicts leave.

* `unordered`, the headline: the same bag of rows, row order ignored, columns matched up to permutation.
* `spider`: the verdict of the official evaluator (github.com/taoyds/test-suite-sql-eval, `eval_exec_match` with
  plug_value=False and keep_distinct=False, one database), quirks included, from queries put into `official_form`.
* `strict`: columns as written, and rows in the gold's order when the gold orders them.

A prediction that fails is wrong by every rule, also when the gold result is empty.

Where `spider` answers and the official evaluator does not, or not safely; each is wrong here unless said otherwise:

* blank text: there an IndexError. (Comments or a lone `;` run there and give no rows, and so they do here.)
* statements that are no query (DROP, INSERT, PRAGMA, ATTACH, EXPLAIN): there they are carried out, on a file that can
  be written to, and match an empty gold result; here refused.
* queries past the limits of the sandbox, or with `randomblob`, which it denies: there they run, for hours if need be,
  since its time limit cannot interrupt SQLite.
* wide results whose columns are alike: there all orders of the columns are tried (nine columns of NULL are 387 million,
  20 never end); here the search is refined (`matching.py`) and agrees wherever the other one ends, but for tables built
  to spend its budget, which are wrong.
* queries of more than 10,000 tokens or parentheses 100 deep: there an error of its parser; here judged like others.
* a word DISTINCT or GO behind `@`, `$`, `:`, `#` or a backslash, where SQLite takes none: there it is kept, here it is
  read as a word; the query fails either way.
* queries with random(): there gold and prediction draw each their own; here a prediction written like the gold is run
  once with it, and right.
* a gold query that does not run: there an AssertionError ends the whole evaluation; here that item alone is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from contrapeso.sql.matching import Budget, Permutation, find_permutation, number_cells, permuted
from contrapeso.sql.sandbox import BrokenText, Result
from contrapeso.sql.tokens import first_word, orders_rows, tokenize
from contrapeso.sql.tolerance import cells_match, coarse_cells, rows_pair_up

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)
# What the official evaluator takes for one token. Unlike SQLite it lets a backslash keep a quote inside its literal.
_OFFICIAL_TOKEN = re.compile(
    r"""\s+|(?:--|\#\ )[^\r\n]*|/\*.*?(?:\*/|\Z)
      | '[^'\\]*(?:(?:''|\\'|\\)[^'\\]*)*' | "[^"\\]*(?:(?:""|\\"|\\)[^"\\]*)*"
      | `[^`]*` | (?<![\w\])])\[[^][]+\] | 0[xX][\da-fA-F]+ | \d+(?:\.\d+)?[eE]-?\d+
      | (?P<name>GO(?=\s*\.|\()|(?<=\.)GO(?!\w)) | \w[\w$\#]* | .""",
    re.VERBOSE | re.DOTALL,
)
# Blanks and one-line comments behind a semicolon belong to its statement, `# ` included, which SQLite does not know.
_REST_OF_LINE = re.compile(r"(?:[^\S\r\n]|(?:--|# )[^\r\n]*[\r\n]?)*")
_MAY_CHANGE = re.compile("distinct|;|GO", re.IGNORECASE)  # most queries hold none of them and need no tokens
_MAY_SAY_NOTHING = ("", "-", "/", ";", "\ufeff")
_REPLACEMENT = "\ufffd"  # in every `BrokenText`, and perhaps in sound text
_NO_ROWS = "SELECT NULL WHERE 0"


def equivalent_unordered(gold: Result, predicted: Result) -> bool:
    """Whether two results are the same bag of rows for some order of the columns.

    Duplicates count; row order does not. 1 equals 1.0 and two numbers of which one is a float equal within a relative
    1e-6; text never equals a number; NULL equals NULL only; blobs equal byte by byte. Two empty results are the same
    when they have as many columns. Rows are paired one to one, so tolerance cannot make one row stand for two.

    Args:
        gold: what the gold query gave.
        predicted: what the predicted query gave.

    Returns:
        False also when either query failed, and for tables so alike that `matching.Budget` is spent on them.
    """
    if not _comparable(gold, predicted):
        return False
    if gold.rows == predicted.rows or _same_bag(gold, predicted):
        return True
    coarse = coarse_cells(gold.rows, predicted.rows)
    if coarse is None:
        return False
    first, second = coarse
    budget = Budget.for_tables(len(gold.rows), gold.columns)

    def pairs_up(permutation: Permutation) -> bool:
        return rows_pair_up(
            (gold.rows, first),
            (_reordered(predicted.rows, permutation), permuted(second, permutation)),
            budget=budget,
        )

    return find_permutation(first, second, budget=budget, accept=pairs_up) is not None


def equivalent_strict(gold: Result, predicted: Result, *, ordered: bool) -> bool:
    """Whether two results agree with columns as written, and rows in order where the gold orders them.

    Args:
        gold: what the gold query gave.
        predicted: what the predicted query gave.
        ordered: whether the gold query itself ends in ORDER BY. Rows it leaves tied count as ordered too.

    Returns:
        False also when either query failed or the budget is spent. Cells compare as in `equivalent_unordered`.
    """
    if not _comparable(gold, predicted):
        return False
    if gold.rows == predicted.rows:
        return True
    if ordered:
        return all(all(map(cells_match, left, right)) for left, right in zip(gold.rows, predicted.rows, strict=True))
    if Counter(gold.rows) == Counter(predicted.rows):
        return True
    coarse = coarse_cells(gold.rows, predicted.rows)
    if coarse is None:
        return False
    first, second = coarse
    budget = Budget.for_tables(len(gold.rows), gold.columns)
    return Counter(first) == Counter(second) and rows_pair_up(
        (gold.rows, first), (predicted.rows, second), budget=budget
    )


def equivalent_spider(gold: Result, predicted: Result, *, ordered: bool) -> bool:
    """The official evaluator's verdict on the results of two queries in `official_form`.

    It compares exactly, up to a permutation of the columns, and calls any two empty results equal. Before that it
    sorts the cells of each row by their text and type and compares the rows cell by cell, which wrongly rejects some
    results that mix 1 with 1.0 across columns; repeated here.

    Args:
        gold: what the gold query gave in its official form.
        predicted: what the predicted query gave in its official form.
        ordered: whether the letters "order by" occur anywhere in the gold query.

    Returns:
        The verdict; False also when either query failed.
    """
    if not (gold.ok and predicted.ok):
        return False
    if not gold.rows and not predicted.rows:
        return True
    if not _comparable(gold, predicted):
        return False
    if gold is predicted:
        return True
    as_text = repr(gold.rows), repr(predicted.rows)
    if any(_REPLACEMENT in text for text in as_text):
        gold, predicted = _without_broken_bytes(gold), _without_broken_bytes(predicted)
        as_text = repr(gold.rows), repr(predicted.rows)
    if as_text[0] == as_text[1]:  # alike to the type of each cell, as most are
        return True
    left, right = [list(map(_official_sort, result.rows)) for result in (gold, predicted)]
    if ordered:
        if left != right:
            return False
        columns = [Counter(zip(*result.rows, strict=True)) for result in (gold, predicted)]
        return columns[0] == columns[1]
    return set(left) == set(right) and _same_bag(gold, predicted)


def judge(
    gold: Result, predicted: Result, *, gold_sql: str, official_gold: Result, official_predicted: Result
) -> dict[str, bool]:
    """Verdicts by all three rules.

    Args:
        gold: what the gold query gave as written.
        predicted: what the predicted query gave as written.
        gold_sql: the gold query, which says whether row order counts.
        official_gold: what the gold query gave in its `official_form`.
        official_predicted: what the predicted query gave in its `official_form`.

    Returns:
        The keys `unordered`, `spider` and `strict`.
    """
    official_order = "order by" in official_form(gold_sql).lower()
    order = "order" in gold_sql.lower() and orders_rows(tokenize(gold_sql))
    unordered = equivalent_unordered(gold, predicted)
    return {
        "unordered": unordered,
        "spider": equivalent_spider(official_gold, official_predicted, ordered=official_order),
        "strict": unordered and equivalent_strict(gold, predicted, ordered=order),  # it implies the other
    }


@lru_cache(maxsize=1024)
def official_form(sql: str) -> str:
    """The query as the official evaluator runs it.

    Split comparison signs are joined (`> =`, also inside literals), everything after the first statement and every
    word DISTINCT outside quotes is dropped, and `YEAR(CURDATE())` is 2020. A statement of comments alone gives no rows.
    """
    for split, joined in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        sql = sql.replace(split, joined)
    official = sql
    if _MAY_CHANGE.search(sql):
        official = "".join(_official_tokens(sql))
    official = _CURRENT_YEAR.sub("2020", official)
    says_nothing = official.lstrip()[:1] in _MAY_SAY_NOTHING and not first_word(tokenize(official))
    # Blank text, a comment opened at the very end and a NUL byte are errors there.
    runs = sql.strip() not in ("", "/*") and "\0" not in sql
    return _NO_ROWS if says_nothing and runs else official


def _official_tokens(sql: str) -> Iterator[str]:
    """The tokens of the first statement, without the words DISTINCT."""
    for token in _OFFICIAL_TOKEN.finditer(sql):
        text = token.group()
        if text.lower() != "distinct":
            yield text
        if text == ";" or (text == "GO" and not token["name"]):  # GO ends a statement in other dialects
            if rest := _REST_OF_LINE.match(sql, token.end()):
                yield rest.group().rstrip(" \t\r\n")
            return


def _comparable(gold: Result, predicted: Result) -> bool:
    """Whether both queries ran and gave tables of one shape."""
    return gold.ok and predicted.ok and gold.columns == predicted.columns and len(gold.rows) == len(predicted.rows)


def _same_bag(gold: Result, predicted: Result) -> bool:
    """Whether two tables of one shape are the same bag of rows, cells compared exactly, for some order of columns."""
    first, second = number_cells(gold.rows, predicted.rows)
    budget = Budget.for_tables(len(gold.rows), gold.columns)
    return find_permutation(first, second, budget=budget) is not None


def _reordered(rows: tuple[tuple[Any, ...], ...], permutation: Permutation) -> list[tuple[Any, ...]]:
    return [tuple([row[column] for column in permutation]) for row in rows]


def _without_broken_bytes(result: Result) -> Result:
    """The result as the official evaluator reads it, which drops bytes that are no UTF-8."""
    rows = [tuple([cell.dropped if isinstance(cell, BrokenText) else cell for cell in row]) for row in result.rows]
    return replace(result, rows=tuple(rows))


def _official_sort(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row's cells in the order of their text followed by the name of their type."""
    return tuple(sorted(row, key=lambda cell: str(cell) + str(type(cell))))
