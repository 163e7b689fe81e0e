"""Which engine answers, and the words that say why."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from contrapeso.models.choice import RATES, REFERENCE_WEIGHTS, choose_engine, choose_for_study
from contrapeso.settings import ModelSettings

BIG: dict[str, Any] = {"device": "cuda", "dtype": "bfloat16", "weights": REFERENCE_WEIGHTS}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("vllm")
    module.__spec__ = ModuleSpec("vllm", None)
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_local_is_taken_as_asked(installed: None) -> None:
    assert choose_engine("local", **BIG, generations=10**6, choices=10**6).engine == "local"


@pytest.mark.parametrize("asked", ["served", "auto"])
@pytest.mark.parametrize(
    ("changes", "word"), [({"device": "cpu"}, "needs a GPU"), ({"dtype": "float32"}, "float32"), ({}, "not installed")]
)
def test_without_what_vllm_needs_local_answers_and_says_why(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, asked: Any, changes: dict[str, str], word: str
) -> None:
    if changes:
        request.getfixturevalue("installed")
    else:
        monkeypatch.setitem(sys.modules, "vllm", None)
        monkeypatch.setattr("contrapeso.models.choice.find_spec", lambda name: None)
    choice = choose_engine(asked, **(BIG | changes), generations=10**6, choices=10**6)
    assert choice.engine == "local"
    assert word in choice.reason


def test_served_is_taken_as_asked(installed: None) -> None:
    assert choose_engine("served", **BIG, generations=1, choices=1).engine == "served"


def test_auto_takes_vllm_for_a_whole_study_and_the_loaded_model_for_a_few_questions(installed: None) -> None:
    whole = choose_engine("auto", **BIG, generations=3 * 1034, choices=3 * 14042)
    few = choose_engine("auto", **BIG, generations=100, choices=500)
    small = choose_engine("auto", **(BIG | {"weights": 7e6}), generations=3 * 1034, choices=3 * 14042)
    assert (whole.engine, few.engine, small.engine) == ("served", "local", "local")
    assert "3102 queries and 42126 choices" in whole.reason


def test_auto_changes_over_where_the_two_times_are_equal(installed: None) -> None:
    saved_a_query = 1 / RATES["local"].generations - 1 / RATES["served"].generations
    even = RATES["served"].start / saved_a_query
    assert choose_engine("auto", **BIG, generations=int(even * 0.99), choices=0).engine == "local"
    assert choose_engine("auto", **BIG, generations=int(even * 1.01), choices=0).engine == "served"


def test_a_model_that_is_lent_to_another_harness_answers_in_this_process(installed: None) -> None:
    asked: Any = [SimpleNamespace(kind="options", name="mmlu", items=()), SimpleNamespace(kind="model", name="arc")]
    choice = choose_for_study("served", ModelSettings(), commit=None, dtype="bfloat16", tasks=asked)
    assert choice.engine == "local" and "lent the model for the axis arc" in choice.reason
