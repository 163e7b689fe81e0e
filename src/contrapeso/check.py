"""Before a study runs: is everything there, does it fit, and what could it show? Seconds, no weights."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from contrapeso.axes import read_axes
from contrapeso.distributed import size
from contrapeso.errors import ContrapesoError, ResourceError
from contrapeso.gathering import look_at_imported, name_base, plan_points, read_general, read_target
from contrapeso.models.loading import load_tokenizer, resolve_device, resolve_dtype
from contrapeso.models.resources import free_memory_gib, weights_memory_gib
from contrapeso.stats.means import degrees_of_freedom
from contrapeso.stats.power import assumed_design_effect, smallest_detectable_difference
from contrapeso.study import Study
from contrapeso.tasks import choose_shots
from contrapeso.training.replay import replay_pool

TARGET_DISCORDANT, GENERAL_DISCORDANT = 0.30, 0.10
"""Assumed shares of items whose outcome fine-tuning changes; the report gives the shares measured."""
FEW_DATABASES = 8
"""With fewer, the small-sample quantile alone widens the interval by a fifth and more (t with 7 degrees: 2.36)."""
COARSE = 0.10
"""A study that cannot see ten points gets a warning."""
DISK_GIB = 1.0
"""Generous for adapters and their checkpoints; the base model is not copied."""


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Attributes:
        subject: what was looked at.
        status: `ok`, `warn`, or `fail` when the study cannot run.
        detail: what was found, and for a `fail` what to do.
        exit_code: what the command exits with when this is the obstacle.
    """

    subject: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    exit_code: int = 0


def check(study: Study, out: Path) -> list[Finding]:
    """Look at everything a study needs.

    Args:
        study: what is to run.
        out: the study folder it would write to.

    Returns:
        Findings in reading order; the study can run when none is `fail`.
    """
    looks: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("target", lambda: _target(study)),
        ("general", lambda: _general(study)),
        ("axes", lambda: _axes(study)),
        ("replay", lambda: _replay(study)),
        ("model", lambda: [_model(study)]),
        ("variants", lambda: _variants(study)),
        ("memory", lambda: [_memory(study)]),
        ("disk", lambda: [_disk(study, out)]),
    )
    findings: list[Finding] = []
    for subject, look in looks:
        try:
            findings += look()
        except ContrapesoError as error:
            if not any(finding.detail == str(error) for finding in findings):
                findings.append(Finding(subject, "fail", str(error), error.exit_code))
    return findings


def _target(study: Study) -> list[Finding]:
    train, items = read_target(study.target)
    counted = [item for item in items if not item.left_out]
    apart = f", {len(items) - len(counted)} reported apart" if len(counted) < len(items) else ""
    databases = len({item.group for item in counted})
    most_shots = max(study.target.shots, study.target.baseline_shots)
    choose_shots(train, most_shots, seed=study.seed)
    return [
        Finding("target", "ok", f"{len(counted):,} questions on {databases} databases{apart}"),
        Finding("train", "ok", f"{len(train):,} examples, {len(study.runs)} runs"),
        _few_databases(databases),
        smallest_effect(
            "smallest gain to be seen",
            len(counted),
            TARGET_DISCORDANT,
            databases=list(Counter(item.group for item in counted).values()),
        ),
    ]


def _few_databases(databases: int) -> Finding:
    if databases < FEW_DATABASES:
        detail = f"only {databases}: the interval of a gain resamples databases and will be wide; evaluate more of them"
        return Finding("databases", "warn", detail)
    return Finding("databases", "ok", f"{databases}; the interval of a gain resamples databases")


def _general(study: Study) -> list[Finding]:
    items = [item for item in read_general(study.general).items if not item.left_out]
    return [
        Finding("general", "ok", f"{len(items):,} questions in {len({item.group for item in items})} subjects"),
        smallest_effect("smallest loss to be seen", len(items), GENERAL_DISCORDANT),
    ]


def _axes(study: Study) -> list[Finding]:
    if not study.axes:
        return []
    found = read_axes(study.axes, read_general(study.general), seed=study.seed)
    return [Finding(f"axis {task.name}", "ok", f"{axis.kind}, {len(task.items):,} items") for task, axis in found]


