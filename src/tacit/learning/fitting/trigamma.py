"""The trigamma function, without the second that it takes to import a library which has it."""

from __future__ import annotations

_LARGE = 12.0
"""From here on the series is exact to the last digits of a float."""


def trigamma(x: float) -> float:
    """ψ′(x), the second derivative of the logarithm of the gamma function, for x above 0.

    ψ′(x) = ψ′(x + 1) + 1/x² until x is large, then its asymptotic series in Bernoulli numbers (M. Abramowitz and
    I. Stegun, "Handbook of Mathematical Functions", 6.4.6 and 6.4.12).
    """
    found = 0.0
    while x < _LARGE:
        found += 1 / (x * x)
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * (5 / 66 - y * 691 / 2730)))))
    return found + (1 + 1 / (2 * x) + series) / x
