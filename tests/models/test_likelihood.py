"""Log-likelihoods of texts: against one plain forward pass a text, whatever shares a prefix or a batch."""

import pytest
import torch
from tiny import save_random_adapter, save_tiny_mistral

from contrapeso.models.engine import Variant
from contrapeso.models.loading import load_model
from contrapeso.models.local import LocalEngine
from contrapeso.tasks.base import Prompt

BASE = Variant("Baseline Model")
SHARED = "The following are questions about astronomy and they go on and on for a while.\n\n"
PROMPTS = [
    Prompt(SHARED, "Question: which planet?\nAnswer:"),
    Prompt("", ""),
    Prompt(SHARED, "Question: how many moons?\nAnswer:"),
    Prompt(SHARED, "Question: how many moons?\nAnswer:"),
]
TEXTS = [[" Mars", " the red one of them"], ["SELECT count(*) FROM singer"], [" two", " 2"], [" none at all"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def base(folder):
    return load_model(str(folder), device="cpu")


def one_by_one(model, tokenizer):
    """Sums over a plain forward pass of prompt and text, each for itself."""
    found = []
    for prompt, texts in zip(PROMPTS, TEXTS, strict=True):
        before = tokenizer(prompt.text)["input_ids"]
        sums = []
        for text in texts:
            after = tokenizer(text, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
            sums.append(sum(logs[len(before) - 1 + n, token].item() for n, token in enumerate(after)))
        found.append(sums)
    return found


def answers(engine, variant=BASE, skip=frozenset()):
    return {
        place: reply
        for places, replies in engine.score_texts(variant, PROMPTS, texts=TEXTS, skip=skip)
        for place, reply in zip(places, replies, strict=True)
    }


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_log_likelihoods_are_those_of_one_text_at_a_time(base, batch):
    found = answers(LocalEngine(base.model, base.tokenizer, batch_size_score=batch))
    expected = one_by_one(base.model, base.tokenizer)
    for place, sums in enumerate(expected):
        assert found[place].log_likelihoods == pytest.approx(sums, abs=2e-4)
        assert found[place].tokens == tuple(
            len(base.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS[place]
        )


def test_an_adapter_is_asked_when_the_variant_has_one(base, folder, tmp_path):
    engine = LocalEngine(base.model, base.tokenizer)
    adapter = save_random_adapter(tmp_path / "adapter", folder)
    tuned = answers(engine, Variant("tuned", adapter))
    assert tuned[0].log_likelihoods != answers(engine)[0].log_likelihoods
    engine.detach()


def test_batches_that_are_answered_already_are_left_out_and_the_rest_stays_bit_for_bit(base):
    engine = LocalEngine(base.model, base.tokenizer, batch_size_score=1)
    whole, rest = answers(engine), answers(engine, skip=frozenset({0, 2}))
    assert set(rest) == {1, 3} and all(rest[place] == whole[place] for place in rest)


def test_a_text_before_which_nothing_stands_lends_its_first_token(folder):
    base = load_model(str(folder), device="cpu")
    base.tokenizer.backend_tokenizer.post_processor = None  # no beginning-of-sequence token
    ((_, (reply,)),) = LocalEngine(base.model, base.tokenizer).score_texts(
        BASE, [Prompt("", "")], texts=[["Show the name"]], skip=frozenset()
    )
    tokens = base.tokenizer("Show the name", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logs = base.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    assert reply.tokens == (len(tokens) - 1,)
    expected = sum(logs[n, token].item() for n, token in enumerate(tokens[1:]))
    assert reply.log_likelihoods[0] == pytest.approx(expected, abs=1e-4)
