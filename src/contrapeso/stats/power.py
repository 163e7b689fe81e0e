"""What a study can see: the smallest paired difference that a number of items can tell from noise.

Used before a study (with an assumed share of changed items and an assumed correlation within databases) and after it
(with both measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

from contrapeso.errors import DataError
from contrapeso.stats.distributions import quantile
from contrapeso.stats.intervals import SIGNIFICANCE

POWER = 0.80

DATABASE_CORRELATION = 0.04
"""Intraclass correlation of paired differences within a database. Measured on Spider dev (analysis of variance) between
the published predictions of DIN-SQL with GPT-4, DTS-SQL with Mistral-7B and zero-shot ChatGPT, by the official
evaluator's verdicts: 0.038, 0.047 and 0.005, which are design effects of 4.2, 5.2 and 1.5."""


def assumed_design_effect(sizes: Sequence[int], *, correlation: float = DATABASE_CORRELATION) -> float:
    """Design effect to expect of a paired difference over clusters of these sizes, before anything is measured.

        1 + (sum n_g^2 / sum n_g - 1) * correlation

    3.7 for Spider's dev split.

    Args:
        sizes: items of each cluster.
        correlation: intraclass correlation of the differences.

    Returns:
        The design effect, >= 1.

    Raises:
        DataError: there is no item.

    Source: Kish (1965), "Survey Sampling", section 5.4, with the size-weighted mean for uneven clusters.
    """
    if not sum(sizes):
        raise DataError(f"no design effect for clusters of sizes {list(sizes)}; name at least one item")
    return 1 + (sum(size**2 for size in sizes) / sum(sizes) - 1) * correlation


def smallest_detectable_difference(
    n: int, discordant_share: float, *, design_effect: float = 1.0, degrees: float = inf
) -> float | None:
    """Smallest true difference that the paired test finds with 80 % power at two-sided 5 %.

    The sample size formula n = (z_a sqrt(s) + z_b sqrt(s - d^2))^2 / d^2, solved for d:

        d = sqrt(s) (z_a sqrt(n) + z_b sqrt(n + z_b^2 - z_a^2)) / (n + z_b^2)

    with s the share of items on which the variants disagree, z_a = 1.960 and z_b = 0.842. Clustering costs items: n
    is divided by the design effect first, and the quantiles are Student's.

    Args:
        n: number of items.
        discordant_share: s, in [0, 1]. Measured: 0.10 between a 7B model and its adapter on MMLU, 0.19 to 0.21
            between three good text-to-SQL systems on Spider dev.
        design_effect: how much clustering inflates the variance, >= 1 as a rule; `Comparison.design_effect`.
        degrees: degrees of freedom of the standard error; `Comparison.degrees`, or `means.degrees_of_freedom` before.

    Returns:
        The difference as a fraction; None when even changes in a single direction would be too few to be seen.

    Raises:
        DataError: an argument is out of range.

    Source: Connor (1987), "Sample size for testing differences in proportions for the paired-sample design",
        Biometrics 43, eq. 4, after Miettinen (1968).
    """
    if n < 1 or not 0 <= discordant_share <= 1 or design_effect <= 0 or degrees <= 0:
        raise DataError(
            f"no smallest detectable difference for n={n}, discordant_share={discordant_share}, "
            f"design_effect={design_effect}, degrees={degrees}: need n >= 1, a share in [0, 1], and a design effect "
            "and degrees of freedom above 0"
        )
    effective = n / design_effect
    at_significance, at_power = quantile(1 - SIGNIFICANCE / 2, degrees), quantile(POWER, degrees)
    inside = effective + at_power**2 - at_significance**2
    if inside < 0 or discordant_share == 0:
        return None
    difference = (
        sqrt(discordant_share)
        * (at_significance * sqrt(effective) + at_power * sqrt(inside))
        / (effective + at_power**2)
    )
    return difference if difference <= discordant_share else None
