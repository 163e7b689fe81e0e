"""The whole experiment on one screen: measure the base, train and measure every run, write the report.

A `Study` enters; the study folder and its summary leave. Below this module nothing knows a `Study`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrapeso.distributed import is_main, tell, together
from contrapeso.follower import END, follow
from contrapeso.progress import Reporter, Silent
from contrapeso.store import open_folder
from contrapeso.study import BASELINE, Study

if TYPE_CHECKING:
    from contrapeso.materials import Materials, Step


def run(
    study: Study, out: str | Path, *, reporter: Reporter | None = None, allow_failing_audit: Sequence[str] = ()
) -> dict[str, Any]:
    """Run a study, or the part of it that is not done yet.

    Args:
        study: what to do.
        out: the study folder; made when missing, resumed when there.
        reporter: where progress goes; nowhere by default.
        allow_failing_audit: names of audit checks whose failure does not withhold numbers.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        ContrapesoError: see `errors.py`; what was finished stays and the same call resumes.
    """
    # Imported here, so that `import contrapeso` stays light.
    from contrapeso.audit import require_known_checks
    from contrapeso.bench import Bench
    from contrapeso.gathering import gather
    from contrapeso.sql import Sandbox

    reporter = reporter or Silent()
    tolerated = require_known_checks(allow_failing_audit)
    with ExitStack() as stack:
        stack.enter_context(together())
        if not is_main():
            summary: dict[str, Any] = follow()
            return summary
        sandbox = stack.enter_context(Sandbox(workers=study.evaluate.sql_workers))
        materials = gather(study, sandbox)  # first, so that a study that cannot run leaves no folder
        folder = stack.enter_context(open_folder(Path(out)))
        steps = planned(study, materials)
        bench = Bench(study, materials, steps=steps, folder=folder, reporter=reporter, tolerated=tolerated)
        if bench.finished():
            reporter.say(f"{folder.root} holds this study, complete: nothing to do")
            summary = bench.filed_summary()
        else:
            bench.begin()
            bench.check_training()
            for step in steps:
                bench.measure(step)
            summary = bench.report()
        tell(END, result=summary)
        return summary


def planned(study: Study, materials: Materials) -> list[Step]:
    """What is measured, in order: the base, the base with shots in its prompt, every run and imported adapter, and
    then the checkpoints and scaled adapters between them and the base. The latter are not asked about further axes.
    """
    from contrapeso.materials import Step

    both = (materials.target, materials.general)
    steps = [Step(BASELINE, task) for task in both]
    if materials.few_shot:
        shots = f"{study.target.baseline_shots}-shot"
        steps.append(Step(f"{BASELINE} ({shots})", materials.few_shot, prompt_note=shots))
    steps += [Step(BASELINE, task, axis=axis) for task, axis in materials.axes]
    runs = {settings.name: settings for settings in study.runs}
    for point in materials.points:
        run = runs.get(point.origin)
        asked = [materials.probes.get(task.name, task) if point.probe else task for task in both]
        steps += [Step(point.name, task, run=run, point=point) for task in asked]
        if not point.intermediate:
            steps += [Step(point.name, task, run=run, point=point, axis=axis) for task, axis in materials.axes]
    return steps
