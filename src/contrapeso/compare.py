"""Compare two systems that answered the same items: `contrapeso compare`.

`Answers` enter; one JSON-ready dictionary leaves, and from it the lines on the console. Two accuracies alone throw the
pairing away: on 12,343 MMLU questions, a Llama-2-7B before and after 200 steps of LoRA, 675 lost against 593 gained is
p = 0.02, while the two accuracies as independent samples are z = 1.05. With a table of one row a question:

    contrapeso compare mmlu.csv --columns correct_0 correct_200 --group subject
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from statistics import NormalDist
from typing import Any

from contrapeso.answers import Answers
from contrapeso.errors import StudyError
from contrapeso.report.text import p_value, percent, points, span
from contrapeso.stats.paired import RESAMPLES, Scheme, compare, equivalence, verdict

SEED = 0
MARGIN = 0.02
MOST_GROUPS = 3
RESAMPLED = {
    "cluster": "groups (by {group}) are resampled whole: the verdict is about other groups too",
    "stratified": "items are resampled within each group (by {group}): the verdict is about these groups",
    "items": "items are resampled: the verdict is about more items like these",
}


def compare_answers(answers: Answers, *, scheme: Scheme | None = None, margin: float = MARGIN) -> dict[str, Any]:
    """The paired comparison, in words and numbers.

    Args:
        answers: who was right on what.
        scheme: `cluster` or `stratified`; None takes the one that fits the answers.
        margin: the largest difference that would not matter, fraction.

    Returns:
        `verdict` in words; `delta` (after - before) with its interval `ci`, fractions; `lost`, `gained` and their
        items; `p` of the exact McNemar test, and `p_verdict`, which the verdict rests on (see `stats.paired`);
        `groups` with what each lost and gained; `unpaired`, what the two accuracies alone would say.

    Raises:
        DataError: the margin is not between 0 and 1.
        StudyError: a scheme was chosen although there are no groups.
    """
    if scheme and not answers.group:
        raise StudyError(f"the scheme {scheme!r} needs groups: name their column with --group")
    paired = compare(answers.before, answers.after, answers.groups, scheme=scheme or answers.scheme, seed=SEED)
    harmless = equivalence(paired, margin)
    accuracies = (sum(answers.before) / paired.n, sum(answers.after) / paired.n)
    return {
        "names": list(answers.names),
        "n": paired.n,
        "accuracies": list(accuracies),
        "delta": paired.delta,
        "ci": list(paired.ci),
        "lost": paired.lost,
        "gained": paired.gained,
        "p": paired.p,
        "p_verdict": paired.p_verdict,
        "verdict": verdict(paired, paired.p_verdict, margin=margin),
        "equivalence": {"margin": margin, "p": harmless.p, "ci": list(harmless.ci)},
        "scheme": paired.scheme,
        "resampling": {"resamples": RESAMPLES, "seed": SEED},
        "unpaired": _unpaired(*accuracies, paired.n),
        "group": answers.group,
        "groups": _by_group(answers) if answers.group else {},
        "lost_items": [answers.items[place] for place in paired.lost_items],
        "gained_items": [answers.items[place] for place in paired.gained_items],
    }


def comparison_lines(comparison: Mapping[str, Any]) -> list[str]:
    """What `contrapeso compare` prints."""
    groups, group, scheme = comparison["groups"], comparison["group"], comparison["scheme"]
    within = f" in {len(groups)} group{'s' * (len(groups) > 1)} by {group}" if groups else ""
    before, after = map(percent, comparison["accuracies"])
    test = f"exact McNemar p {_p(comparison['p'])}"
    if scheme == "cluster":
        test += f"; the verdict rests on p {_p(comparison['p_verdict'])}, the larger of it and the cluster-robust one"
    unpaired = comparison["unpaired"]
    z = "infinite" if unpaired["z"] is None else f"= {_signed(unpaired['z'], '.2f')}"
    lines = [
        f"{' -> '.join(comparison['names'])}: {comparison['n']:,} items{within}",
        f"verdict: {comparison['verdict']}",
        f"accuracy: {before} -> {after}, difference {points(comparison['delta'])} points "
        f"{span(comparison['ci'], signed=True)} at 95 %",
        f"changed: {comparison['lost']:,} lost, {comparison['gained']:,} gained; {test}",
        f"unpaired: the two accuracies alone would give z {z}, p {_p(unpaired['p'])}",
        f"interval: {RESAMPLED[scheme].format(group=group)}",
    ]
    return lines + ([_groups_line(groups)] if len(groups) > 1 else [])


def _unpaired(before: float, after: float, n: int) -> dict[str, float | None]:
    """Two accuracies as if of independent samples: z = (b - a) / sqrt((a (1 - a) + b (1 - b)) / n), for contrast.

    From all right to all wrong, or back, z is infinite: None.
    """
    error = sqrt((before * (1 - before) + after * (1 - after)) / n)
    if not error:
        return {"z": 0.0, "p": 1.0} if before == after else {"z": None, "p": 0.0}
    z = (after - before) / error
    return {"z": z, "p": 2 * NormalDist().cdf(-abs(z))}


def _by_group(answers: Answers) -> dict[str, dict[str, int]]:
    groups = {name: {"n": 0, "lost": 0, "gained": 0} for name in sorted(set(answers.groups))}
    for name, before, after in zip(answers.groups, answers.before, answers.after, strict=True):
        groups[name]["n"] += 1
        groups[name]["lost"] += before and not after
        groups[name]["gained"] += after and not before
    return groups


def _groups_line(groups: Mapping[str, Mapping[str, int]]) -> str:
    """The groups that lost and gained most, in items on balance."""
    balance = {name: group["gained"] - group["lost"] for name, group in groups.items()}
    ranked = sorted(balance, key=balance.__getitem__)

    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"{name} {_signed(balance[name], '+d')} of {groups[name]['n']}" for name in names) or "none"

    most_lost = [name for name in ranked[:MOST_GROUPS] if balance[name] < 0]
    most_gained = [name for name in ranked[: -MOST_GROUPS - 1 : -1] if balance[name] > 0]
    return f"groups: most lost {listed(most_lost)}; most gained {listed(most_gained)}"


def _signed(number: float, form: str) -> str:
    """A number with a true minus sign, as `points` writes it."""
    return format(number, form).replace("-", "−")


def _p(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
