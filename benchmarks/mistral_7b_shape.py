"""Does the `mistral-7b` preset complete on one GPU, how long does each step take, and how much memory does it need?

In: the real Spider, MMLU and Mistral tokenizer. Out, below `--work`: a slice of both sets, a model with the shape of
Mistral-7B and random weights, the study folder, `result.json` and the same figures as a table. A forward pass costs
what it costs with real weights, but nothing has taught these to end an answer: answering takes longer, and scores mean
nothing.

    python -m benchmarks.mistral_7b_shape --spider DIR --mmlu DIR --tokenizer DIR --work DIR [--tiny]

A smaller card is stood in for by `--memory-gib`, `--dtype` and `--no-flash`; `docs/gpu-7b.md` says how far.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.random_mistral import TINY_SHAPE, save_in_own_process
from contrapeso import Study, load_study, run
from contrapeso.data import load_mmlu, load_spider
from contrapeso.store import StudyFolder
from contrapeso.tasks.base import Item

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        train: training questions.
        dev: Spider questions.
        per_subject: MMLU questions of each subject.
        shape: what differs from Mistral-7B-Instruct-v0.2, as fields of `MistralConfig`.
        overrides: what differs from the preset.
    """

    train: int
    dev: int
    per_subject: int
    shape: Mapping[str, int] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


FULL = Scale(train=32, dev=64, per_subject=2)
# One run, and every example four times, so that losses on the same examples can be compared.
SMALL_CARD = Scale(
    train=16,
    dev=24,
    per_subject=1,
    overrides=("training.epochs=4", 'runs=[{name = "Fine-Tuned Run 1", learning_rate = 2e-4}]'),
)
TINY = Scale(
    train=8,
    dev=20,
    per_subject=1,
    shape=TINY_SHAPE,
    overrides=("target.max_new_tokens=16",),
)
WITHOUT_GPU = ("model.quantization=none", "training.optimizer=adamw")


def evenly(values: Sequence[T], count: int) -> list[T]:
    """`count` of the values at equal distances, the first and the last among them; all when there are no more."""
    if count >= len(values):
        return list(values)
    if count == 1:
        return [values[0]]
    return [values[round(place * (len(values) - 1) / (count - 1))] for place in range(count)]


def slice_spider(source: Path, target: Path, *, train: int, dev: int) -> None:
    """Write a slice of a set in Spider's layout, with the databases its questions are about and no others.

    Args:
        source: the whole set.
        target: where to; files there are replaced.
        train: training questions.
        dev: evaluated questions.
    """
    chosen = {
        "train_spider.json": evenly(load_spider(source, "train"), train),
        "dev.json": evenly(load_spider(source, "dev"), dev),
    }
    databases = {item.group: item.database for items in chosen.values() for item in items}
    for name, file in databases.items():
        (target / "database" / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / "database" / name / f"{name}.sqlite")
    for file_name, items in chosen.items():
        _write_json(target / file_name, [_spider_entry(item) for item in items])
    schemas = json.loads((source / "tables.json").read_text(encoding="utf-8"))
    _write_json(target / "tables.json", [schema for schema in schemas if schema["db_id"] in databases])


def slice_mmlu(source: Path, target: Path, *, per_subject: int) -> None:
    """Write a slice of a set in MMLU's layout: some test questions of every subject, and all shots.

    Args:
        source: the whole set.
        target: where to; files there are replaced.
        per_subject: test questions of each subject.
    """
    whole = load_mmlu(source)
    for subject, shots in whole.dev.items():
        questions = [item for item in whole.test if item.group == subject]
        _write_mmlu(target / "dev" / f"{subject}_dev.csv", shots)
        _write_mmlu(target / "test" / f"{subject}_test.csv", evenly(questions, per_subject))


