"""Gradients by states: against what is injected by hand, on every loop, for every kind of model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq import diagnostics, nn

pytestmark = pytest.mark.usefixtures("x64")

BATCH, STEPS = 3, 6
LENGTHS = np.array([6, 3, 0])
CELLS = {
    "elman": jaxseq.elman(2, 3),
    "lstm": jaxseq.lstm(2, 3),
    "gru": jaxseq.gru(2, 3),
    "gru, reset before": jaxseq.gru(2, 3, reset_after=False),
    "lstm, projected": jaxseq.lstm(2, 4, proj_size=3),
    "min_gru": jaxseq.min_gru(2, 3),
    "stack": jaxseq.stack((jaxseq.gru(2, 3), jaxseq.lstm(3, 4))),
    "nested": jaxseq.stack(
        (jaxseq.elman(2, 3), jaxseq.residual(jaxseq.stack((jaxseq.lstm(3, 3),))))
    ),
}


def arguments(cell, seed=0):
    params, xs, _ = example(cell, batch_shape=(BATCH,), steps=STEPS, seed=seed, dtype=np.float64)
    weights = np.random.default_rng(seed + 9).normal(size=(BATCH, STEPS, cell.output_size))
    return params, xs, jnp.asarray(weights)


def flow_of(loss, *args):
    """The gradients by states, in one program and not in one of each operation."""
    said = []

    @jax.jit
    def run(*args):
        found = diagnostics.gradient_flow(loss, *args)
        said.extend((layer.cell, layer.reverse) for layer in found.layers)
        return found.loss, [layer.gradient for layer in found.layers]

    value, found = run(*args)
    layers = (diagnostics.StateGradient(*of, by) for of, by in zip(said, found, strict=True))
    return diagnostics.GradientFlow(value, tuple(layers))


def gradients(layers):
    return jax.tree.leaves([layer.gradient for layer in layers])


def weighed(carry, ys, weights):
    """A loss that reads outputs and the final state."""
    last = sum(jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(carry))
    return jnp.sum(weights * jnp.sin(ys)) + last


def cells_in(cell, params, carry, x, nudges, path):
    """One step of one example, with what is added to each state: the textbook's, written out."""
    if path == "stack":
        first, (after, y) = (jaxseq.gru(2, 3), jaxseq.lstm(3, 4)), (None, x)
        carries = []
        for inner, p, c, e in zip(first, params, carry, nudges, strict=True):
            after, _ = inner.step(p, c, y)
            after = jax.tree.map(jnp.add, after, e)
            carries.append(after)
            y = after.h
        return tuple(carries), y
    after, y = cell.step(params, carry, x)
    after = jax.tree.map(jnp.add, after, nudges[0])
    return after, after.h


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, "auto") for name in ("lstm, projected", "min_gru", "stack")),
        ("stack", "reference"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                *((name, "auto") for name in ("elman", "lstm", "gru")),
                ("elman", "reference"),
                *(("lstm", "reference"), ("gru", "reference")),
            )
        ),
    ],
)
def test_it_is_the_gradient_by_what_is_added_by_hand(name, backend):
    cell = CELLS[name]
    params, xs, weights = arguments(cell)

    def loss(params, xs):
        carry, ys = jaxseq.scan(cell, params, xs, lengths=LENGTHS, backend=backend)
        return weighed(carry, ys, weights)

    found = flow_of(loss, params, xs)

    def by_hand(nudges):
        total = 0.0
        for row in range(BATCH):
            carry, ys = cell.carry(params), []
            for t in range(LENGTHS[row]):
                here = jax.tree.map(lambda leaf, row=row, t=t: leaf[row, t], nudges)
                carry, y = cells_in(cell, params, carry, xs[row, t], here, name)
                ys.append(y)
            total = total + weighed(carry, jnp.stack(ys), weights[row, : len(ys)]) if ys else total
            total = total if ys else total + weighed(carry, jnp.zeros(()), jnp.zeros(()))
        return total

    nudges = tuple(jax.tree.map(jnp.zeros_like, layer.gradient) for layer in found.layers)
    value, expected = jax.jit(jax.value_and_grad(by_hand))(nudges)
    np.testing.assert_allclose(found.loss, value, rtol=1e-12)
    for layer, other in zip(found.layers, expected, strict=True):
        for a, b in zip(jax.tree.leaves(layer.gradient), jax.tree.leaves(other), strict=True):
            assert float(jnp.abs(b).max()) > 1e-3
            np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("stack", "min_gru") else pytest.param(name, marks=pytest.mark.slow)
        for name in CELLS
    ],
)
def test_loops_agree_and_pads_are_empty(name):
    cell = CELLS[name]
    params, xs, weights = arguments(cell)
    poisoned = jnp.where((np.arange(STEPS) < LENGTHS[:, None])[..., None], xs, jnp.nan)

    def flow(backend, xs, **options):
        def loss(xs):
            carry, ys = jaxseq.scan(cell, params, xs, lengths=LENGTHS, backend=backend, **options)
            return weighed(carry, ys, weights)

        return flow_of(loss, xs).layers

    expected = flow("reference", xs)
    for other in (
        flow("auto", poisoned),
        flow("auto", xs, remat=1),
        flow("auto", xs, remat=4),
        flow("reference", xs, reverse=False, unroll=2),
    ):
        assert [layer.cell for layer in other] == [layer.cell for layer in expected]
        for a, b in zip(gradients(other), gradients(expected), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)
    for norm in jax.tree.leaves([layer.norm for layer in expected]):
        assert norm.shape == (BATCH, STEPS)
        assert (np.asarray(norm)[1, 3:] == 0).all() and (np.asarray(norm)[2] == 0).all()
        assert (np.asarray(norm)[0] > 0).all()


