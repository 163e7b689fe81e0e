"""What buys back forgetting, and at what price? Learning rate x scaling x replay x KL on the pocket model, five seeds.

    python -m benchmarks.frontier [--seeds 5] [--work results/frontier] [--json FILE] [--figure FILE] [--tiny]

Every seed is one study of `contrapeso.run`: the base, and for each learning rate a run without anything, with replay,
with the penalty towards the base, and with both; each of them measured as trained and scaled. A seed decides the
initial matrices, the order of examples and what is replayed. Two studies run at a time, one thread each; studies that
are finished are not done again. In: nothing but the pocket sets. Out: a table of means over seeds with their t
intervals, differences from the plain run paired by seed, a JSON file, a figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from contrapeso.names import scaled_name
from contrapeso.stats.distributions import quantile

RATES = ("3e-3", "6e-3")
MITIGATIONS: dict[str, dict[str, str]] = {
    "plain": {},
    "replay": {"replay": '{data = "general", share = 0.05}'},
    "KL": {"kl_to_base": "1.0"},
    "replay and KL": {"replay": '{data = "general", share = 0.05}', "kl_to_base": "1.0"},
}
SCALES = (0.5, 1.0)
STUDY = """\
name = "frontier"
seed = {seed}

[model]
id = "pocket"

[target]
data = "pocket"
schema_style = "compact"
max_new_tokens = 64
baseline_shots = 0
{limits}
[general]
data = "pocket"
shots = 4
limit_per_subject = {subject}

[training]
rank = 16
alpha = 32
dropout = 0.0
epochs = 1
batch_size = 16
scheduler = "cosine"
checkpoint_steps = 1000
packing = "shared_prefix"
pack_tokens = 4096

{runs}
[evaluate]
generate_batch = 64
score_batch = 64
sql_workers = 1
scales = {scales}
"""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % t interval, in points."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


@dataclass(frozen=True)
class Row:
    """One way to train and scale, over all seeds.

    Attributes:
        rate: learning rate.
        mitigation: key of `MITIGATIONS`.
        scale: of the update.
        gain, loss: points of the target gained, of the general task lost.
        gain_change, loss_change: the same less the plain run at scale 1 with the same rate and seed; None for that run.
    """

    rate: str
    mitigation: str
    scale: float
    gain: Estimate
    loss: Estimate
    gain_change: Estimate | None
    loss_change: Estimate | None


def run_name(rate: str, mitigation: str) -> str:
    """Display name of a run: `1e-3 replay`."""
    return f"{rate} {mitigation}"


def study_text(seed: int, *, tiny: bool) -> str:
    """The study file of one seed."""
    runs = [
        "\n".join(
            (
                "[[runs]]",
                f'name = "{run_name(rate, mitigation)}"',
                f"learning_rate = {rate}",
                *(f"{key} = {value}" for key, value in settings.items()),
                "",
            )
        )
        for rate in RATES
        for mitigation, settings in MITIGATIONS.items()
    ]
    limits = "limit = 24\ntrain_limit = 32\n" if tiny else ""
    return STUDY.format(seed=seed, limits=limits, subject=2 if tiny else 20, runs="\n".join(runs), scales=list(SCALES))


def run_seed(seed: int, work: Path, *, tiny: bool) -> dict[str, Any]:
    """Run or resume the study of one seed; returns its summary.

    Raises:
        subprocess.CalledProcessError: the study failed; its own message stands on stderr.
    """
    folder = work / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "frontier.toml"
    file.write_text(study_text(seed, tiny=tiny), encoding="utf-8")
    command = [sys.executable, "-m", "contrapeso", "run", str(file), "--out", str(folder / "out")]
    if tiny:
        command += ["--allow-failing-audit", "unstopped_answers", "--allow-failing-audit", "below_chance"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # two studies, one core each
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, env=environment)
    summary: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    return summary


def trades(summary: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Variant -> (gain, loss) in points."""
    return {row["variant"]: (100 * row["gain"], 100 * row["loss"]) for row in summary["tradeoff"]}


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and t interval of one number a seed; a single seed has no interval."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, mean, mean)
    half = quantile(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half)


def rows_of(of_seeds: Sequence[Mapping[str, tuple[float, float]]]) -> list[Row]:
    """One row for every rate, mitigation and scale, over all seeds.

    Args:
        of_seeds: `trades` of each seed.
    """
    rows = []
    for rate in RATES:
        plain = run_name(rate, "plain")
        for mitigation in MITIGATIONS:
            for scale in sorted(SCALES, reverse=True):
                name = scaled_name(run_name(rate, mitigation), scale)
                gains, losses = zip(*(seed[name] for seed in of_seeds), strict=True)
                changes = [
                    None if name == plain else estimate([seed[name][axis] - seed[plain][axis] for seed in of_seeds])
                    for axis in (0, 1)
                ]
                rows.append(Row(rate, mitigation, scale, estimate(gains), estimate(losses), *changes))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| learning rate | trained | scale | Spider gained | MMLU lost | gain against plain | loss against plain |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        change = (str(row.gain_change or "–"), str(row.loss_change or "–"))
        cells = (row.rate, row.mitigation, f"{row.scale:g}", str(row.gain), str(row.loss), *change)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], file: Path) -> None:
    """Gain against loss, one point a row with its intervals, the scales of one run joined by a line."""
    import altair as alt
    import vl_convert

    data = alt.Data(
        values=[
            {
                "rate": row.rate,
                "trained": row.mitigation,
                "scale": row.scale,
                **{f"gain_{k}": v for k, v in asdict(row.gain).items()},
                **{f"loss_{k}": v for k, v in asdict(row.loss).items()},
            }
            for row in rows
        ]
    )
    origin = [{"trained": t, "rate": r, "scale": 0, "gain_mean": 0, "loss_mean": 0} for t in MITIGATIONS for r in RATES]
    inks = alt.Scale(domain=list(MITIGATIONS), range=["#444444", "#1b6ca8", "#c4531a", "#4b8b3b"])
    colour = alt.Color("trained:N", title=None, scale=inks)
    x = alt.X("loss_mean:Q", title="MMLU lost, points")
    y = alt.Y("gain_mean:Q", title="Spider gained, points")
    base = alt.Chart(data).encode(color=colour)
    lines = (
        alt.Chart(alt.Data(values=[*data.values, *origin]))
        .mark_line(opacity=0.6)
        .encode(x=x, y=y, color=colour, strokeDash=alt.StrokeDash("rate:N", title="rate"), order="scale:Q")
    )
    chart = alt.layer(
        lines,
        base.mark_rule(opacity=0.5).encode(x="loss_low:Q", x2="loss_high:Q", y=y),
        base.mark_rule(opacity=0.5).encode(x=x, y="gain_low:Q", y2="gain_high:Q"),
        base.mark_point(filled=True, size=70).encode(x=x, y=y, shape=alt.Shape("scale:N", title="scale")),
    ).properties(width=560, height=380)
    file.write_bytes(vl_convert.vegalite_to_png(chart.to_json(), scale=2))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every seed, print the table, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("results/frontier"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a few items and steps, to try the script")
    asked = parser.parse_args(arguments)
    with ThreadPoolExecutor(max_workers=2) as pool:
        summaries = list(pool.map(lambda seed: run_seed(seed, asked.work, tiny=asked.tiny), range(asked.seeds)))
    rows = rows_of([trades(summary) for summary in summaries])
    print(f"Means over {asked.seeds} seeds with 95 % t intervals, points.\n\n{table(rows)}")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    if asked.figure:
        draw(rows, asked.figure)


if __name__ == "__main__":
    main()