class Watcher:
    """A reporter that notes what was said, and after every step the largest GPU memory allocated so far."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.peaks_gib: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Note and print the line."""
        self.said.append(line)
        print(line, flush=True)

    @contextmanager
    def track(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Print a line when the step ends."""
        started = time.perf_counter()
        yield lambda count: None
        self.peaks_gib[label] = gpu_peak_gib()["allocated"]
        seconds = time.perf_counter() - started
        print(f"{label}: {total - done} in {seconds:.1f} s, GPU peak so far {self.peaks_gib[label]} GiB", flush=True)


def gpu_peak_gib() -> dict[str, float]:
    """Most memory of the GPU that tensors had at once, and that PyTorch held for them at once; 0 without a GPU."""
    import torch

    readings = {"allocated": torch.cuda.max_memory_allocated, "reserved": torch.cuda.max_memory_reserved}
    return {name: round(read() / 2**30, 2) if torch.cuda.is_available() else 0.0 for name, read in readings.items()}


def measure(study: Study, out: Path) -> dict[str, Any]:
    """Run the study, then call it again.

    Args:
        study: what to run.
        out: the study folder.

    Returns:
        Seconds of every step, peak memory, the loss of every step of training, versions, hardware, the audit, and what
        the calls said.
    """
    first, second = Watcher(), Watcher()
    started = time.perf_counter()
    summary = run(study, out, reporter=first)
    done = time.perf_counter()
    peak = gpu_peak_gib()
    run(study, out, reporter=second)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return {
        "run_seconds": round(done - started, 1),
        # What lies before the first step: reading data, hashing weights, gold queries, prompts.
        "gather_seconds": round(done - started - manifest["session_seconds"], 1),
        "steps_seconds": manifest["timings_seconds"],
        "gpu_peak_gib": peak,
        "gpu_peak_so_far_gib": first.peaks_gib,
        "process_peak_gib": manifest["peak_memory"]["process_gib"],
        "training": {run.name: _losses(StudyFolder(out).adapter(run.name)) for run in study.runs},
        "said": first.said,
        "hardware": manifest["hardware"],
        "versions": manifest["versions"],
        "audit": [check for check in summary["audit"] if check["status"] != "ok"],
        "second_call": {"seconds": round(time.perf_counter() - done, 1), "said": second.said},
    }


def prepare(arguments: argparse.Namespace, scale: Scale) -> Study:
    """Write the slice and, unless it is there, the model below `--work`; read the preset with their paths."""
    work = arguments.work.absolute()
    slice_spider(arguments.spider, work / "spider", train=scale.train, dev=scale.dev)
    slice_mmlu(arguments.mmlu, work / "mmlu", per_subject=scale.per_subject)
    if not (work / "model").is_dir():
        _write_json(work / "model.json", made := save_in_own_process(work / "model", arguments.tokenizer, scale.shape))
        print(f"model made: {made}", flush=True)
    folders = {"model.id": work / "model", "target.data": work / "spider", "general.data": work / "mmlu"}
    located = [f"{key}={json.dumps(str(folder))}" for key, folder in folders.items()]
    located.append(f"model.dtype={json.dumps(arguments.dtype)}")
    return load_study("mistral-7b", [*located, *scale.overrides, *(() if has_gpu() else WITHOUT_GPU)])


def stand_in_for_a_smaller_card(memory_gib: float | None, *, flash: bool) -> None:
    """Keep PyTorch from using what another card lacks; for this process, on its first GPU.

    Args:
        memory_gib: most memory that PyTorch may hold for tensors; CUDA itself takes some more. None is all there is.
        flash: whether attention may use the kernels (flash, cuDNN) that cards before compute capability 8.0 lack.
    """
    import torch

    if memory_gib is not None and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gib * 2**30 / total), 0)
    torch.backends.cuda.enable_flash_sdp(flash)
    torch.backends.cuda.enable_cudnn_sdp(flash)


def has_gpu() -> bool:
    """Whether PyTorch sees a CUDA GPU."""
    import torch

    return torch.cuda.is_available()


def as_table(result: Mapping[str, Any]) -> str:
    """The figures of `result.json`, as Markdown."""
    made = result["model"]
    steps = {"before the first step": result["gather_seconds"], **result["steps_seconds"]}
    second = result["second_call"]
    lines = [f"{made['parameters']:,} parameters: made in {made['make_seconds']:.1f} s, "]
    lines[0] += f"written in {made['write_seconds']:.1f} s"
    lines += ["", "| step | seconds |", "| --- | ---: |"]
    lines += [f"| {'load the model' if name.startswith('load ') else name} | {s:.1f} |" for name, s in steps.items()]
    lines += [f"| **the whole run** | **{result['run_seconds']:.1f}** |"]
    lines += [f"| the same call again ({'; '.join(second['said'])}) | {second['seconds']:.1f} |"]
    lines += ["", "| largest so far after | GPU memory of tensors, GiB |", "| --- | ---: |"]
    lines += [f"| {step} | {peak:.2f} |" for step, peak in result["gpu_peak_so_far_gib"].items()]
    lines += ["", *(f"{run}, loss by step: {training['loss']}" for run, training in result["training"].items())]
    lines += ["", f"GPU peak {result['gpu_peak_gib']} GiB, process peak {result['process_peak_gib']} GiB"]
    return "\n".join([*lines, json.dumps(result["hardware"]), json.dumps(result["versions"])])


def main(words: Sequence[str] | None = None) -> None:
    """Parse, prepare, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--spider", type=Path, required=True, help="folder in Spider's layout")
    parser.add_argument("--mmlu", type=Path, required=True, help="folder in MMLU's layout")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with Mistral's tokenizer")
    parser.add_argument("--work", type=Path, required=True, help="where everything is written; 16 GB")
    parser.add_argument("--tiny", action="store_true", help="a small model and a smaller slice, to test this script")
    parser.add_argument("--dtype", default="auto", help="model.dtype, such as float16")
    parser.add_argument("--memory-gib", type=float, help="most that PyTorch may hold on the GPU; takes a smaller slice")
    parser.add_argument("--no-flash", action="store_true", help="attention as on cards before compute capability 8.0")
    arguments = parser.parse_args(words)
    if arguments.memory_gib is not None and arguments.memory_gib <= 0:
        parser.error(f"--memory-gib {arguments.memory_gib}: give a size above 0")
    if not (arguments.tiny or has_gpu()):
        parser.error("7 billion parameters in 4 bits need a CUDA GPU; --tiny runs the same steps on a CPU")
    full = FULL if arguments.memory_gib is None else SMALL_CARD
    study = prepare(arguments, TINY if arguments.tiny else full)
    stand_in_for_a_smaller_card(arguments.memory_gib, flash=not arguments.no_flash)
    work, filed = arguments.work.absolute(), arguments.work / "result.json"
    if filed.is_file():
        run(study, work / "study", reporter=Watcher())
    else:
        model = json.loads((work / "model.json").read_text(encoding="utf-8"))
        _write_json(filed, {"model": model, **measure(study, work / "study")})
    print(as_table(json.loads(filed.read_text(encoding="utf-8"))))


def _losses(adapter: Path) -> dict[str, Any]:
    """Loss and gradient norm (before clipping) of every step, from what training filed beside an adapter."""
    history = json.loads((adapter / "training.json").read_text(encoding="utf-8"))["history"]
    return {name: [step.get(name) for step in history] for name in ("loss", "grad_norm")}


def _spider_entry(item: Item) -> dict[str, str]:
    return {"db_id": item.group, "question": item.question, "query": item.gold}


def _write_mmlu(file: Path, items: Sequence[Item]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([i.question, *(i.choices or ()), i.gold] for i in items)


def _write_json(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
