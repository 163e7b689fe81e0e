"""How to ask an adapter: the layout of the prompt, and a program that asks one real question of the study.

The study's own way of asking enters (`Record.asking`), Markdown leaves. What comes from data and models is shown
inside fences that it cannot close, and as Python literals that it cannot leave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contrapeso.names import model_name
from contrapeso.report.card_metadata import POCKET
from contrapeso.report.measurement import Sources
from contrapeso.report.packing import visible
from contrapeso.report.record import Record
from contrapeso.report.text import Summary, plain_markdown
from contrapeso.tasks.base import Outcome


def example_lines(run: str, summary: Summary, *, sources: Sources, record: Record) -> list[str]:
    """The section on asking, with a worked example; without one for a folder filed before examples were.

    Args:
        run: display name of the run.
        summary: from `summarize`.
        sources: what it was made from.
        record: the study's plan, and how the target task asks.
    """
    asking = record.asking
    if not asking:
        return []
    around = "the tokenizer's chat template around it" if asking["chat"] else "no chat markup"
    stops = " or ".join(f"`{stop!r}`" for stop in asking["stop"])
    program = [*_load(run, summary, sources, record), "", *_ask(asking)]
    return [
        "## How to ask it",
        "",
        f"One user's text, {around}; greedy decoding, at most {asking['max_new_tokens']} new tokens, cut before "
        f"{stops}. The layout, as in training and in every measurement:",
        "",
        *fenced(_layout(record)),
        "",
        "A question of the study, asked with this folder as working directory:",
        "",
        *fenced("\n".join(program), "python"),
        "",
        *_answered(run, summary, sources, asking["item"]),
    ]


def fenced(text: str, language: str = "") -> list[str]:
    """A block of code that nothing in its text can close, every character visible."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", *visible(text).split("\n"), fence]


def _layout(record: Record) -> str:
    """The example's text with placeholders for what changes from question to question."""
    text, asking = record.asking["text"], record.asking
    for value, placeholder in ((asking["question"], "{question}"), (asking["schema"], "{schema}")):
        before, found, after = text.rpartition(value)
        text = before + placeholder + after if found else text
    return str(text)


def _load(run: str, summary: Summary, sources: Sources, record: Record) -> list[str]:
    """Lines that load base and adapter as they were measured."""
    key = next((plan.adapter_key for plan in record.plan if plan.variant == run and plan.adapter_key), None) or {}
    dtype, weights = key.get("dtype", "float32"), key.get("model", "")
    name = model_name(summary["facts"]["base_model"])
    revision = "" if weights.startswith("sha256:") or not weights else f", revision={weights!r}"
    four_bits = key.get("quantization") == "nf4"
    imports = ["AutoModelForCausalLM", "AutoTokenizer", *(["BitsAndBytesConfig"] if four_bits else [])]
    options = f"dtype=torch.{dtype}{revision}"
    lines = []
    if sources.settings.get("model", {}).get("id") == POCKET:
        lines += ["from importlib.resources import files", ""]
        base = 'str(files("contrapeso") / "models" / "pocket")  # ships with contrapeso'
    elif revision:
        base = repr(name)
    else:
        base = f"{'path/to/' + name!r}  # the folder whose files have the {visible(weights)}"
    lines += ["import torch", "from peft import PeftModel", f"from transformers import {', '.join(imports)}", ""]
    lines += [f"base = {base}", f"tokenizer = AutoTokenizer.from_pretrained(base{revision})"]
    if four_bits:
        lines += [
            'four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", '
            f"bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.{dtype})"
        ]
        options += ', quantization_config=four_bits, device_map="auto"'
    return [
        *lines,
        f"model = AutoModelForCausalLM.from_pretrained(base, {options})",
        'model = PeftModel.from_pretrained(model, ".").eval()',
    ]


def _ask(asking: Mapping[str, Any]) -> list[str]:
    """Lines that ask the example's question and print the answer."""
    if asking["chat"]:
        turns = [
            {"role": role, "content": text} for turn in asking["turns"] for role, text in zip(_ROLES, turn, strict=True)
        ]
        encode = [
            *([f"earlier = {turns!r}"] if turns else []),
            f"messages = [{'*earlier, ' if turns else ''}{{'role': 'user', 'content': prompt}}]",
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, enable_thinking=False, return_dict=True, return_tensors="pt"',
            ").to(model.device)",
        ]
    else:
        encode = ['inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(model.device)']
    return [
        "prompt = (",
        *(f"    {line!r}" for line in asking["text"].splitlines(keepends=True)),
        ")",
        *encode,
        f"stop = {list(asking['stop'])!r}",
        "with torch.inference_mode():",
        "    output = model.generate(",
        f"        **inputs, max_new_tokens={asking['max_new_tokens']}, do_sample=False, stop_strings=stop, "
        "tokenizer=tokenizer",
        "    )",
        'text = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)',
        "print(min((text.split(mark)[0] for mark in stop), key=len).strip())",
    ]


_ROLES = ("user", "assistant")


def _answered(run: str, summary: Summary, sources: Sources, item: str) -> list[str]:
    """What the adapter answered in the study, and whether that was right."""
    outcome = _outcome(run, summary["facts"]["target"], sources, item)
    if outcome is None:
        return []
    judged = "right" if outcome.correct else f"wrong ({outcome.reason})"
    lines = [
        f"In the study it answered, and that was {plain_markdown(judged)}:",
        "",
        *fenced(outcome.answer, "sql"),
        "",
    ]
    return lines if outcome.correct else [*lines, "The gold query:", "", *fenced(outcome.gold, "sql"), ""]


def _outcome(run: str, task: str, sources: Sources, item: str) -> Outcome | None:
    measured = (m for m in sources.measurements if (m.variant, m.task) == (run, task))
    return next((outcome for m in measured for outcome in m.outcomes if outcome.item == item), None)
