"""The workbench of one study: its folder, its base model (loaded at first need), and the steps done with them.

Every step is filed with the key of what it depends on, so that doing it again does nothing unless something changed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrapeso.distributed import tell
from contrapeso.evaluate import evaluate
from contrapeso.logbook import Logbook
from contrapeso.manifest import REPORT, seal, versions
from contrapeso.materials import Materials, Step
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.engine import Point, Variant
from contrapeso.names import model_name
from contrapeso.progress import Reporter, steps_bar
from contrapeso.report.record import adapter_is_whole, outcome_key, read_record, write_record
from contrapeso.settings import RunSettings
from contrapeso.shelf import bring_adapters, missing_checkpoints, said_by_base
from contrapeso.store import (
    Journal,
    StudyFolder,
    fingerprint,
    forget,
    key_file,
    read_json,
    remove,
    still_valid,
    write_atomically,
    write_json,
)
from contrapeso.study import BASELINE, Study
from contrapeso.training.checkpoints import newest_step

if TYPE_CHECKING:
    from contrapeso.models.loading import LoadedModel
    from contrapeso.models.local import LocalEngine
    from contrapeso.models.served import ServedEngine
    from contrapeso.models.sharded import Sharded
    from contrapeso.tasks.base import Task
    from contrapeso.training.examples import Example


class Bench:
    """One study at work.

    Args:
        study: what to do.
        materials: its tasks and its train set.
        steps: what is measured, in order.
        folder: where everything is filed.
        reporter: where progress goes.
        tolerated: names of audit checks whose failure withholds nothing.
    """

    def __init__(
        self,
        study: Study,
        materials: Materials,
        *,
        steps: Sequence[Step],
        folder: StudyFolder,
        reporter: Reporter,
        tolerated: Sequence[str] = (),
    ) -> None:
        self.study, self.materials, self.folder, self.reporter = study, materials, folder, reporter
        self.steps, self.tolerated = steps, tuple(tolerated)
        self.log = Logbook(folder.manifest, self._about, reporter)

    @cached_property
    def base(self) -> LoadedModel:
        """The base model; loading it is the first expensive thing a study does."""
        from contrapeso.models.loading import load_model

        settings = self.study.model
        options: dict[str, Any] = {
            "model_id": settings.id,
            "revision": self.materials.commit,
            "dtype": settings.dtype,
            "quantization": settings.quantization,
            "device": settings.device,
            "sharding": settings.sharding,
        }
        with self.log.timed(f"load {model_name(settings.id)}"):
            tell("load", **options)
            return load_model(**options)

    @cached_property
    def engine(self) -> LocalEngine | Sharded | ServedEngine:
        """What answers prompts."""
        evaluate, choice = self.study.evaluate, self.materials.engine
        if evaluate.engine != choice.engine:
            self.reporter.say(choice.reason)
        if choice.engine == "served":
            return self._served()
        return self._local()

    def _local(self) -> LocalEngine | Sharded:
        from contrapeso.models.sharded import start_local

        return start_local(
            self.base,
            batch_size_generate=self.study.evaluate.generate_batch,
            batch_size_score=self.study.evaluate.score_batch,
            say=self.reporter.say,
        )

    def _served(self) -> ServedEngine:
        """vLLM takes the GPU for itself: every run is trained first, and the base leaves."""
        import torch

        from contrapeso.models.served import ServedEngine

        adapters = list(dict.fromkeys(map(self._adapter, self.materials.points)))
        vars(self).pop("base", None)
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where CUDA was never used
        commit, dtype, model = self.materials.commit, self.materials.base_key["dtype"], self.study.model
        with self.log.timed("start vLLM"):
            return ServedEngine(
                model.id, revision=commit, dtype=dtype, quantization=model.quantization, adapters=adapters
            )

    def finished(self) -> bool:
        """Whether the folder holds exactly this study, complete, every file as it was written."""
        manifest = read_json(self.folder.manifest) or {}
        return (
            manifest.get("complete") is True
            and manifest.get("inputs") == self.inputs
            and manifest == seal(manifest, self.folder.root)
        )

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Hashes of all a study depends on."""
        parts = self.materials
        tasks = [task for task in (parts.target, parts.few_shot, parts.general) if task]
        return {
            "study": fingerprint(self.study.essence()),
            **parts.base_key,
            **{f"adapter {name}": imported.identity for name, imported in parts.imported.items()},
            **{f"task {number} ({task.name})": task.fingerprint for number, task in enumerate(tasks)},
            **{f"axis {task.name}": task.fingerprint for task, _ in parts.axes},
            **{f"replay of {run.name}": key for run in self.study.runs for key in parts.replay_key(run).values()},
            "examples": parts.examples_hash,
            "tolerated audit checks": ", ".join(self.tolerated),
            "contrapeso": versions()["contrapeso"],
        }

    def filed_summary(self) -> dict[str, Any]:
        """The summary as it lies in the folder."""
        return dict(read_json(self.folder.summary))

    def begin(self) -> None:
        """File the resolved study and what it brings along; the folder is not complete until `report` says so."""
        filed = read_json(self.folder.manifest) or {}
        if filed.get("inputs") != self.inputs:
            remove(*(self.folder.root / name for name in REPORT))  # the report of another study would be believed
        parts = self.materials
        bring_adapters(self.folder, parts, base=model_name(self.study.model.id), say=self.reporter.say)
        write_atomically(self.folder.root / "study.toml", self.study.filed().to_toml())
        record = parts.record(self.study, self.steps, tolerated=self.tolerated)
        tasks: list[Task] = [parts.target, parts.general, *(task for task, _ in parts.axes)]
        write_record(self.folder, record, {task.name: task.items for task in tasks})
        self.log.write()

    def measure(self, step: Step) -> None:
        """Outcomes of a variant on a task, from the journal as far as they are known; first of all its adapter."""
        point, task = step.point, step.task
        adapter = self._adapter(point) if point else None
        variant = Variant(step.variant, adapter, point.scale if point else 1.0)
        identity = adapter_identity(adapter) if adapter else "none"
        key = outcome_key(self.materials.outcome_key(task), identity, point)
        journal = Journal(self.folder.outcomes(step.variant, task.name), key)
        label = f"measure {step.variant} on {task.name}"
        if journal.changed:
            self.reporter.say(f"{label}: again, because of a change in {', '.join(journal.changed)}")
            self.log.forget(label)
        if len(journal.outcomes) < len(task.items):
            engine = self.engine
            with self.log.timed(label):
                evaluate(engine, variant, task, journal=journal, reporter=self.reporter)

    def check_training(self) -> None:
        """Refuse what could not be trained before anything is measured.

        Raises:
            DataError, ModelError, ResourceError: an example is too long, a layer is not there, an optimizer cannot run.
        """
        from contrapeso.training.lora import check_run

        for run in self.study.runs:
            if not self._trained(run) or missing_checkpoints(self.folder, self.materials, run, self.study.seed):
                check_run(self.base, self._rows, run)  # replayed examples are short, or cut

    def _trained(self, run: RunSettings) -> bool:
        """Whether the run's adapter lies there, whole and made from exactly these inputs."""
        adapter = self.folder.adapter(run.name)
        return adapter_is_whole(adapter) and still_valid(adapter, self.materials.adapter_key(run, self.study.seed))

    def _adapter(self, point: Point) -> Path:
        """The adapter of a point; a run's is trained unless it lies there."""
        for run in self.study.runs:
            if run.name == point.origin:
                self.train(run)
        return self.folder.adapter(point.adapter)

    def train(self, run: RunSettings) -> Path:
        """The run's adapter, trained unless it and the checkpoints to be measured lie there."""
        key = self.materials.adapter_key(run, self.study.seed)
        adapter, checkpoints = self.folder.adapter(run.name), self.folder.checkpoints(run.name)
        trained, missing = self._trained(run), missing_checkpoints(self.folder, self.materials, run, self.study.seed)
        if trained and not missing:
            forget(checkpoints)  # a kill after the adapter was filed leaves them
            return adapter
        label = f"train {run.name}" + (" again, for its checkpoints" if trained else "")
        if trained:
            steps = ", ".join(str(kept.step) for kept in missing)
            self.reporter.say(f"{run.name} was trained without keeping step {steps}: again, up to there; its end stays")
        else:
            forget(adapter)
        passed = newest_step(checkpoints) >= min((kept.step for kept in missing), default=inf)
        if passed or not still_valid(checkpoints, key):
            forget(checkpoints)
            write_json(key_file(checkpoints), dict(key))
            self.log.forget(label)
        from contrapeso.training.lora import RunFolders, train_run

        engine = vars(self).get("engine")
        if engine is not None:  # it is the local one: vLLM is started after the last run
            engine.detach()
        with self.log.timed(label), steps_bar(self.reporter, f"{run.name}: training") as progress:
            asked: dict[str, Any] = {
                "rows": [*self._rows, *self._replayed(run)],
                "settings": run,
                "seed": self.study.seed,
                "folders": RunFolders(adapter, checkpoints, missing, only_kept=trained),
            }
            tell("train", **asked)
            result = train_run(self.base, **asked, progress=progress)
        if not trained:
            write_json(adapter / "training.json", asdict(result))
            write_json(key_file(adapter), dict(key))
        forget(checkpoints)
        return adapter

    def report(self) -> dict[str, Any]:
        """Audit, summary and every file that leaves; then the folder is complete."""
        from contrapeso.rebuild import rebuild

        self.log.write()  # the page shows it
        started = time.perf_counter()
        summary = rebuild(self.folder, read_record(self.folder))
        seconds = round(time.perf_counter() - started, 3)
        self.reporter.say(f"report: {seconds:.1f} s")
        manifest = read_json(self.folder.manifest)
        manifest["timings_seconds"]["report"] = seconds
        write_json(self.folder.manifest, seal(manifest | {"complete": summary["complete"]}, self.folder.root))
        return summary

    def _replayed(self, run: RunSettings) -> list[dict[str, Any]]:
        """The examples a run replays, as tokens; what the base itself says is asked once and filed."""
        from contrapeso.training.replay import replay_rows, replayed

        if run.replay is None:
            return []
        pool: Sequence[Example] = self.materials.replay[run.name]
        if run.replay.data == "self":
            pool = said_by_base(self.folder, self.materials, pool, ask=self._ask_base)
        drawn = replayed(pool, among=len(self._rows), share=run.replay.share, seed=self.study.seed)
        longest = min(run.max_length, run.pack_tokens) if run.packing != "none" else run.max_length
        return replay_rows(self.base.tokenizer, drawn, longest=longest)

    def _ask_base(self, pool: Sequence[Example]) -> list[Example]:
        from contrapeso.training.replay import answered_by

        # vLLM comes after training; the base is here now.
        engine = self._local() if self.materials.engine.engine == "served" else self.engine
        with self.log.timed("ask the base what is replayed"):
            return answered_by(engine, Variant(BASELINE), pool)

    @cached_property
    def _rows(self) -> list[dict[str, list[int]]]:
        """The train set as tokens, the same for every run."""
        from contrapeso.training.examples import tokenize_examples

        return tokenize_examples(self.base.tokenizer, self.materials.examples)

    def _about(self) -> dict[str, Any]:
        """What the manifest says of the study itself."""
        return {"study": self.study.name, "complete": False, "seed": self.study.seed, "inputs": self.inputs}
