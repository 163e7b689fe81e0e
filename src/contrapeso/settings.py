"""The settings of a study: typed fields, each with a sentence and a default we would defend.

`study.py` reads them from TOML. They hold no logic and import nothing of contrapeso, so that every room below may
take one of them as a plain value (training takes `LoraSettings`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
    later: ClassVar[frozenset[str]] = frozenset()

    def essence(self) -> dict[str, Any]:
        """What a hash of the settings is made of, JSON-ready.

        All of them, but for those that a later version brought (named in `later`) while they have their default: so
        that a folder of an earlier version still holds the study it held.
        """
        values = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.later and value == field.default:
                del values[name]
            elif isinstance(value, Settings):
                values[name] = value.essence()
            elif isinstance(value, tuple) and value and isinstance(value[0], Settings):
                values[name] = [entry.essence() for entry in value]
        return values


class ModelSettings(Settings):
    """The base model."""

    later: ClassVar[frozenset[str]] = frozenset(("sharding",))

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
    sharding: Literal["none", "fsdp"] = "none"
    """Of several processes (`torchrun`) each has the whole base on its GPU; `fsdp` divides its weights among them, for
    a base that does not fit one. Slower, the same results."""


class LeaveOut(Settings):
    """Items measured apart from the headline."""

    later: ClassVar[frozenset[str]] = frozenset(("file",))

    items: tuple[str, ...] = ()
    """Item ids, e.g. `dev/0459`, `astronomy/0012`."""
    file: str | None = None
    """A text file with more of them, one a line; `#` begins a comment."""
    reason: Annotated[str, Field(min_length=1)]
    """Why; printed in the report."""

    @model_validator(mode="after")
    def _names_something(self) -> LeaveOut:
        if not self.items and self.file is None:
            raise ValueError("leave_out names no items: give items, a file with their ids, or both")
        return self


class TargetSettings(Settings):
    """The task the model is tuned for: text-to-SQL in the layout of Spider."""

    data: str = "pocket"
    """A folder in Spider's or BIRD's layout or one's own (questions and SQLite files), `pocket`, or `spider` or `bird`
    when `contrapeso fetch` has brought it."""
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

    later: ClassVar[frozenset[str]] = frozenset(("leave_out",))

    data: str = "pocket"
    """A folder in MMLU's layout (`dev/`, `test/`), `pocket`, or `mmlu` when `contrapeso fetch` has brought it."""
    subjects: tuple[str, ...] = ()
    """Only these subjects; all by default."""
    limit_per_subject: Annotated[int, Field(ge=1)] | None = None
    """The first so many test questions of each subject; all by default."""
    shots: Annotated[int, Field(ge=0, le=5)] = 5
    """Dev questions of the subject in the prompt."""
    leave_out: tuple[LeaveOut, ...] = ()
    """Items reported apart, with the reason: questions whose key is known to be wrong, say."""


class AxisSettings(Settings):
    """One more thing the model knew before, measured for the base, every run and every imported adapter."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    """What the axis is called in files and reports."""
    kind: Literal["choices", "shuffled", "full_text", "perplexity", "lm_eval"]
    """`choices`: multiple-choice questions of a file; `shuffled`: the general questions with their options in another
    order; `full_text`: the general questions answered in words; `perplexity`: a text; `lm_eval`: a task of
    lm-evaluation-harness."""
    data: str | None = None
    """The file of `choices` (`.csv`, `.json`, `.jsonl`) or `perplexity` (`.txt`); for `lm_eval` a task's name or a
    folder of task files, which are programs: name only folders you trust."""
    scoring: Literal["text", "letter"] = "text"
    """Of `choices`: the option whose text the model finds most likely, by character, or the letter."""
    prompt: str | None = None
    """Of `choices` and `full_text`: what is asked, with `{question}` in it; by default `Question: {question}`, a new
    line and `Answer:`. `{question}` alone lets the options go on with it, as HellaSwag's do. Letters have a text of
    their own."""
    shots: Annotated[int, Field(ge=0, le=32)] | None = None
    """Of `full_text` and `lm_eval`: solved questions in the prompt; by default as many as `general.shots`, or as the
    task of lm-evaluation-harness says."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Only so many items, drawn by `seed` from every group in proportion; all by default."""

    def essence(self) -> dict[str, Any]:
        """Without `data`: results are filed under what is asked, wherever it lies."""
        return {name: value for name, value in super().essence().items() if name != "data"}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> AxisSettings:
        needs_data = self.kind in ("choices", "perplexity", "lm_eval")
        if needs_data and not self.data:
            raise ValueError(f"axes: {self.name} of kind {self.kind} needs data")
        used = {
            "data": needs_data,
            "scoring": self.kind == "choices",
            "prompt": self.kind == "full_text" or (self.kind == "choices" and self.scoring == "text"),
            "shots": self.kind in ("full_text", "lm_eval"),
        }
        for setting, allowed in used.items():
            if not allowed and getattr(self, setting) != type(self).model_fields[setting].default:
                raise ValueError(f"axes: {setting} means nothing for {self.name}, which is of kind {self.kind}")
        if self.prompt is not None and "{question}" not in self.prompt:
            raise ValueError(f"axes: the prompt of {self.name} has no {{question}} in it")
        return self


