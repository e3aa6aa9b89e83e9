"""What is compared with hmmlearn: four families, each on a ragged batch from a start of its own.

Everything random comes from NumPy, and a fixture records what was drawn. NumPy only.
"""

import zlib
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = ("categorical", "gaussian", "gaussian_full", "poisson")
ITERATIONS = 8
LENGTHS = (7, 31, 1, 12)  # not sorted; a row of a single step
NUM_STATES, SIZE, NUM_SYMBOLS = 3, 2, 5

Arrays = dict[str, np.ndarray]


def draw(name: str) -> Arrays:
    """Returns a start in probabilities, and the observations of all rows end to end."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    states = rng.integers(0, NUM_STATES, sum(LENGTHS))
    arrays = {
        "lengths": np.array(LENGTHS),
        "initial": rng.dirichlet(np.ones(NUM_STATES)),
        "transition": rng.dirichlet(np.ones(NUM_STATES), NUM_STATES),
    }
    if name == "categorical":
        arrays["probs"] = rng.dirichlet(np.ones(NUM_SYMBOLS), NUM_STATES)
        table = rng.dirichlet(np.ones(NUM_SYMBOLS), NUM_STATES)
        symbols = [rng.choice(NUM_SYMBOLS, p=table[state]) for state in states]
        return {**arrays, "observations": np.array(symbols)}
    if name == "poisson":
        counts = rng.poisson(np.array([2.0, 7.0, 15.0])[states])
        return {**arrays, "observations": counts, "rate": np.array([1.5, 6.0, 11.0])}
    centers = 2 * rng.standard_normal((NUM_STATES, SIZE))
    vectors = centers[states] + rng.standard_normal((len(states), SIZE))
    arrays |= {"observations": vectors, "mean": rng.standard_normal((NUM_STATES, SIZE))}
    spread = 1 + rng.random((NUM_STATES, SIZE))
    if name == "gaussian":
        return {**arrays, "variance": spread}
    root = np.tril(rng.standard_normal((NUM_STATES, SIZE, SIZE)))
    return {**arrays, "covariance": root @ root.swapaxes(1, 2) + np.eye(SIZE)}


def load(name: str) -> Arrays:
    """Returns a recorded case."""
    with np.load(FIXTURES / f"hmm_{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)