@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_values_and_other_gradients_are_those_without_taps(name):
    cell = CELLS[name]
    params, xs, weights = arguments(cell)

    def loss(params):
        return weighed(*jaxseq.scan(cell, params, xs, lengths=LENGTHS), weights)

    found = diagnostics.gradient_flow(loss, params)
    np.testing.assert_allclose(found.loss, loss(params), rtol=1e-14)
    assert jaxseq.scan(cell, params, xs)[1].shape == (BATCH, STEPS, 3)  # no tap is left behind


@pytest.mark.parametrize("rows", [1, BATCH])
def test_both_directions_are_taken_apart(rows):
    cell = CELLS["lstm"]
    params, xs, _ = arguments(cell)
    other = arguments(cell, seed=1)[0]
    xs, lengths = xs[:rows], LENGTHS[:rows]

    def loss(xs):
        both = jaxseq.Directions(params, other)
        carry, ys = jaxseq.sequence.bidirectional(cell, both, xs, lengths=lengths)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(carry.backward.c)

    layers = diagnostics.gradient_flow(loss, xs).layers
    assert [layer.reverse for layer in layers] == [False, True]

    def apart(xs):
        one, two = (
            jaxseq.scan(cell, weights, xs, lengths=lengths, reverse=reverse)
            for weights, reverse in ((params, False), (other, True))
        )
        return jnp.sum(jnp.sin(one[1])) + jnp.sum(jnp.sin(two[1])) + jnp.sum(two[0].c)

    for a, b in zip(
        gradients(layers),
        gradients(diagnostics.gradient_flow(apart, xs).layers),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_flax_model_shows_every_layer_and_direction():
    model = nn.GRU(2, 3, 2, bidirectional=True, rngs=jax.random.key(0))
    xs = jnp.ones((2, 4, 2), jnp.float32)
    params, apply = nn.pure(model)
    found = diagnostics.gradient_flow(lambda p, xs: jnp.sum(apply(p, xs)[1] ** 2), params, xs)
    assert [(layer.cell, layer.reverse) for layer in found.layers] == 2 * [
        ("gru", False),
        ("gru", True),
    ]
    assert {layer.norm.h.shape for layer in found.layers} == {(2, 4)}


def test_dropout_and_zoneout_are_seen_through():
    dropped = jaxseq.dropout(jaxseq.lstm(2, 3), 0.0, state_rate=0.5)
    zoned = jaxseq.zoneout(jaxseq.gru(2, 3), 0.5)
    for cell in (dropped, zoned):
        params = cell.init(jax.random.key(0))
        carry = cell.carry(params, (1,), key=jax.random.key(1))
        xs = jnp.ones((1, 4, 2), jnp.float32)

        def loss(xs, cell=cell, params=params, carry=carry):
            return jaxseq.scan(cell, params, xs, carry=carry)[1][:, -1].sum()

        (layer,) = diagnostics.gradient_flow(loss, xs).layers
        last = jax.tree.leaves(layer.norm)[0][0]
        np.testing.assert_allclose(last[-1], np.sqrt(3), rtol=1e-6)
        assert (np.asarray(last) > 0).all()


def test_a_piece_is_cut_off_from_the_next():
    cell = CELLS["gru"]
    params, xs, _ = arguments(cell)
    resets = jnp.zeros((BATCH, STEPS), bool).at[:, 3].set(True)

    def last(xs):
        return jaxseq.scan(cell, params, xs, resets=resets)[1][:, -1].sum()

    norms = np.asarray(diagnostics.gradient_flow(last, xs).layers[0].norm.h)
    assert (norms[:, :3] == 0).all() and (norms[:, 3:] > 0).all()


def test_a_jit_around_the_loss_is_taken_off():
    cell = CELLS["elman"]
    params, xs, _ = arguments(cell)
    loss = jax.jit(lambda xs: jaxseq.scan(cell, params, xs)[1].sum())
    loss(xs)
    np.testing.assert_allclose(diagnostics.gradient_flow(loss, xs).loss, loss(xs), rtol=1e-12)


def test_what_almost_vanished_is_not_rounded_to_nothing():
    tiny = jnp.full((1, 4), 1e-30, jnp.float32)
    norm = diagnostics.StateGradient("a cell", False, tiny).norm
    np.testing.assert_allclose(norm, 2e-30, rtol=1e-6)


# ---------------------------------------------------------------------------------------- influence


def test_influences_add_up_to_the_flow():
    cell = CELLS["stack"]
    params, xs, weights = arguments(cell)

    def losses(xs):
        _, ys = jaxseq.scan(cell, params, xs, lengths=LENGTHS)
        return jnp.sum(weights * jnp.sin(ys), -1)

    layers = diagnostics.influence(losses, xs)
    for t in range(STEPS):
        one = flow_of(lambda xs, t=t: losses(xs)[:, t].sum(), xs).layers
        for layer, alone in zip(layers, one, strict=True):
            for a, b in zip(
                jax.tree.leaves(layer.gradient), jax.tree.leaves(alone.norm), strict=True
            ):
                np.testing.assert_allclose(a[:, t], b, atol=1e-12)
                assert (np.asarray(a)[:, t, t + 1 :] == 0).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_memory_of_a_leaky_unit_is_where_its_power_falls_below(reverse):
    cell = jaxseq.elman(1, 1, activation=lambda z: z)
    params = cell.init(jax.random.key(0))._replace(w_hh=jnp.array([[0.5]], jnp.float32))
    xs = jnp.ones((2, 12, 1), jnp.float32)
    run = jaxseq.scan
    (layer,) = diagnostics.influence(
        lambda xs: run(cell, params, xs, reverse=reverse, lengths=jnp.array([12, 0]))[1][..., 0], xs
    )
    assert diagnostics.effective_memory(layer, threshold=0.1).h.tolist() == [4, 0]  # 0.5^4 < 0.1
    assert diagnostics.effective_memory(layer, threshold=1e-6).h.tolist() == [12, 0]


# ------------------------------------------------------------------------------------------- errors


def test_wrong_use_is_said_plainly():
    cell = CELLS["elman"]
    params, xs, _ = arguments(cell)

    def run(xs):
        return jaxseq.scan(cell, params, xs)[1]

    flow, influence = diagnostics.gradient_flow, diagnostics.influence
    for call, kind, text in (
        (lambda: flow(3.0, xs), TypeError, "gradient_flow: `loss` must be a function, but it is 3"),
        (lambda: flow(run, xs), ValueError, r"must return a scalar, but it has shape \(3, 6, 3\)"),
        (lambda: flow(jnp.sum, xs), ValueError, "the function runs no jaxseq.scan"),
        (
            lambda: flow(lambda xs: jax.jit(run)(xs).sum(), xs),
            ValueError,
            "inside a jit, a vmap or a loop",
        ),
        (
            lambda: flow(lambda xs: jax.vmap(run)(xs).sum(), xs),
            ValueError,
            "inside a jit, a vmap or a loop",
        ),
        (
            lambda: flow(lambda xs: (run(xs).sum() > 0).astype(int), xs),
            TypeError,
            "`loss` must return floating-point numbers, but it has dtype int",
        ),
        (
            lambda: flow(
                lambda xs: jaxseq.scan(cell, params, xs, lengths=np.array([9, 9, 9]))[1].sum(), xs
            ),
            ValueError,
            "must lie in",
        ),
        (
            lambda: influence(lambda xs: run(xs).sum(), xs),
            ValueError,
            r"`losses` must have shape \(\*batch, T\), a loss for each step, but it has shape \(\)",
        ),
        (
            lambda: diagnostics.effective_memory(
                influence(lambda xs: run(xs)[..., 0], xs)[0], threshold=1.0
            ),
            ValueError,
            "`threshold` must be between 0 and 1, but it is 1.0",
        ),
    ):
        with pytest.raises(kind, match=text):
            call()


def test_a_mask_on_the_state_is_not_left_out_in_silence():
    cell = jaxseq.dropout(jaxseq.lstm(2, 3), 0.0, state_rate=0.5)
    params = cell.init(jax.random.key(0))
    carry = cell.carry(params, (1,), key=jax.random.key(1))
    xs = jnp.ones((1, 4, 2), jnp.float32)

    def loss(xs):
        return jaxseq.scan(cell, params, xs, carry=carry, backend="reference")[1].sum()

    with pytest.raises(ValueError, match=r"a mask on the state inside a cell under taps needs the"):
        diagnostics.gradient_flow(loss, xs)
