"""What all recurrent modules share: orders, carries, padding, dropout, residuals, messages."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxseq
from jaxseq import cells, nn

I, H = 2, 3  # noqa: E741 - the house letters


@functools.cache
def gru(layers=2, **settings):
    return nn.GRU(settings.pop("width", I), H, layers, rngs=nnx.Rngs(0), **settings)


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(a, b):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), a, b)


def test_the_carry_is_ordered_by_layer_then_direction():
    layer = gru(bidirectional=True)
    carry, ys = layer(draw(1, 4, I))
    assert carry.h.shape == (4, 1, H) and ys.shape == (1, 4, 2 * H)
    np.testing.assert_array_equal(carry.h[2], ys[:, -1, :H])  # layer 1 forward ends at the end
    np.testing.assert_array_equal(carry.h[3], ys[:, 0, H:])  # layer 1 backward at the beginning


def test_one_bool_a_layer_counts_the_directions_there_are():
    layer = nn.LSTM(I, H, 3, bidirectional=[True, False, True], rngs=nnx.Rngs(0))
    assert layer.carry((5,)).c.shape == (5, 5, H)
    assert layer.output_size == 2 * H
    assert [w.w_ih.shape[1] for w in layer.layers] == [I, I, 2 * H, H, H]


def test_the_initial_carry_is_zero_and_is_the_default():
    layer, xs = gru(bidirectional=True), draw(1, 4, I)
    carry = layer.carry((1,))
    assert (carry.h == 0).all() and carry.h.shape == (4, 1, H)
    jax.tree.map(np.testing.assert_array_equal, layer(xs), layer(xs, carry=carry))


def test_a_sequence_may_be_cut_and_the_carry_handed_on():
    layer, xs = gru(), draw(2, 4, I)
    whole = layer(xs)
    carry, first = layer(xs[:, :2])
    carry, second = layer(xs[:, 2:], carry=carry)
    close((carry, jnp.concatenate([first, second], axis=1)), whole)


def test_stepping_is_calling():
    layer, xs = gru(residual=True), draw(2, 3, I)
    whole = layer(xs)
    carry, ys = layer.carry((2,)), []
    for t in range(3):
        carry, y = layer.step(carry, xs[:, t])
        ys.append(y)
    close((carry, jnp.stack(ys, axis=1)), whole)


def test_one_example_needs_no_batch_axis():
    layer, xs = gru(), draw(2, 3, I)
    carry, ys = layer(xs)
    alone, ys_alone = layer(xs[0])
    close((alone.h, ys_alone), (carry.h[:, 0], ys[0]))
    assert layer.step(layer.carry(), xs[0, 0])[1].shape == (H,)


def test_two_batch_axes_are_as_one():
    layer = gru(bidirectional=True)
    xs, lengths = draw(2, 2, 4, I), np.array([[4, 0], [1, 3]])
    carry, ys = layer(xs, lengths=lengths)
    assert carry.h.shape == (4, 2, 2, H)
    flat, ys_flat = layer(xs.reshape(4, 4, I), lengths=lengths.reshape(4))
    close((carry.h.reshape(4, 4, H), ys.reshape(4, 4, 2 * H)), (flat.h, ys_flat))


def test_padding_never_matters_not_even_to_a_gradient():
    lengths = np.array([4, 0, 2])
    padded = (np.arange(4) >= lengths[:, None])[..., None]
    graphdef, params = nnx.split(gru(bidirectional=True))
    xs, carry = draw(3, 4, I), cells.GRUCarry(draw(4, 3, H, seed=1))

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def run(params, xs):
        final, ys = nnx.merge(graphdef, params)(xs, carry=carry, lengths=lengths)
        return (ys**2).sum() + (final.h**3).sum(), (final, ys)

    clean = run(params, xs)
    dirty = run(params, jnp.where(padded, jnp.nan, xs))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    (_, (final, ys)), (_, slope) = clean
    np.testing.assert_array_equal(final.h[:, 1], carry.h[:, 1])  # a row of length 0
    assert (ys[padded[..., 0]] == 0).all() and (slope[padded[..., 0]] == 0).all()
    layer = gru(bidirectional=True)
    alone, ys_alone = layer(xs[2:, :2], carry=cells.GRUCarry(carry.h[:, 2:]))
    close((final.h[:, 2:], ys[2:, :2]), (alone.h, ys_alone))


def test_a_reset_is_a_fresh_start():
    layer, xs = gru(), draw(1, 4, I)
    _, ys = layer(xs, resets=np.array([[False, False, True, False]]))
    close(ys[:, 2:], layer(xs[:, 2:])[1])


def test_settings_of_speed_change_no_value():
    layer, xs = gru(), draw(2, 4, I)
    close(layer(xs), layer(xs, backend="reference", remat=2, unroll=2))


def test_a_gradient_may_close_over_the_module():
    layer, xs = gru(), draw(2, 4, I)
    slope = jax.grad(lambda xs: layer(xs)[1].sum())(xs)
    assert slope.shape == xs.shape and (slope != 0).all()


# ---------------------------------------------------------------------------- dropout, residual


def test_residual_layers_add_their_input_but_for_the_first():
    layer, xs = gru(layers=3, residual=True), draw(1, 4, I)
    below = xs
    for k, params in enumerate(layer.params):
        ys = jaxseq.scan(jaxseq.gru(below.shape[-1], H), params, below)[1]
        below = below + ys if k else ys
    close(layer(xs)[1], below)


def test_the_first_layer_is_never_residual():
    layer, xs = gru(layers=1, width=H, residual=True), draw(1, 4, H)
    close(layer(xs)[1], jaxseq.scan(jaxseq.gru(H, H), layer.params[0], xs)[1])


def test_the_residual_path_is_not_dropped():
    layer = nn.GRU(I, H, 2, dropout=0.9, residual=True, rngs=nnx.Rngs(0))
    params = nn.pure(layer).params
    params["layers"]["1"] = jax.tree.map(jnp.zeros_like, params["layers"]["1"])
    layer, xs = nn.with_params(layer, params), draw(1, 4, I)
    np.testing.assert_array_equal(layer(xs, rngs=jax.random.key(0))[1], layer(xs)[1])


RATES = ({"dropout": 0.5}, {"input_dropout": 0.5}, {"state_dropout": 0.5})


@pytest.mark.parametrize("rates", RATES, ids=lambda rates: next(iter(rates)))
def test_dropout_is_for_training_and_follows_its_key(rates):
    plain, layer, xs = gru(), gru(**rates), draw(2, 4, I)
    np.testing.assert_array_equal(layer(xs)[1], plain(xs)[1])  # no rngs, no dropout
    carry, ys = layer(xs, rngs=jax.random.key(1))
    again, ys_again = layer(xs, rngs=jax.random.key(1))
    np.testing.assert_array_equal(ys, ys_again)
    assert type(carry) is cells.GRUCarry and carry.h.shape == (2, 2, H)  # no masks in it
    assert (ys != layer(xs, rngs=jax.random.key(2))[1]).any()
    assert (ys != plain(xs)[1]).any()
    handed, _ = layer(xs, carry=again, rngs=jax.random.key(1))
    assert (handed.h != carry.h).any()


def test_dropout_acts_between_layers_and_not_after_the_last():
    xs = draw(4, 50, I)
    one = gru(layers=1, dropout=0.5)
    np.testing.assert_array_equal(one(xs, rngs=jax.random.key(0))[1], one(xs)[1])
    layer = gru(dropout=0.25)
    _, ys = layer(xs, rngs=jax.random.key(0))
    assert (ys != 0).all()
    # What the top layer reads: its input weights picked out by a linear cell.
    probe = nn.Elman(I, H, 2, dropout=0.25, activation=jnp.positive, rngs=nnx.Rngs(0))
    params = nn.pure(probe).params
    top = jax.tree.map(jnp.zeros_like, params["layers"]["1"]) | {"w_ih": jnp.eye(H)}
    probe = nn.with_params(probe, {"layers": {"0": params["layers"]["0"], "1": top}})
    seen = probe(xs, rngs=jax.random.key(0))[1] / probe(xs)[1]
    kept = np.asarray(seen).round(4)
    assert set(np.unique(kept)) == {0.0, np.float32(1.3333)}
    assert abs((kept == 0).mean() - 0.25) < 0.06
    assert (kept[0, 0] != kept[0]).any()  # drawn anew for every step


def test_variational_dropout_draws_one_mask_for_a_sequence():
    probe = nn.Elman(H, H, input_dropout=0.5, activation=jnp.positive, rngs=nnx.Rngs(0))
    params = nn.pure(probe).params
    only = jax.tree.map(jnp.zeros_like, params["layers"]["0"]) | {"w_ih": jnp.eye(H)}
    probe = nn.with_params(probe, {"layers": {"0": only}})
    ys = np.asarray(probe(jnp.ones((64, 4, H)), rngs=jax.random.key(0))[1])
    assert set(np.unique(ys)) == {0.0, 2.0}
    assert (ys == ys[:, :1]).all() and abs((ys == 0).mean() - 0.5) < 0.15
    assert (ys[0] != ys).any()  # each row its own


def test_dropout_of_inputs_and_state_is_that_of_the_cells():
    layer = gru(layers=1, input_dropout=0.5, state_dropout=0.25, bidirectional=True)
    xs, key = draw(2, 4, I), jax.random.key(5)
    cell = jaxseq.dropout(jaxseq.gru(I, H), 0.5, state_rate=0.25)
    keys = jax.random.split(jax.random.split(key, (1, 2))[0, 1])
    masks = [cell.carry(p, (2,), key=k) for p, k in zip(layer.params[0], keys, strict=True)]
    carry, ys = jaxseq.bidirectional(cell, layer.params[0], xs, carry=jaxseq.Directions(*masks))
    final, ours = layer(xs, carry=layer.carry((2,)), rngs=key)
    np.testing.assert_array_equal(ours, ys)
    np.testing.assert_array_equal(final.h[1], carry.backward.cell.h)


def test_an_nnx_rngs_gives_its_dropout_stream():
    layer, xs = gru(dropout=0.5), draw(1, 4, I)
    rngs = nnx.Rngs(params=0, dropout=7)
    first, second = layer(xs, rngs=rngs)[1], layer(xs, rngs=rngs)[1]
    assert (first != second).any() and rngs.dropout.count.get_value() == 2
    key = nnx.Rngs(params=0, dropout=7).dropout()
    np.testing.assert_array_equal(first, layer(xs, rngs=key)[1])


def test_without_a_rate_no_key_is_drawn():
    rngs = nnx.Rngs(dropout=7)
    gru()(draw(1, 4, I), rngs=rngs)
    assert rngs.dropout.count.get_value() == 0


# ------------------------------------------------------------------------------------- messages


def test_a_bidirectional_layer_says_why_it_cannot_step():
    layer = gru(bidirectional=(False, True))
    with pytest.raises(
        ValueError,
        match=r"GRU.step: a bidirectional layer cannot run step by step: its backward direction "
        r"begins at the end of the sequence, and so reads the future\.\n  Hint: call it on whole",
    ):
        layer.step(layer.carry((1,)), jnp.ones((1, I)))


@pytest.mark.parametrize("shape", [(3, 4, 5), (2,)])
def test_inputs_of_another_width_are_refused(shape, untyped):
    text = (
        "GRU: `xs` must have shape (*batch, T, input_size) with input_size = 2, "
        f"but it has shape {shape}"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        gru()(jnp.ones(shape))


def test_a_length_beyond_the_end_is_refused():
    with pytest.raises(ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 4\], but they"):
        gru()(jnp.ones((1, 4, I)), lengths=np.array([5]))


def test_a_step_of_another_width_is_refused():
    text = "`x` must have shape (*batch, input_size) with input_size = 2, but it has shape (1, 3)"
    with pytest.raises(ValueError, match=re.escape(f"GRU.step: {text}")):
        gru().step(gru().carry((1,)), jnp.ones((1, 3)))


def test_a_carry_of_another_cell_is_refused():
    zeros = jnp.zeros((2, 1, H))
    text = r"GRU: `carry` must be one GRUCarry of all layers, but it is PyTreeDef.*\n  Hint: it is "
    text += r"what carry\(batch_shape=\(1,\)\) returns"
    with pytest.raises(TypeError, match=text):
        gru()(jnp.ones((1, 4, I)), carry=cells.LSTMCarry(zeros, zeros))


def test_a_carry_of_another_shape_is_refused():
    text = "GRU: `carry.h` must have shape (L*D, *batch, size) = (2, 1, 3), but it has shape (1, 3)"
    with pytest.raises(ValueError, match=re.escape(text)):
        gru()(jnp.ones((1, 4, I)), carry=cells.GRUCarry(jnp.zeros((1, H))))


def test_a_residual_layer_must_be_as_wide_as_its_input():
    text = r"LSTM: `residual` needs layers that are as wide as their input, but layer 1 takes 3 "
    text += r"features and gives 6\.\n  Hint: let all layers run in the same number of directions"
    with pytest.raises(ValueError, match=text):
        nn.LSTM(I, H, 2, bidirectional=(False, True), residual=True, rngs=nnx.Rngs(0))


def test_a_state_that_cannot_be_dropped_is_refused():
    text = r"GRU: `state_dropout` needs a cell that decomposes into maps, which "
    text += r"GRU\(reset_after=False\) does not\.\n  Hint: leave state_dropout at 0"
    with pytest.raises(ValueError, match=text):
        nn.GRU(I, H, reset_after=False, state_dropout=0.5, rngs=nnx.Rngs(0))