def smallest_effect(subject: str, n: int, discordant_share: float, *, databases: Sequence[int] = ()) -> Finding:
    """The smallest difference the study could show, as a line of the check.

    Args:
        subject: what the line is called.
        n: number of questions.
        discordant_share: assumed share of questions whose outcome changes.
        databases: questions of each database, when changes within one go together; how much is
            `power.DATABASE_CORRELATION`.

    Returns:
        `ok`, or `warn` when not even ten points could be seen.
    """
    assumption = f"with {n:,} questions when {discordant_share:.0%} of the outcomes change"
    design_effect, degrees = 1.0, inf
    if len(databases) > 1:
        design_effect, degrees = assumed_design_effect(databases), degrees_of_freedom(databases)
        assumption += f" and databases differ as much as Spider's (design effect {design_effect:.1f})"
    assumption += " (80 % power, two-sided 5 %)"
    smallest = smallest_detectable_difference(n, discordant_share, design_effect=design_effect, degrees=degrees)
    if smallest is None:
        return Finding(subject, "warn", f"none {assumption}; evaluate more questions")
    status: Literal["ok", "warn"] = "warn" if smallest > COARSE else "ok"
    return Finding(subject, status, f"{100 * smallest:.1f} points {assumption}")


def _replay(study: Study) -> list[Finding]:
    if not any(run.replay for run in study.runs):
        return []
    general = read_general(study.general)
    return [
        Finding(f"replay of {run.name}", "ok", f"{len(replay_pool(run.replay, general)):,} examples to draw from")
        for run in study.runs
        if run.replay
    ]


def _model(study: Study) -> Finding:
    model = study.model
    base = name_base(model)
    load_tokenizer(model.id, model.revision)
    how = f"{resolve_device(model.device)}, {base['dtype']}, quantization {base['quantization']}"
    return Finding("model", "ok", f"{model.id} ({base['model'][:19]}) on {how}")


def _variants(study: Study) -> list[Finding]:
    """What is measured beside the runs, and whether the adapters trained elsewhere fit."""
    train, _ = read_target(study.target)
    points = plan_points(study, len(train))
    findings = [
        Finding(
            f"adapter {name}",
            "ok",
            "fits the base model; "
            + (f"names {imported.trained_on} as its base" if imported.trained_on else "names no base"),
        )
        for name, imported in look_at_imported(study, study.model.revision).items()
    ]
    between = sum(point.intermediate for point in points)
    if between:
        items = study.evaluate.probe_items
        on = f"{items} items of each task" if items else "all items"
        findings.append(Finding("points", "ok", f"{between} checkpoints and scaled adapters, measured on {on}"))
    return findings


def _memory(study: Study) -> Finding:
    model = study.model
    device = resolve_device(model.device)
    weights = weights_memory_gib(
        model.id, revision=model.revision, dtype=resolve_dtype(model.dtype, device), quantization=model.quantization
    )
    if weights is None:
        return Finding("memory", "warn", f"unknown: the weights of {model.id} are not on this machine yet")
    weights /= _parts(model.sharding, device)
    free = free_memory_gib(device)
    need = weights * 1.2 + 1.5  # activations, caches and libraries
    detail = f"about {need:.1f} GiB needed on {device} ({weights:.1f} GiB of weights), {free:.1f} GiB free"
    if weights > free:
        raise ResourceError(f'{detail}: set model.quantization = "nf4", or take a smaller model or a larger machine')
    return Finding("memory", "warn" if need > free else "ok", detail)


def _parts(sharding: str, device: str) -> int:
    """Into how many parts weights are divided: one for every process there is, or that all GPUs of the machine take."""
    if sharding == "none" or device == "cpu":  # processes on one CPU share its memory
        return 1
    import torch

    return size() if size() > 1 else max(1, torch.cuda.device_count())


def _disk(study: Study, out: Path) -> Finding:
    existing = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    detail = f"{free:.1f} GiB free at {existing}, about {DISK_GIB} GiB needed for checkpoints and reports"
    if free < DISK_GIB:
        raise ResourceError(f"{detail}: free space or choose another --out")
    return Finding("disk", "ok", detail)
