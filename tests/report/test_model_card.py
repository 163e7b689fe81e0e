"""The card of an adapter says what was measured, and metadata a hub can read."""

import yaml
from made_up_study import FACTS, RUN_1, study

from contrapeso.report.model_card import model_card
from contrapeso.report.summary import summarize


def test_a_card_has_both_accuracies_the_settings_and_readable_metadata():
    summary = summarize(FACTS, study(), resamples=200)
    card = model_card(RUN_1, summary, {"rank": 8, "learning_rate": 2e-4}, version="0.1.0")
    _, metadata, text = card.split("---\n", 2)
    assert yaml.safe_load(metadata)["library_name"] == "peft"
    for task in ("spider", "mmlu"):
        assert f"{100 * summary['variants'][RUN_1][task]['accuracy']:.1f} %" in text
    assert "learning\\_rate | 0.0002" in text


def test_a_local_base_model_is_named_without_its_path():
    summary = summarize(FACTS, study(), resamples=200)
    summary["facts"]["base_model"] = "/home/somebody/models/secret"
    card = model_card(RUN_1, summary, {}, version="0.1.0")
    assert "somebody" not in card and 'base_model: "secret"' in card
