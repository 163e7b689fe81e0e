"""What sharing the work among processes counts on."""

from pathlib import Path
from typing import Any

import pytest
from tiny import save_tiny_mistral

from contrapeso.models.engine import Variant
from contrapeso.models.loading import load_model
from contrapeso.models.local import LocalEngine
from contrapeso.tasks.base import Prompt

PROMPTS = [
    Prompt(f"Schema {n % 2} with enough in it to be shared by several prompts.\n", f"No. {n}:") for n in range(11)
]
BASE = Variant("Baseline Model")


class Listening(frozenset[int]):
    """A `skip` that hears which batches it is asked about."""

    asked: list[list[int]]

    def issuperset(self, other: Any) -> bool:
        self.asked.append(list(other))
        return super().issuperset(other)


@pytest.mark.parametrize("in_slots", [False, True])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("generate", {"max_new_tokens": 3, "stop": ()}),
        ("score_options", {"letters": ("A", "B")}),
        ("score_texts", {"texts": [[" yes", " no"]] * len(PROMPTS)}),
    ],
)
def test_an_engine_asks_once_for_every_batch_in_order_whether_to_leave_it_out(
    tmp_path: Path, in_slots: bool, method: str, options: dict[str, Any]
) -> None:
    base = load_model(str(save_tiny_mistral(tmp_path / "tiny")), device="cpu")
    engine = LocalEngine(
        base.model, base.tokenizer, batch_size_generate=3, batch_size_score=4, token_budget=800, in_slots=in_slots
    )
    skip = Listening({0, 4})
    skip.asked = []
    answered = [rows for rows, _ in getattr(engine, method)(BASE, PROMPTS, skip=skip, **options)]
    assert len(answered) > 2 and skip.asked == answered
