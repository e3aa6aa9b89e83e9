"""How sure a field is, against all paths, one by one."""

import jax
import jax.numpy as jnp
import lattices
import numpy as np
import pytest

from jaxseq.structured import crf

ENTROPY, MARGINALS = jax.jit(crf.entropy), jax.jit(crf.marginals)


@pytest.mark.parametrize("forbid", [0.0, 0.4])
def test_entropy_and_marginals_are_those_of_all_paths(forbid, x64):
    initial, transition, emission, final = scores = lattices.scores(9, forbid=forbid)
    given = {"initial": initial, "final": final, "lengths": lattices.LENGTHS}
    entropy = ENTROPY(emission, transition, **given)
    marginals = MARGINALS(emission, transition, **given)
    for row in range(lattices.ROWS):
        found = lattices.paths(*scores, row)
        probs = lattices.posterior(found)[1]
        probs = probs[probs > 0]
        np.testing.assert_allclose(entropy[row], -(probs * np.log(probs)).sum(), atol=1e-12)
        np.testing.assert_allclose(marginals[row], lattices.marginals(found)[0], atol=1e-13)


def test_rounding_makes_no_entropy_negative():
    rng = np.random.default_rng(0)
    emission = rng.normal(size=(40, 9, 1)).astype(np.float32)
    entropy = ENTROPY(emission, rng.normal(size=(1, 1)).astype(np.float32))
    assert (entropy >= 0).all() and (entropy < 1e-5).all()


def test_the_gradient_of_the_entropy_is_that_of_differences(x64):
    initial, transition, emission, final = lattices.scores(9)
    emission = np.nan_to_num(emission[:1])

    def total(emission):
        return ENTROPY(emission, transition, initial=initial, final=final).sum()

    gradient = jax.jit(jax.grad(total))(emission)
    step = np.zeros_like(emission)
    step[0, 2, 1] = 1e-5
    want = (total(emission + step) - total(emission - step)) / 2e-5
    np.testing.assert_allclose(gradient[0, 2, 1], want, rtol=1e-7)


def test_where_no_path_is_allowed_nothing_is_likely():
    forbidden = jnp.full((2, 2), -jnp.inf)
    emission = jnp.zeros((3, 2))
    assert crf.entropy(emission, forbidden) == 0
    assert not crf.marginals(emission, forbidden).any()
