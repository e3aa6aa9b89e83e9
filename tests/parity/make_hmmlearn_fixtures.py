"""Records what hmmlearn fits in every case: ``python tests/parity/make_hmmlearn_fixtures.py``.

Needs hmmlearn and NumPy only; the fixtures that are kept were made with hmmlearn 0.3.3. They go
into ``fixtures/`` beside this script, one file a family, in float64: the start and the
observations, the log-likelihoods of all iterations, and where they have led (``final_*``).
"""

from typing import Any

import numpy as np
from hmmlearn import hmm
from hmmlearn_cases import FIXTURES, ITERATIONS, NAMES, NUM_STATES, NUM_SYMBOLS, Arrays, draw

OURS = {
    "initial": "startprob_",
    "transition": "transmat_",
    "probs": "emissionprob_",
    "rate": "lambdas_",
    "mean": "means_",
    "variance": "covars_",
    "covariance": "covars_",
}


def build(name: str) -> Any:
    """Returns hmmlearn's model, by maximum likelihood."""
    options: dict = {"n_iter": ITERATIONS, "tol": -np.inf, "init_params": "", "verbose": False}
    if name == "categorical":
        return hmm.CategoricalHMM(NUM_STATES, n_features=NUM_SYMBOLS, **options)
    if name == "poisson":
        return hmm.PoissonHMM(NUM_STATES, **options)
    kind = "full" if name == "gaussian_full" else "diag"
    return hmm.GaussianHMM(NUM_STATES, kind, covars_prior=0.0, covars_weight=0.0, **options)


def compute(name: str, arrays: Arrays) -> Arrays:
    """Returns log-likelihoods, and ``final_*`` of every parameter."""
    model = build(name)
    names = [mine for mine in OURS if mine in arrays]
    for mine in names:
        value = arrays[mine][:, None] if mine == "rate" else arrays[mine]
        setattr(model, OURS[mine], value)
    xs = arrays["observations"].reshape(arrays["lengths"].sum(), -1)
    model.fit(xs, arrays["lengths"])
    results = {f"final_{mine}": np.asarray(getattr(model, OURS[mine])) for mine in names}
    if "rate" in names:
        results["final_rate"] = results["final_rate"][:, 0]
    if "variance" in names:
        results["final_variance"] = np.diagonal(results["final_variance"], axis1=1, axis2=2)
    return {**results, "log_likelihoods": np.array(model.monitor_.history)}


def main() -> None:
    for name in NAMES:
        arrays = draw(name)
        np.savez(FIXTURES / f"hmm_{name}.npz", **arrays, **compute(name, arrays))


if __name__ == "__main__":
    main()
