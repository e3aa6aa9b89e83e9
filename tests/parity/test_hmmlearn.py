"""Expectation maximisation goes step by step where hmmlearn's goes, on ragged batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hmmlearn_cases import (
    ITERATIONS,
    LENGTHS,
    NAMES,
    NUM_STATES,
    NUM_SYMBOLS,
    SIZE,
    Arrays,
    draw,
    load,
)

from jaxseq.structured import hmm


def family_of(name: str) -> hmm.Emission:
    match name:
        case "categorical":
            return hmm.categorical(NUM_STATES, NUM_SYMBOLS)
        case "poisson":
            return hmm.poisson(NUM_STATES)
        case "gaussian":
            return hmm.gaussian(NUM_STATES, SIZE, min_variance=1e-12)
        case _:
            return hmm.gaussian(NUM_STATES, SIZE, covariance="full", min_variance=1e-12)


def params_of(name: str, arrays: Arrays, prefix: str = ""):
    match name:
        case "categorical":
            return hmm.CategoricalParams(jnp.log(arrays[f"{prefix}probs"]))
        case "poisson":
            return hmm.PoissonParams(jnp.asarray(arrays[f"{prefix}rate"]))
        case "gaussian":
            arrays = (arrays[f"{prefix}mean"], arrays[f"{prefix}variance"])
            return hmm.GaussianParams(*map(jnp.asarray, arrays))
        case _:
            arrays = (arrays[f"{prefix}mean"], arrays[f"{prefix}covariance"])
            return hmm.FullGaussianParams(*map(jnp.asarray, arrays))


def padded(arrays: Arrays) -> np.ndarray:
    """The rows of a ragged batch, with nonsense in the pads."""
    flat = arrays["observations"]
    nonsense = np.nan if flat.dtype == np.float64 else -7
    rows = np.full((len(LENGTHS), max(LENGTHS), *flat.shape[1:]), nonsense, flat.dtype)
    for row, piece in zip(rows, np.split(flat, np.cumsum(LENGTHS)[:-1]), strict=True):
        row[: len(piece)] = piece
    return rows


def check_agreement(name: str, arrays: Arrays, theirs: Arrays) -> None:
    logs = (jnp.log(arrays["initial"]), jnp.log(arrays["transition"]))
    ours = hmm.fit(
        jax.random.key(0),
        family_of(name),
        padded(arrays),
        lengths=np.array(LENGTHS),
        model=hmm.HMM(*logs, params_of(name, arrays)),
        max_iterations=ITERATIONS,
        tolerance=0.0,
    )
    assert ours.iterations == ITERATIONS
    np.testing.assert_allclose(ours.history[:-1], theirs["log_likelihoods"], rtol=1e-10)
    for mine, final in (("log_initial", "initial"), ("log_transition", "transition")):
        np.testing.assert_allclose(
            np.exp(getattr(ours.model, mine)), theirs[f"final_{final}"], rtol=1e-7, atol=1e-10
        )
    finals = params_of(name, theirs, "final_")
    for our, their in zip(ours.model.emission, finals, strict=True):
        our, their = (np.exp(x) if name == "categorical" else x for x in (our, their))
        np.testing.assert_allclose(our, their, rtol=1e-7, atol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", NAMES)
def test_a_fit_goes_where_hmmlearn_goes_as_recorded(name):
    arrays = load(name)
    check_agreement(name, arrays, arrays)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.filterwarnings("ignore")  # what hmmlearn warns of is its own affair
@pytest.mark.parametrize("name", NAMES)
def test_a_fit_goes_where_hmmlearn_goes_live(name):
    pytest.importorskip("hmmlearn")
    from make_hmmlearn_fixtures import compute

    arrays = draw(name)
    check_agreement(name, arrays, compute(name, arrays))
