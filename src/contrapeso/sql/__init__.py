"""SQL: read schemas, run untrusted queries, judge their results. See the modules for what enters and leaves."""

from contrapeso.sql.equivalence import (
    equivalent_spider,
    equivalent_strict,
    equivalent_unordered,
    judge,
    official_form,
)
from contrapeso.sql.judging import JUDGE_RULE, RULES, Preview, Verdict, judge_sql
from contrapeso.sql.sandbox import Limits, Result, Sandbox
from contrapeso.sql.schema import Column, ForeignKey, Schema, Table, read_schema, render_schema

__all__ = [
    "JUDGE_RULE",
    "RULES",
    "Column",
    "ForeignKey",
    "Limits",
    "Preview",
    "Result",
    "Sandbox",
    "Schema",
    "Table",
    "Verdict",
    "equivalent_spider",
    "equivalent_strict",
    "equivalent_unordered",
    "judge",
    "judge_sql",
    "official_form",
    "read_schema",
    "render_schema",
]
