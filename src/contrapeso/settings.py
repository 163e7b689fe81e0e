"""The settings of a study: typed fields, each with a sentence and a default we would defend.

`study.py` reads them from TOML. They hold no logic and import nothing of contrapeso, so that every room below may
take one of them as a plain value (training takes `LoraSettings`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class ModelSettings(Settings):
    """The base model."""

    id: Annotated[str, Field(min_length=1)] = "pocket"
    """A Hugging Face id, a folder in Hugging Face format, or `pocket` (shipped with contrapeso)."""
    revision: str | None = None
    """Commit, tag or branch of a hub id; pin it, so that the study can be repeated."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the weights; `auto` is float32 on a CPU, bfloat16 on a GPU that has it, otherwise float16."""
    quantization: Literal["none", "nf4"] = "none"
    """`nf4` loads the base in 4 bits (bitsandbytes, CUDA only)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; `auto` takes a GPU when there is one."""
    chat: Literal["auto", "always", "never"] = "auto"
    """Whether text-to-SQL prompts go through the tokenizer's chat template; `auto`: when it has one."""


class LeaveOut(Settings):
    """Items measured apart from the headline."""

    items: Annotated[tuple[str, ...], Field(min_length=1)]
    """Item ids, e.g. `dev/0459`."""
    reason: Annotated[str, Field(min_length=1)]
    """Why; printed in the report."""


class TargetSettings(Settings):
    """The task the model is tuned for: text-to-SQL in the layout of Spider."""

    data: str = "pocket"
    """A folder in Spider's or BIRD's layout or one's own (questions and SQLite files), or `pocket`."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Evaluate on the first so many dev questions; all by default."""
    train_limit: Annotated[int, Field(ge=1)] | None = None
    """Train on the first so many train questions; all by default."""
    shots: Annotated[int, Field(ge=0, le=32)] = 0
    """Train examples in the prompt of every variant."""
    baseline_shots: Annotated[int, Field(ge=0, le=32)] = 3
    """Measure the base once more with so many train examples in its prompt; 0 leaves that variant out."""
    schema_style: Literal["ddl", "compact"] = "ddl"
    """How prompts show the schema: `CREATE TABLE` statements with types and keys, or one line a table."""
    max_new_tokens: Annotated[int, Field(ge=8, le=2048)] = 192
    """Longest answer, in tokens; the longest gold query of Spider dev has 167 of Mistral's."""
    leave_out: tuple[LeaveOut, ...] = ()
    """Items reported apart, with the reason."""


class GeneralSettings(Settings):
    """What the model knew before: multiple choice in the layout of MMLU."""

    data: str = "pocket"
    """A folder in MMLU's layout (`dev/`, `test/`), or `pocket`."""
    subjects: tuple[str, ...] = ()
    """Only these subjects; all by default."""
    limit_per_subject: Annotated[int, Field(ge=1)] | None = None
    """The first so many test questions of each subject; all by default."""
    shots: Annotated[int, Field(ge=0, le=5)] = 5
    """Dev questions of the subject in the prompt."""


class LoraSettings(Settings):
    """One LoRA fine-tuning configuration. `[training]` in a study file gives values shared by all runs."""

    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    """Peak learning rate."""
    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank r of the update B A."""
    alpha: Annotated[float, Field(gt=0)] = 32
    """The update is scaled by alpha / r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Dropout on the input of the update, during training."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Linear layers that get an update, by the end of their name."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the train set."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Examples a forward pass."""
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    """Forward passes an optimizer step: examples a step = batch_size x gradient_accumulation."""
    optimizer: Literal["adamw", "paged_adamw_8bit"] = "adamw"
    """`paged_adamw_8bit` needs CUDA and bitsandbytes."""
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up."""
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of all steps over which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay of the update's matrices."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    max_length: Annotated[int, Field(ge=16)] = 4096
    """Longest training example in tokens; a longer one is refused, not cut. Spider's longest has 3,709 of Mistral's."""
    packing: Literal["none", "shared_prefix"] = "none"
    """`shared_prefix` lays the examples of an optimizer step out so that those about one database share one copy of its
    schema: the same gradient, several times faster. Forward passes are then as many as `pack_tokens` asks for."""
    pack_tokens: Annotated[int, Field(ge=16)] = 8192
    """With packing: most tokens in a forward pass; what decides the memory."""
    databases_per_step: Annotated[int, Field(ge=1)] = 4
    """With packing: the least number of databases among the examples of an optimizer step, as far as there are so many.
    More makes steps more alike, fewer makes them faster."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third slower."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 50
    """Optimizer steps between checkpoints, from which an interrupted run resumes."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that are told loss, learning rate and gradient norm while training; files go below `logs/<run>`."""


class RunSettings(LoraSettings):
    """A named run."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Display name."""


class EvaluateSettings(Settings):
    """How variants are measured; none of this changes what is asked."""

    engine: Literal["local", "served", "auto"] = "local"
    """What answers the prompts: `local` is transformers + PEFT in this process, `served` is vLLM (a GPU and the package
    vllm; all runs are trained first), `auto` the one that ends soonest."""
    generate_batch: Annotated[int, Field(ge=1)] = 32
    """Prompts generated together."""
    score_batch: Annotated[int, Field(ge=1)] = 32
    """Multiple-choice questions scored together."""
    sql_workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Sandbox processes that run SQL."""
    margin_points: Annotated[float, Field(gt=0, lt=100)] = 2.0
    """Largest change that would not matter, in points; a change certainly smaller is reported as no difference."""


class ReportSettings(Settings):
    """How results are shown; no number depends on it."""

    language: Literal["en", "pt-BR"] = "en"
    """Language of report.html and report.pdf."""
