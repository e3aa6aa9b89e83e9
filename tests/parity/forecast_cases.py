"""What is compared with scoringrules, properscoring and statsmodels: forecasts and what came.

Everything random comes from NumPy, and a fixture records what was drawn. NumPy only.
"""

from pathlib import Path
from typing import Any

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
Case = dict[str, Any]


def draw() -> Case:
    """Returns targets, and forecasts of each kind."""
    rng = np.random.default_rng(6)
    size, count = 7, 3
    levels = np.arange(1, 10) / 10
    return {
        "targets": rng.normal(0, 2, size).tolist(),
        "loc": rng.normal(0, 1, size).tolist(),
        "scale": rng.uniform(0.3, 2, size).tolist(),
        "df": rng.uniform(2.1, 30, size).tolist(),
        "weights": rng.dirichlet(np.ones(count), size).tolist(),
        "means": rng.normal(0, 2, (size, count)).tolist(),
        "scales": rng.uniform(0.3, 2, (size, count)).tolist(),
        "samples": rng.normal(0, 2, (size, 11)).tolist(),
        "levels": levels.tolist(),
        "quantiles": np.sort(rng.normal(0, 2, (size, len(levels))), axis=1).tolist(),
    }


def draw_series() -> Case:
    """Returns a series that an autoregression is fitted to."""
    rng = np.random.default_rng(7)
    values = [1.0, 2.0, 1.5]
    for noise in rng.normal(0, 0.5, 57):
        values.append(0.7 + 0.9 * values[-1] - 0.4 * values[-2] + 0.1 * values[-3] + noise)
    return {"values": values, "order": 3, "horizon": 4}
