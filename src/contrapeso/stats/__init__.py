"""Statistics of right and wrong answers: intervals, paired comparisons, power, the exchange rate."""
