"""The terms of the gradient add up to it, and truncation leaves out what reaches further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq import diagnostics

pytestmark = pytest.mark.usefixtures("x64")

LENGTHS = np.array([5, 2, 0])
CELLS = {
    "elman": jaxseq.elman(2, 3),
    "lstm": jaxseq.lstm(2, 3),
    "stack": jaxseq.stack((jaxseq.gru(2, 3), jaxseq.min_gru(3, 2))),
}


def arguments(cell):
    return example(cell, batch_shape=(3,), steps=5, dtype=np.float64)[:2]


def loss(carry, ys):
    return jnp.sum(jnp.sin(ys)) + sum(jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(carry))


@pytest.mark.parametrize("name", CELLS)
def test_the_terms_add_up_to_the_gradient(name):
    cell = CELLS[name]
    params, xs = arguments(cell)
    resets = jnp.zeros((3, 5), bool).at[0, 3].set(True)
    options = {"lengths": LENGTHS, "resets": resets}
    terms = jax.jit(lambda p: diagnostics.bptt_terms(cell, p, xs, loss, **options))(params)
    whole = jax.jit(jax.grad(lambda p: loss(*jaxseq.scan(cell, p, xs, **options))))(params)
    for term, expected in zip(jax.tree.leaves(terms), jax.tree.leaves(whole), strict=True):
        assert term.shape == (5, *expected.shape)
        np.testing.assert_allclose(term.sum(0), expected, atol=1e-10)


def test_a_term_is_the_step_s_own_derivative_times_what_arrives_there():
    cell = CELLS["elman"]
    params, xs = arguments(cell)
    terms = diagnostics.bptt_terms(cell, params, xs, loss)
    flow = diagnostics.gradient_flow(lambda xs: loss(*jaxseq.scan(cell, params, xs)), xs)
    found = diagnostics.states(cell, params, xs)
    before = np.concatenate([np.zeros((3, 1, 3)), found.h[:, :-1]], axis=1)

    @jax.jit
    def pulled(h, x, arriving):
        _, pull = jax.vjp(lambda p: cell.step(p, type(found)(h), x)[0].h, params)
        return pull(arriving)[0].w_hh

    arriving = np.asarray(flow.layers[0].gradient.h)
    for t in range(5):
        total = 0.0
        for row in range(3):
            total = total + pulled(before[row, t], np.asarray(xs)[row, t], arriving[row, t])
        np.testing.assert_allclose(terms.w_hh[t], total, atol=1e-12)


def test_of_no_steps_there_are_no_terms():
    cell = CELLS["elman"]
    params, xs = arguments(cell)
    terms = diagnostics.bptt_terms(cell, params, xs[:, :0], loss)
    assert terms.w_hh.shape == (0, 3, 3)


def test_truncation_costs_less_the_longer_the_window():
    cell = CELLS["lstm"]
    params, xs = arguments(cell)

    @jax.jit
    def run(params):
        return diagnostics.truncation_error(
            cell, params, xs, lambda carry, ys: carry.h.sum(), windows=(1, 2, 5, 9), lengths=LENGTHS
        )

    found = run(params)
    assert found.windows == (1, 2, 5, 9)
    relative, cosine = map(np.asarray, (found.relative, found.cosine))
    assert relative[0] > relative[1] > 1e-3
    np.testing.assert_allclose(relative[2:], 0, atol=1e-12)
    np.testing.assert_allclose(cosine[2:], 1, atol=1e-12)
    assert (np.abs(cosine) <= 1 + 1e-12).all()


def test_no_gradient_has_no_error():
    cell = CELLS["elman"]
    params, xs = arguments(cell)
    found = diagnostics.truncation_error(
        cell, params, xs, lambda carry, ys: 0.0 * ys.sum(), windows=(2,)
    )
    assert found.relative.tolist() == [0.0] and found.cosine.tolist() == [0.0]


def test_wrong_use_is_said_plainly():
    cell = CELLS["elman"]
    params, xs = arguments(cell)
    terms, truncation = diagnostics.bptt_terms, diagnostics.truncation_error
    with pytest.raises(ValueError, match=r"^bptt_terms: `loss` must return a scalar, but it has"):
        terms(cell, params, xs, lambda carry, ys: ys)
    with pytest.raises(ValueError, match=r"^truncation_error: `loss` must return a scalar"):
        truncation(cell, params, xs, lambda carry, ys: ys, windows=(1,))
    with pytest.raises(ValueError, match=r"^truncation_error: `windows` is empty"):
        truncation(cell, params, xs, loss, windows=())
    with pytest.raises(ValueError, match="`window` must be a positive integer"):
        truncation(cell, params, xs, loss, windows=(0,))
