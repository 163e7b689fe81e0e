"""What `benchmarks.two_gpus` found: how far two ways are apart, and the figures as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def differences(one: Path, other: Path) -> dict[str, float]:
    """The largest differences between what two ways left, relative to the largest value; texts: how many differ."""
    from safetensors.numpy import load_file

    found: dict[str, float] = {}
    for packing in ("none", "shared_prefix"):
        losses = [json.loads((root / packing / "losses.json").read_text()) for root in (one, other)]
        found[f"losses, packing {packing}"] = max(abs(a - b) / a for a, b in zip(*losses, strict=True))
        here, there = (load_file(root / packing / "adapter" / "adapter_model.safetensors") for root in (one, other))
        greatest_value = max(float(abs(value).max()) for value in here.values())
        found[f"adapter, packing {packing}"] = (
            max(float(abs(here[name] - there[name]).max()) for name in here) / greatest_value
        )
    for adapter, name in ((False, "base"), (True, "tuned")):
        first, second = (json.loads((root / f"answers-{adapter}.json").read_text()) for root in (one, other))
        pairs = zip(first["scores"], second["scores"], strict=True)
        found[f"log-probabilities, {name}"] = max(
            abs(a - b) for row, column in pairs for a, b in zip(row, column, strict=True)
        )
        found[f"texts, {name}"] = sum(a != b for a, b in zip(first["texts"], second["texts"], strict=True))
    return found


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures in Markdown."""
    lines = [
        "| | training, examples/s | text-to-SQL, a second | MMLU, a second | base, GiB a GPU | training, GiB a GPU |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way, row in results.items():
        lines.append(
            f"| {way} | {row['training']:.1f} | {row['generations']:.1f} | {row['choices']:.1f} | "
            f"{row.get('base_gib', 0):.1f} | {row['training_gib']:.1f} |"
        )
    return "\n".join(lines)
