"""The three recurrent modules compute what their cells compute, layer by layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readers import drawn

import jaxseq
from jaxseq import cells, nn

B, T, I, H = 3, 4, 2, 3  # noqa: E741 - the house letters
LENGTHS = np.array([4, 0, 2])
RESETS = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 1, 1, 0]], bool)

KINDS = {
    "elman": (nn.Elman, {"activation": jax.nn.relu}, cells.ElmanCarry),
    "lstm": (nn.LSTM, {}, cells.LSTMCarry),
    "lstm_proj": (nn.LSTM, {"proj_size": 2}, cells.LSTMCarry),
    "gru": (nn.GRU, {}, cells.GRUCarry),
    "gru_before": (nn.GRU, {"reset_after": False}, cells.GRUCarry),
}


@functools.cache
def build(kind, **settings):
    """Three layers with random biases, the middle one in both directions."""
    module, options, _ = KINDS[kind]
    settings = {"bidirectional": (False, True, False)} | settings
    return drawn(lambda: module(I, H, 3, rngs=nnx.Rngs(0), **options, **settings))


def inputs():
    xs = np.random.default_rng(0).normal(size=(B, T, I)).astype(np.float32)
    xs[np.arange(T) >= LENGTHS[:, None]] = np.nan
    return xs


def cell_of(kind, width):
    match kind:
        case "elman":
            return jaxseq.elman(width, H, activation=jax.nn.relu)
        case "lstm":
            return jaxseq.lstm(width, H)
        case "lstm_proj":
            return jaxseq.lstm(width, H, proj_size=2)
        case _:
            return jaxseq.gru(width, H, reset_after=kind == "gru")


def by_hand(kind, layer, xs, carry):
    """The bottom layer, the middle one forward and backward, and the top one."""
    own = [jax.tree.map(lambda leaf, k=k: leaf[k], carry) for k in range(4)]
    weights = [layer.layers[k].params for k in range(4)]
    run = functools.partial(jaxseq.scan, lengths=LENGTHS, resets=RESETS)
    out = cell_of(kind, I).output_size
    bottom, below, above = cell_of(kind, I), cell_of(kind, out), cell_of(kind, 2 * out)
    first, ys = run(bottom, weights[0], xs, carry=own[0])
    second, ahead = run(below, weights[1], ys, carry=own[1])
    third, back = run(below, weights[2], ys, carry=own[2], reverse=True)
    fourth, ys = run(above, weights[3], jnp.concatenate([ahead, back], -1), carry=own[3])
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second, third, fourth), ys


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_is_its_cells_run_layer_by_layer(kind):
    layer, xs = build(kind), inputs()
    zeros = layer.carry((B,))
    assert type(zeros) is KINDS[kind][2]
    carry = jax.tree.map(
        lambda leaf: jax.random.normal(jax.random.key(2), leaf.shape, leaf.dtype), zeros
    )
    final, ys = layer(xs, carry=carry, lengths=LENGTHS, resets=RESETS)
    expected, expected_ys = by_hand(kind, layer, xs, carry)
    assert type(final) is type(expected)
    jax.tree.map(np.testing.assert_array_equal, (final, ys), (expected, expected_ys))
    assert np.isfinite(ys).all() and (ys[1] == 0).all() and (ys[2, 2:] == 0).all()
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:, 1], b[:, 1]), final, carry)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_one_param_an_array(kind):
    layer = build(kind)
    state = nnx.to_flat_state(nnx.state(layer))
    names = {"w_ih", "w_hh", "b_ih", "b_hh"} | ({"w_hr"} if kind == "lstm_proj" else set())
    assert {path for path, _ in state} == {("layers", k, name) for k in range(4) for name in names}
    assert all(type(leaf) is nnx.Param and leaf.get_value().ndim in (1, 2) for _, leaf in state)
    bottom, middle, top = layer.params
    assert isinstance(middle, jaxseq.Directions) and type(bottom) is type(middle.backward)
    assert bottom.w_ih.shape[1] == I
    assert top.w_ih.shape[1] == 2 * middle.forward.w_ih.shape[1] == 2 * layer.output_size


def test_a_gru_has_both_biases_of_its_candidate():
    (params,) = nn.GRU(I, H, rngs=nnx.Rngs(0)).params
    assert params.b_ih.shape == params.b_hh.shape == (3 * H,)
    layer = nn.GRU(I, H, rngs=nnx.Rngs(0))
    carry = cells.GRUCarry(jnp.ones((1, 1, H)))
    _, plain = layer.step(carry, jnp.ones((1, I)))
    layer.layers[0].b_hh.set_value(params.b_hh.at[2 * H :].set(1.0))
    _, moved = layer.step(carry, jnp.ones((1, I)))
    assert (plain != moved).all()


def test_the_forget_bias_is_in_the_parameter():
    (params,) = nn.LSTM(I, H, forget_bias=2.0, rngs=nnx.Rngs(0)).params
    np.testing.assert_array_equal(params.b_ih, np.repeat([0.0, 2.0, 0.0, 0.0], H))


def test_init_torch_is_uniform():
    (params,) = nn.Elman(I, 64, init="torch", rngs=nnx.Rngs(0)).params
    assert 0.1 < float(jnp.abs(params.w_hh).max()) <= 0.125
    assert float(jnp.abs(params.b_hh).max()) > 0.0


def test_no_two_directions_begin_with_the_same_weights():
    layer = nn.GRU(H, H, 2, bidirectional=True, rngs=nnx.Rngs(0))
    drawn = [np.asarray(weights.params.w_hh).tobytes() for weights in layer.layers]
    assert len(set(drawn)) == 4


def test_the_dtype_is_that_of_the_weights():
    layer = nn.LSTM(I, H, 2, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    carry, ys = layer(jnp.ones((1, 2, I), jnp.bfloat16))
    assert ys.dtype == carry.h.dtype == jnp.bfloat16 and carry.c.dtype == jnp.float32
    assert jax.tree.map(lambda a: a.dtype, layer.carry((1,))) == jax.tree.map(
        lambda a: a.dtype, carry
    )


def test_what_the_cell_refuses_is_an_error_of_the_cell():
    with pytest.raises(ValueError, match=r"lstm: `proj_size` must be smaller than hidden_size = 3"):
        nn.LSTM(I, H, proj_size=3, rngs=nnx.Rngs(0))
