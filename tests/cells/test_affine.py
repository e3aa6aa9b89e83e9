"""The affine map, how weights begin, and the checks of a step."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.cells import _affine, elman_step

KEY = jax.random.key(0)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 3)])
def test_the_affine_map_is_w_x_plus_b(rows, columns, x64):
    rng = np.random.default_rng(0)
    w, b, x = (rng.normal(size=shape) for shape in ((rows, columns), rows, columns))
    actual = _affine.affine(jnp.asarray(w), jnp.asarray(b), jnp.asarray(x))
    np.testing.assert_allclose(actual, w @ x + b, rtol=1e-14)


def test_a_bfloat16_product_is_summed_in_float32():
    w = jnp.asarray([[256.0] + 8 * [1.0]], jnp.bfloat16)
    x, b = jnp.ones(9, jnp.bfloat16), jnp.ones(1, jnp.bfloat16)
    z = _affine.affine(w, b, x)
    assert z.dtype == jnp.float32
    assert z.tolist() == [265.0]  # bfloat16 has no number between 264 and 266


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("bfloat16", "float32"), ("float16", "float32"), ("float32", "float32"), ("float64",) * 2],
)
def test_sums_run_in_float32_or_better(dtype, wide):
    assert _affine.accumulator(jnp.dtype(dtype)) == wide


def test_glorot_weights_fill_their_bounds_gate_by_gate():
    w_ih, _ = _affine.init_glorot(KEY, 4, (31, 17, 17), jnp.float32)
    bound = np.sqrt(6.0 / (31 + 17))  # not of 4*17 rows: each gate is a layer of its own
    for gate in np.split(np.asarray(w_ih), 4):
        assert 0.97 * bound < np.abs(gate).max() <= bound
        assert abs(gate.mean()) < 0.1 * bound
        np.testing.assert_allclose(gate.std(), bound / np.sqrt(3), rtol=0.1)


@pytest.mark.parametrize("state_size", [5, 3], ids=["square", "projected"])
def test_recurrent_weights_are_orthogonal_gate_by_gate(state_size):
    _, w_hh = _affine.init_glorot(KEY, 3, (2, 5, state_size), jnp.float32)
    gates = np.split(np.asarray(w_hh), 3)
    for gate in gates:
        assert gate.shape == (5, state_size)
        np.testing.assert_allclose(gate.T @ gate, np.eye(state_size), atol=1e-5)
    assert np.abs(gates[0] - gates[1]).max() > 0.1 and np.abs(gates[1] - gates[2]).max() > 0.1


def test_torch_weights_fill_one_over_the_root_of_hidden_size():
    weights = _affine.init_torch(KEY, ((64, 9), (64, 16), (64,), (64,)), 16, jnp.float32)
    for weight in weights:
        assert 0.22 < np.abs(weight).max() <= 0.25  # 1/sqrt(16)
    assert np.abs(weights[2] - weights[3]).max() > 0.01


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_weights_begin_in_the_dtype_asked_for(dtype, x64):
    shapes = ((2, 2), (2,))
    for init in (
        lambda: _affine.init_glorot(KEY, 1, (1, 2, 2), jnp.dtype(dtype)),
        lambda: _affine.init_torch(KEY, shapes, 2, jnp.dtype(dtype)),
    ):
        assert [str(leaf.dtype) for leaf in jax.eval_shape(init)] == [dtype] * 2


FACTORIES = {"elman": jaxseq.elman, "lstm": jaxseq.lstm, "gru": jaxseq.gru}


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("size", [0, -1, True, 2.0, "2"])
def test_a_size_is_a_positive_integer(name, size, untyped):
    for argument, sizes in (("input_size", (size, 4)), ("hidden_size", (4, size))):
        message = f"{name}: `{argument}` must be a positive integer, but it is {size!r}."
        with pytest.raises(ValueError, match=re.escape(message)):
            FACTORIES[name](*sizes)


@pytest.mark.parametrize("name", FACTORIES)
def test_an_unknown_init_is_refused(name, untyped):
    message = f'{name}: `init` must be "glorot" or "torch", but it is \'xavier\'.'
    with pytest.raises(ValueError, match=re.escape(message)):
        FACTORIES[name](2, 3, init="xavier")


STEPS = {
    "elman_step": jaxseq.elman(3, 4),
    "lstm_step": jaxseq.lstm(3, 4),
    "gru_step": jaxseq.gru(3, 4),
    "gru_reset_before_step": jaxseq.gru(3, 4, reset_after=False),
}


def zeros(cell):
    """Weights and a state of the right shapes, without drawing anything."""
    params = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(cell.init, KEY)
    )
    return params, cell.carry(params)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_one_input_of_its_size(name, untyped):
    params, carry = zeros(STEPS[name])
    message = (
        f"{name}: `x` must have shape (input_size,) = (3,), but it has shape (7, 3).\n"
        "  Hint: for a batch use jax.vmap(step, in_axes=(None, 0, 0)); "
        "for a whole sequence use jaxseq.scan."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        STEPS[name].step(params, carry, jnp.ones((7, 3)))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_one_state_of_its_size(name, untyped):
    params, _ = zeros(STEPS[name])
    carry = STEPS[name].carry(params, (7,))
    message = (
        f"{name}: `carry.h` must have shape (hidden_size,) = (4,), but it has shape (7, 4).\n"
        "  Hint: see cell.carry."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        STEPS[name].step(params, carry, jnp.ones(3))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    ("dtype", "hint"),
    [
        ("bfloat16", "xs.astype('float32') before the scan"),
        ("int32", "embed or one-hot symbols first"),
    ],
)
def test_a_step_takes_the_dtype_of_the_weights(name, dtype, hint, untyped):
    params, carry = zeros(STEPS[name])
    message = (
        f"{name}: `x` must have the dtype of the weights, float32, but it has {dtype}.\n"
        f"  Hint: {hint}."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        STEPS[name].step(params, carry, jnp.ones(3, dtype))


def test_a_step_complains_under_jit_too(untyped):
    params, carry = zeros(STEPS["elman_step"])
    with pytest.raises(ValueError, match="elman_step: `x` must have shape"):
        jax.jit(elman_step)(params, carry, jnp.ones(2))
