"""What a study can see: the smallest paired difference that a number of items can tell from noise.

Used before a study (with an assumed share of changed items) and after it (with the share measured).
"""

from __future__ import annotations

from math import sqrt

from scipy.stats import norm

from contrapeso.errors import DataError

POWER = 0.80
SIGNIFICANCE = 0.05


def smallest_detectable_difference(n: int, discordant_share: float, *, design_effect: float = 1.0) -> float | None:
    """Smallest true difference that McNemar's test finds with 80 % power at two-sided 5 %.

    The sample size formula n = (z_a sqrt(s) + z_b sqrt(s - d^2))^2 / d^2, solved for d:

        d = sqrt(s) (z_a sqrt(n) + z_b sqrt(n + z_b^2 - z_a^2)) / (n + z_b^2)

    with s the share of items on which the variants disagree, z_a = 1.960 and z_b = 0.842. Clustering costs items: n
    is divided by the design effect first.

    Args:
        n: number of items.
        discordant_share: s, in [0, 1]. Measured: 0.10 between a 7B model and its adapter on MMLU, 0.19 to 0.21
            between three good text-to-SQL systems on Spider dev.
        design_effect: how much clustering inflates the variance, >= 1 as a rule; `Comparison.design_effect`.

    Returns:
        The difference as a fraction; None when even changes in a single direction would be too few to be seen.

    Raises:
        DataError: an argument is out of range.

    Source: Connor (1987), "Sample size for testing differences in proportions for the paired-sample design",
        Biometrics 43, eq. 4, after Miettinen (1968).
    """
    if n < 1 or not 0 <= discordant_share <= 1 or design_effect <= 0:
        raise DataError(
            f"no smallest detectable difference for n={n}, discordant_share={discordant_share}, "
            f"design_effect={design_effect}: need n >= 1, a share in [0, 1] and a positive design effect"
        )
    effective = n / design_effect
    z_significance, z_power = norm.ppf(1 - SIGNIFICANCE / 2), norm.ppf(POWER)
    inside = effective + z_power**2 - z_significance**2
    if inside < 0 or discordant_share == 0:
        return None
    difference = (
        sqrt(discordant_share) * (z_significance * sqrt(effective) + z_power * sqrt(inside)) / (effective + z_power**2)
    )
    return float(difference) if difference <= discordant_share else None
