"""TRL's `SFTTrainer`, told to be quiet, to mark finished checkpoints, to report progress, and to learn from packs.

Importing this module takes seconds (TRL); `lora.train_run` does so when training begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.sft_trainer import SFTTrainer

from contrapeso.distributed import greatest
from contrapeso.models.decoding import accepts
from contrapeso.models.fsdp import is_divided
from contrapeso.training.checkpoints import PREFIX, mark_complete, whole_or_nothing
from contrapeso.training.examples import IGNORED
from contrapeso.training.kl import penalised_loss
from contrapeso.training.shared_prefix import pack_loss

Progress = Callable[[int, int, float], None]


def completion_loss(model: Any, inner: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Negative log-likelihood of all labels of a batch, summed, in nats.

    Args:
        model: what is called: the model, or what wraps it.
        inner: the transformers model itself.
        batch: `input_ids`, `labels` and what else the model takes.
    """
    labels = batch["labels"][:, 1:]
    columns = (labels != IGNORED).any(dim=0).nonzero()[:, 0]
    inputs: dict[str, Any] = {name: value for name, value in batch.items() if name != "labels"}
    if accepts(inner, "logits_to_keep"):
        inputs["logits_to_keep"] = columns
    logits = model(**inputs, use_cache=False).logits.float()
    if "logits_to_keep" not in inputs:
        logits = logits[:, columns]
    return cross_entropy(logits.flatten(0, 1), labels[:, columns].flatten(), ignore_index=IGNORED, reduction="sum")


class AdapterTrainer(SFTTrainer):
    """Trains one adapter; its checkpoints are either complete, with a marker, or not there."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Checkpoints get no model card: it is the same text every time, and the adapter's own is written later."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean negative log-likelihood of the completion tokens of an optimizer step, in nats.

        On a GPU this is TRL's. On a CPU TRL's output layer runs over the prompts too; leaving them out takes 40 % off
        a step of a 6 M-parameter model (1.21 -> 0.73 s, 16 examples of 140 tokens, one core).
        """
        inner = self.accelerator.unwrap_model(model).get_base_model()
        if return_outputs or self.accelerator.device.type != "cpu" or not accepts(inner, "logits_to_keep"):
            return super().compute_loss(  # type: ignore[no-untyped-call]
                model, inputs, return_outputs, num_items_in_batch
            )
        count = num_items_in_batch if num_items_in_batch is not None else (inputs["labels"][:, 1:] != IGNORED).sum()
        return completion_loss(model, inner, inputs) / count

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        # The adapter alone. The embedding is never trained here, and finding that out would ask the hub.
        self.accelerator.unwrap_model(self.model).save_pretrained(output_dir, save_embedding_layers=False)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        checkpoint = Path(str(self.args.output_dir)) / f"{PREFIX}{self.state.global_step}"
        with whole_or_nothing(checkpoint):
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]
            self.accelerator.wait_for_everyone()  # every process writes its own random state
            if self.is_world_process_zero():
                mark_complete(checkpoint)


class WholeStepTrainer(AdapterTrainer):
    """Gets an optimizer step whole and computes it in parts, as many as its collator makes.

    So a step holds the same examples however many processes share it, and its loss is the mean over the labels of all.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is not learnt is the same in all processes, or divided among them: it takes no part in their exchange.
        model: Any = self.model
        frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
        frozen += [name for name, _ in model.named_buffers()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
            model, frozen
        )
        if is_divided(model.get_base_model()):
            vars(self.accelerator)["prepare_model"] = self._distributed

    def _distributed(self, model: Any, **options: Any) -> Any:
        """The adapter on a divided base, for several processes: accelerate refuses to wrap it, whatever is left out."""
        prepared = type(self.accelerator).prepare_model(self.accelerator, model, **options, evaluation_mode=True)
        return DistributedDataParallel(prepared)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Every process gets all rows of a step, and its collator takes this process's share."""
        return DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_size=self.args.train_batch_size,
            collate_fn=self.data_collator,
        )

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward pass of every part of a step; processes exchange gradients once, after the last.

        Returns:
            The mean loss over the labels of the step; averaged over processes, as the trainer does, when there are
            several.
        """
        parts = inputs["packs"]
        if is_divided(self.accelerator.unwrap_model(model).get_base_model()):
            parts = parts + [inputs["nothing"]] * (greatest(len(parts)) - len(parts))
        *others, last = parts
        loss = torch.zeros((), device=self.args.device)
        for part in others:
            with self.accelerator.no_sync(model):
                loss += super().training_step(  # type: ignore[no-untyped-call]
                    model, part, inputs["labels_in_step"]
                )
        loss += super().training_step(model, last, inputs["labels_in_step"])  # type: ignore[no-untyped-call]
        return loss


class SharedBatchTrainer(WholeStepTrainer):
    """Learns from the batches of `BatchCollator`: several processes share a step."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """A batch's part of the mean negative log-likelihood of a step's labels, in nats.

        Times the number of processes, whose gradients are averaged.
        """
        inner = self.accelerator.unwrap_model(model).get_base_model()
        return completion_loss(model, inner, inputs) * self.accelerator.num_processes / num_items_in_batch


class SharedPrefixTrainer(WholeStepTrainer):
    """Learns from the packs of `SharedPrefixCollator`, as many to an optimizer step as its examples fill."""

    kl_to_base: float = 0.0
    """What the divergence from the base is multiplied by in the loss; see `training.kl`."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """A pack's part of the mean negative log-likelihood of a step's labels, in nats, and of the penalty.

        Times the number of processes, whose gradients are averaged.
        """
        adapted = self.accelerator.unwrap_model(model)
        if not self.kl_to_base or "kl_in_step" not in inputs:  # no replayed example in this step
            loss = pack_loss(model, adapted.get_base_model(), inputs) / num_items_in_batch
        else:
            nll, divergence = penalised_loss(model, adapted, inputs)
            loss = nll / num_items_in_batch + self.kl_to_base * divergence / inputs["kl_in_step"]
        return loss * self.accelerator.num_processes


class ReportProgress(TrainerCallback):
    """Tells `progress` the step, the number of steps and the loss after every optimizer step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Pass on what was logged."""
        if logs and "loss" in logs:
            self._progress(state.global_step, state.max_steps, float(logs["loss"]))