class ReplaySettings(Settings):
    """Examples of what the model knew before, mixed in among those of the target task."""

    data: Annotated[str, Field(min_length=1)] = "general"
    """`general`: the solved dev questions of the general task; a file: text (`.txt`, passages divided by blank lines)
    or multiple-choice questions (`.csv`, `.json`, `.jsonl`); `self`: what the base itself answers to `prompts`."""
    prompts: Annotated[str, Field(min_length=1)] = "general"
    """With `self`: what the base is asked, `general` or a file as above. It answers once, before training."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Part of all training examples that is replayed."""


class LoraSettings(Settings):
    """One LoRA fine-tuning configuration. `[training]` in a study file gives values shared by all runs."""

    later: ClassVar[frozenset[str]] = frozenset(("replay", "kl_to_base", "kl_on"))

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
    replay: ReplaySettings | None = None
    """Against forgetting: train on examples of something else too, e.g. `{ data = "general", share = 0.05 }`."""
    kl_to_base: Annotated[float, Field(ge=0)] = 0.0
    """Against forgetting: this times the mean divergence KL(base || tuned), in nats a token, is added to the loss. The
    base is the model with its adapter switched off: no second copy, one more forward pass. Needs packing."""
    kl_on: Literal["prompt", "replay"] = "prompt"
    """Where `kl_to_base` compares: on the tokens of prompts, or on all tokens of replayed examples."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third slower."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 50
    """Optimizer steps between checkpoints, from which an interrupted run resumes."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that are told loss, learning rate and gradient norm while training; files go below `logs/<run>`."""

    @model_validator(mode="after")
    def _no_contradictions(self) -> LoraSettings:
        if self.replay and self.replay.data != "self" and self.replay.prompts != "general":
            raise ValueError('replay.prompts is what the base is asked with data = "self": set that, or leave it out')
        if self.kl_to_base and self.packing == "none":
            raise ValueError('kl_to_base is computed on packs: set training.packing = "shared_prefix"')
        if self.kl_to_base and self.kl_on == "replay" and self.replay is None:
            raise ValueError('kl_on = "replay" needs replayed examples: set training.replay, or kl_on = "prompt"')
        return self


class RunSettings(LoraSettings):
    """A named run."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Display name; in a study file `Fine-Tuned Run 1`, `Fine-Tuned Run 2`, ... where none is given."""


class AdapterSettings(Settings):
    """An adapter trained elsewhere, measured beside the runs."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """Display name."""
    path: Annotated[str, Field(min_length=1)]
    """Its folder in PEFT format; `contrapeso import-adapter` takes archives too."""

    def essence(self) -> dict[str, Any]:
        """The name alone: results are filed under the adapter's content, wherever it lies."""
        return {"name": self.name}


class EvaluateSettings(Settings):
    """How variants are measured; none of this changes what is asked."""

    later: ClassVar[frozenset[str]] = frozenset(("checkpoints", "scales", "probe_items"))

    engine: Literal["local", "served", "auto"] = "local"
    """What answers the prompts: `local` is transformers + PEFT in this process, `served` is vLLM (a GPU and the package
    vllm; all runs are trained first), `auto` the one that ends soonest."""
    generate_batch: Annotated[int, Field(ge=1)] | None = None
    """Most prompts generated together; by default 64, on a GPU 512, as far as their keys and values fit in a quarter of
    its memory."""
    score_batch: Annotated[int, Field(ge=1)] | None = None
    """Most multiple-choice questions scored together; by default 64, on a GPU 512, likewise."""
    sql_workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Sandbox processes that run SQL."""
    margin_points: Annotated[float, Field(gt=0, lt=100)] = 2.0
    """Largest change that would not matter, in points; a change certainly smaller is reported as no difference."""
    checkpoints: Literal["last", "all"] | tuple[Annotated[int, Field(ge=1)], ...] = "last"
    """Which steps of every run are measured beside its end: none, all that `training.checkpoint_steps` saves, or these
    of them. A run that was trained without keeping them is trained once more, as far as the last one missing."""
    scales: tuple[Annotated[float, Field(gt=0, le=4)], ...] = (1.0,)
    """Measure every adapter also with its update multiplied by these; 1 is the adapter itself and 0 would be the base,
    which are measured anyway."""
    probe_items: Annotated[int, Field(ge=1)] | None = None
    """Measure checkpoints and scaled adapters on so many items of each task, the same for all, drawn by `seed` from
    every group in proportion; on all items by default. Runs and imported adapters are always measured on all."""


class ReportSettings(Settings):
    """How results are shown; no number depends on it."""

    later: ClassVar[frozenset[str]] = frozenset(("max_loss_points",))

    language: Literal["en", "pt-BR"] = "en"
    """Language of report.html and report.pdf."""
    max_loss_points: Annotated[float, Field(gt=0, lt=100)] | None = None
    """Most points of the general task one can bear to lose: the report then recommends the variant with the most gain
    that certainly loses no more, as `contrapeso recommend --max-loss` does; by default it recommends none."""
