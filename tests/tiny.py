"""A tiny random Mistral with its tokenizer, saved in Hugging Face format: a whole model in 50 ms, for any test.

    from tiny import save_tiny_mistral
    folder = save_tiny_mistral(tmp_path / "model", seed=1)

The weights are random but not small, so that its greedy answers differ from prompt to prompt; the tokenizer is a
byte-level BPE with Mistral's markup (`<s>`, `</s>`, `[INST] ... [/INST]`), so no text is unknown to it.
"""

from functools import cache
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %} {{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)

CORPUS = [
    "How many singers do we have? SELECT count(*) FROM singer",
    "Show the name of every stadium. SELECT name FROM stadium WHERE capacity > 100 ORDER BY name;",
    "CREATE TABLE concert (id INTEGER PRIMARY KEY, name TEXT, year INTEGER)",
    "The following are multiple choice questions (with answers) about astronomy.",
    "Answer: A B C D Answer: A B C D Answer: A B C D Answer: A B C D Answer: A B C D",
]


@cache
def tiny_tokenizer(vocabulary: int = 320) -> Any:
    """A byte-level BPE of about `vocabulary` tokens with an `[INST]` chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    markup = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=letters, special_tokens=markup, show_progress=False
    )
    bpe.train_from_iterator(CORPUS * 20, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save_tiny_mistral(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Save a random Mistral and its tokenizer.

    Args:
        folder: where to; made if missing.
        seed: of the weights.
        changes: fields of `MistralConfig` other than the defaults here, e.g. `sliding_window=8`.

    Returns:
        The folder.
    """
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = tiny_tokenizer()
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "sliding_window": None,
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MistralForCausalLM(MistralConfig(**{**settings, **changes}))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_random_adapter(folder: Path, base_folder: Path, *, seed: int = 0) -> Path:
    """Save a LoRA adapter for a tiny Mistral whose update is random and not zero.

    Args:
        folder: where to.
        base_folder: what `save_tiny_mistral` returned.
        seed: of the update.

    Returns:
        The folder.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(base_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
        get_peft_model(base, config).save_pretrained(folder)
    return folder
