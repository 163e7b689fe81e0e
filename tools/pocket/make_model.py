"""Train the pocket base model: tokenizer, then a small Mistral, from text written by `corpus.py`.

    python -m tools.pocket.make_model --out tools/pocket/build/first
    python -m tools.pocket.make_model --start tools/pocket/build/first --out tools/pocket/build/model ...

The first call makes a model from nothing: minutes on a GPU, days on a CPU. The second goes on from a folder, with
settings of its own; docs/pocket-model.md has those of the shipped model. What leaves is a Hugging Face folder (config,
float16 safetensors, tokenizer, chat template, and `training.json` with the settings and the loss); copy it to
`src/contrapeso/models/pocket`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from tools.pocket.corpus import Mixture, documents

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
    "{% else %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}"
    "{% endfor %}"
)
ANSWER_TEXTS = (" A", " B", " C", " D", ":")
SPECIAL_TOKENS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]


def train_tokenizer(mixture: Mixture, args: argparse.Namespace) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the stream's first documents.

    Every digit is its own token, so that numbers are copied digit by digit.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=args.vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(documents(args.seed, mixture), args.tokenizer_documents), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", SPECIAL_TOKENS.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        padding_side="left",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def encode_shard(job: tuple[str, int, int, Mixture]) -> np.ndarray:
    """Token ids (uint16) of one shard of documents, each between `<s>` and `</s>`."""
    tokenizer_file, seed, count, mixture = job
    tokenizer = Tokenizer.from_file(tokenizer_file)
    end = tokenizer.token_to_id("</s>")
    texts = list(islice(documents(seed, mixture), count))
    ids = [token for encoding in tokenizer.encode_batch_fast(texts) for token in [*encoding.ids, end]]
    return np.asarray(ids, dtype=np.uint16)


def batches(shards: Iterator[np.ndarray], rows: int, length: int) -> Iterator[torch.Tensor]:
    """Cut the stream of tokens into `[rows, length + 1]` blocks."""
    buffer = np.empty(0, dtype=np.uint16)
    need = rows * (length + 1)
    while True:
        while len(buffer) < need:
            buffer = np.concatenate([buffer, next(shards)])
        block, buffer = buffer[:need], buffer[need:]
        yield torch.from_numpy(block.astype(np.int64)).view(rows, length + 1)


def build_model(tokenizer: PreTrainedTokenizerFast, args: argparse.Namespace) -> MistralForCausalLM:
    """A Mistral with grouped key/value heads and an output layer of its own.

    With tied embeddings it learnt every fact and still answered the benchmark at chance (docs/pocket-model.md).
    """
    torch.manual_seed(args.seed)
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=args.hidden,
        intermediate_size=args.intermediate,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // 32,
        num_key_value_heads=args.hidden // 64,
        head_dim=32,
        max_position_embeddings=1024,
        sliding_window=None,
        tie_word_embeddings=False,
        initializer_range=args.initializer_range,
        rope_theta=10000.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return MistralForCausalLM(config)


def train(
    model: MistralForCausalLM, stream: Iterator[torch.Tensor], *, answers: torch.Tensor, args: argparse.Namespace
) -> list[dict]:
    """AdamW with warm-up and cosine decay.

    Args:
        model: changed in place.
        stream: blocks of token ids, shape [rows, length + 1].
        answers: the four answer letters' token ids, then the colon's that stands before them, shape [5].
        args: the settings.

    Returns:
        Step, loss and seconds of every 50th step.
    """
    device = args.device
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=args.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=args.weight_decay,
        fused=device == "cuda",
    )
    letters, colon = answers[:4].to(device), answers[4].to(device)

    def loss_of(block: torch.Tensor) -> torch.Tensor:
        inputs, targets = block[:, :-1], block[:, 1:]
        logits = model(input_ids=inputs, use_cache=False).logits
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), reduction="none"
        ).view_as(targets)
        is_answer = (inputs == colon) & torch.isin(targets, letters)
        weights = 1.0 + (args.answer_weight - 1.0) * is_answer
        return (losses * weights).sum() / weights.sum()

    # Compiled with the loss inside: the logits (0.5 G entries a step) are then never written out in float32.
    compute_loss = torch.compile(loss_of) if device == "cuda" else loss_of
    warmup, log, start = min(100, args.steps // 10), [], time.perf_counter()
    for step in range(args.steps):
        share = (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * max(share, 0.02)
        block = next(stream).to(device, non_blocking=True)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = compute_loss(block)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == args.steps - 1:
            seconds = time.perf_counter() - start
            log.append({"step": step, "loss": round(loss.item(), 4), "seconds": round(seconds, 1)})
            print(log[-1], flush=True)
    return log


def parse_arguments() -> argparse.Namespace:
    """The defaults are the settings of the shipped model's first call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="go on from this folder's model and tokenizer")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--batch", type=int, default=128, help="sequences a step")
    parser.add_argument("--length", type=int, default=512, help="tokens a sequence")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--initializer-range", type=float, default=0.04)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--intermediate", type=int, default=704)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--tokenizer-documents", type=int, default=20_000, help="documents the tokenizer is made from")
    parser.add_argument("--shard-documents", type=int, default=4000, help="documents a worker makes at a time")
    parser.add_argument("--answer-weight", type=float, default=1.0, help="weight of an answer letter in the loss")
    for kind in fields(Mixture):
        parser.add_argument(f"--{kind.name.replace('_', '-')}-share", type=float, default=kind.default)
    parser.add_argument("--workers", type=int, default=max(1, (multiprocessing.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def main() -> None:
    """Write the model folder."""
    args = parse_arguments()
    mixture = Mixture(**{kind.name: getattr(args, f"{kind.name}_share") for kind in fields(Mixture)})
    args.out.mkdir(parents=True, exist_ok=True)
    if args.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.start)
        model = MistralForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    else:
        tokenizer = train_tokenizer(mixture, args)
        model = build_model(tokenizer, args)
    tokenizer.save_pretrained(args.out)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters, vocabulary {len(tokenizer)}", flush=True)
    torch.set_float32_matmul_precision("high")
    answers = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids[-1] for text in ANSWER_TEXTS])
    jobs = (
        (str(args.out / "tokenizer.json"), args.seed + 1 + shard, args.shard_documents, mixture)
        for shard in range(shard_budget(args))
    )
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        # imap keeps the order of shards, so the text does not depend on the number of workers.
        shards = pool.imap(encode_shard, jobs)
        log = train(model, batches(iter(shards), args.batch, args.length), answers=answers, args=args)
        pool.terminate()
    model.to("cpu", torch.float16).save_pretrained(args.out)
    settings = {key: value for key, value in vars(args).items() if key not in ("out", "start", "workers")}
    record = {"parameters": parameters, "settings": settings, "log": log}
    if args.start:
        record["before"] = json.loads((args.start / "training.json").read_text(encoding="utf-8"))
    (args.out / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def shard_budget(args: argparse.Namespace) -> int:
    """Shards that surely suffice: a document has more than 40 tokens on average."""
    return math.ceil(args.steps * args.batch * (args.length + 1) / (40 * args.shard_documents)) + args.workers


if __name__ == "__main__":
    main()
