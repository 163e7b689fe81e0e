"""Benchmarks: how each is asked and scored. A new one is one file here and one line below."""

from contrapeso.tasks.base import Item, Outcome, Prompt, Task
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.tasks.text_to_sql import TextToSQL, choose_shots, extract_sql

__all__ = ["Item", "MultipleChoice", "Outcome", "Prompt", "Task", "TextToSQL", "choose_shots", "extract_sql"]
