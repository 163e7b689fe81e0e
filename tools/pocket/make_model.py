"""Train the pocket base model: tokenizer, then a small Mistral, from text written by `corpus.py`.

    python -m tools.pocket.make_model --out tools/pocket/build/model

Minutes on a GPU; on a CPU the same command takes days at the default length (`--steps 200 --batch 32` shows it works).
What leaves is a Hugging Face folder (config, float16 safetensors, tokenizer, chat template); copy it to
`src/contrapeso/models/pocket`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Iterator
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
SPECIAL_TOKENS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
DOCUMENTS_PER_SHARD = 4000


def train_tokenizer(mixture: Mixture, args: argparse.Namespace) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the first documents of the stream; every digit is its own token, so that numbers are copied digit by digit."""
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


def encode_shard(job: tuple[str, int, Mixture]) -> np.ndarray:
    """Token ids (uint16) of one shard of documents, each between `<s>` and `</s>`."""
    tokenizer_file, seed, mixture = job
    tokenizer = Tokenizer.from_file(tokenizer_file)
    end = tokenizer.token_to_id("</s>")
    texts = list(islice(documents(seed, mixture), DOCUMENTS_PER_SHARD))
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
    """A Mistral with tied embeddings and grouped key/value heads."""
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
        tie_word_embeddings=True,
        rope_theta=10000.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return MistralForCausalLM(config)


def train(model: MistralForCausalLM, stream: Iterator[torch.Tensor], args: argparse.Namespace) -> list[dict]:
    """AdamW with warm-up and cosine decay; returns the log."""
    device = args.device
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.learning_rate, betas=(0.9, 0.95), weight_decay=0.1, fused=device == "cuda"
    )

    def loss_of(block: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=block[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), block[:, 1:].flatten())

    # Compiled with the loss inside: the logits (0.5 G entries a step) are then never written out in float32.
    compute_loss = torch.compile(loss_of) if device == "cuda" else loss_of
    warmup, log, start = min(100, args.steps // 10), [], time.perf_counter()
    for step in range(args.steps):
        share = (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * step / args.steps))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * max(share, 0.02)
        block = next(stream).to(device, non_blocking=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
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
    """The settings the shipped model was made with are the defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--batch", type=int, default=256, help="sequences a step")
    parser.add_argument("--length", type=int, default=512, help="tokens a sequence")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--intermediate", type=int, default=704)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--tokenizer-documents", type=int, default=20_000, help="documents the tokenizer is made from")
    parser.add_argument("--task-layout-share", type=float, default=Mixture.task_layout)
    parser.add_argument("--workers", type=int, default=max(1, (multiprocessing.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def main() -> None:
    """Write the model folder."""
    args = parse_arguments()
    mixture = Mixture(task_layout=args.task_layout_share)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(mixture, args)
    tokenizer.save_pretrained(args.out)
    model = build_model(tokenizer, args)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters, vocabulary {len(tokenizer)}", flush=True)
    torch.set_float32_matmul_precision("high")
    jobs = ((str(args.out / "tokenizer.json"), args.seed + 1 + shard, mixture) for shard in range(10**9))
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        # imap keeps the order of shards, so the text does not depend on the number of workers.
        shards = pool.imap(encode_shard, islice(jobs, shard_budget(args)))
        log = train(model, batches(iter(shards), args.batch, args.length), args)
        pool.terminate()
    model.to("cpu", torch.float16).save_pretrained(args.out)
    record = {key: str(value) for key, value in vars(args).items() if key not in ("out", "workers")}
    (args.out / "training.json").write_text(
        json.dumps({"parameters": parameters, "settings": record, "log": log}, indent=1) + "\n", encoding="utf-8"
    )


def shard_budget(args: argparse.Namespace) -> int:
    """Shards that surely suffice: a document has more than 40 tokens on average."""
    return math.ceil(args.steps * args.batch * (args.length + 1) / (40 * DOCUMENTS_PER_SHARD)) + args.workers


if __name__ == "__main__":
    main()
