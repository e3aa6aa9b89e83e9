"""The fast path against the specification: values, carries, derivatives, on every schedule."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from orders import every_order

import jaxseq
from jaxseq import testing
from jaxseq.sequence._schedule import Schedule, override
from jaxseq.testing import random_example
from jaxseq.testing._example import split_inexact


def evaluated(cell):
    """The cell, whose carry draws no masks whether it is given a key or not."""

    def carry(params, batch_shape=(), *, key=None):
        return cell.carry(params, batch_shape)

    return cell._replace(carry=carry)


LSTM, PROJECTED, GRU = jaxseq.lstm(2, 3), jaxseq.lstm(2, 3, proj_size=2), jaxseq.gru(2, 3)
ZONEOUT = jaxseq.zoneout(LSTM, 0.25, cell_rate=0.5)
DROPOUT = jaxseq.dropout(LSTM, 0.5, state_rate=0.3)
CELLS = {
    "elman": jaxseq.elman(2, 3),
    "elman relu": jaxseq.elman(2, 3, activation=jax.nn.relu),
    "lstm": LSTM,
    "lstm with a projection": PROJECTED,
    "gru": GRU,
    "gru, sums kept": GRU._replace(maps=GRU.maps._replace(gates=None)),
    "gru, maps kept": GRU._replace(maps=GRU.maps._replace(gates=None, additive=0.0)),
    "peephole lstm": jaxseq.peephole_lstm(2, 3),
    "layer norm lstm": jaxseq.layer_norm_lstm(2, 3),
    "layer norm gru": jaxseq.layer_norm_gru(2, 3),
    "zoneout": ZONEOUT,
    "zoneout in evaluation": evaluated(ZONEOUT),
    "dropout": DROPOUT,
    "residual": jaxseq.residual(jaxseq.gru(3, 3)),
    "mixed stack": jaxseq.stack(
        [
            jaxseq.dropout(LSTM, 0.5, state_rate=0.3),
            jaxseq.residual(jaxseq.gru(3, 3)),
            jaxseq.gru(3, 2, reset_after=False),
        ]
    ),
    "stack of linear recurrences": jaxseq.stack([jaxseq.lru(2, 3, 4), jaxseq.min_gru(3, 2)]),
}
IN_LOOP, HOISTED = Schedule(hoist=False), Schedule(hoist=True)
# A schedule for both kinds of program, and what `remat` is. T is 4.
WAYS = {
    "by size": (None, None),
    "in the loop": (IN_LOOP, None),
    "hoisted": (HOISTED, None),
    "windows": (Schedule(hoist=True, window=2), None),
    "windows and a rest": (Schedule(hoist=False, window=3), None),
    "states alone": (None, 1),
    "states alone, hoisted": (HOISTED, 1),
    "every third carry": (Schedule(hoist=True, window=2), 3),
    "every root of time": (None, "sqrt"),
}
LENGTHS = np.array([[4, 0, 1], [2, 4, 3]])
RESETS = np.random.default_rng(0).random((2, 3, 4)) < 0.4
KINDS = {"full": {}, "ragged": {"padded": True}, "reversed": {"padded": True, "reverse": True}}


def scalar(result):
    """A weighted sum of all that a scan returns, in which every number has its own weight."""
    leaves = split_inexact(result)[0]
    flat = jnp.concatenate([leaf.ravel() for leaf in leaves])
    return jnp.dot(flat, jnp.sin(jnp.arange(1.0, flat.size + 1.0, dtype=flat.dtype)))


MASKED = {"zoneout", "zoneout in evaluation", "dropout", "mixed stack"}  # not numbers alone


def problem(name, *, padded=False, reverse=False):
    """Returns a scan of params, inputs and the numbers of a carry, and a point."""
    draw = random_example if name in MASKED else functools.partial(example, dtype=np.float64)
    params, xs, carry = draw(cell := CELLS[name], batch_shape=(2, 3), steps=4)
    leaves, build = split_inexact(carry)
    options = {"reverse": reverse}
    if padded:
        xs = jnp.where(np.arange(4)[:, None] < LENGTHS[..., None, None], xs, jnp.nan)
        options |= {"lengths": jnp.asarray(LENGTHS), "resets": jnp.asarray(RESETS)}

    def run(point, backend, **more):
        params, xs, leaves = point
        return jaxseq.scan(
            cell, params, xs, carry=build(leaves), backend=backend, **options, **more
        )

    return run, (params, xs, leaves)


def differentiated(run, point):
    """The value of a scan, alone and with all its gradients."""

    def loss(point):
        result = run(point)
        return scalar(result), result

    return jax.jit(lambda point: (run(point), jax.grad(loss, has_aux=True)(point)))(point)


@functools.cache
def specified(name, kind):
    """What the specification gives; once for all ways."""
    run, point = problem(name, **KINDS[kind])
    return differentiated(functools.partial(run, backend="reference"), point)


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype and np.isfinite(a).all()
        atol = 1e-12 * max(1.0, np.abs(b).max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=atol)


def in_way(way, function, *args, **options):
    """Calls a function of ``remat`` under the schedule of a way."""
    schedule, remat = WAYS[way]
    if schedule is None:
        return function(*args, remat=remat, **options)
    with override(schedule, schedule):
        return function(*args, remat=remat, **options)


def is_the_specification(name, way, kind):
    run, point = problem(name, **KINDS[kind])

    def result(remat):
        # By "auto" too a cell that decomposes is on the fast path; a mixed stack as far as it goes.
        backend = "auto" if "stack" in name else "fused"
        return differentiated(functools.partial(run, backend=backend, remat=remat), point)

    assert_equal(in_way(way, result), specified(name, kind))


# Every cell, every way and every kind; the specification of a cell and a kind is computed once.
FAST = [
    ("elman", "windows and a rest", "reversed"),
    ("elman", "by size", "reversed"),
    ("elman relu", "states alone, hoisted", "ragged"),
    ("lstm", "every third carry", "reversed"),
    ("lstm", "hoisted", "reversed"),
    ("lstm with a projection", "in the loop", "ragged"),
    ("gru", "hoisted", "ragged"),
    ("gru, sums kept", "in the loop", "reversed"),
    ("gru, maps kept", "states alone", "ragged"),
    ("peephole lstm", "windows", "reversed"),
    ("peephole lstm", "states alone", "reversed"),
    ("layer norm lstm", "states alone", "ragged"),
    ("layer norm gru", "every root of time", "reversed"),
    ("zoneout", "windows and a rest", "reversed"),
    ("zoneout", "states alone", "reversed"),
    ("zoneout in evaluation", "every third carry", "ragged"),
    ("dropout", "in the loop", "reversed"),
    ("dropout", "states alone, hoisted", "reversed"),
    ("residual", "every root of time", "full"),
    ("mixed stack", "by size", "ragged"),
    ("mixed stack", "states alone", "ragged"),
    ("stack of linear recurrences", "every third carry", "reversed"),
]
ALL = [case for case in itertools.product(CELLS, WAYS, KINDS) if case not in FAST]


@pytest.mark.parametrize(("name", "way", "kind"), FAST, ids=str)
def test_values_and_gradients_are_those_of_the_reference(name, way, kind, x64):
    is_the_specification(name, way, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way", "kind"), ALL, ids=str)
def test_values_and_gradients_are_those_of_the_reference_in_every_case(name, way, kind, x64):
    is_the_specification(name, way, kind)


@pytest.mark.parametrize("reverse", [False, True])
def test_states_that_are_mapped_again_by_windows_leave_a_rest(reverse, x64):
    """Of more steps than a window of those has."""
    params, xs, carry = example(GRU, batch_shape=(2,), steps=70, dtype=np.float64)
    options = {"lengths": jnp.array([70, 66]), "reverse": reverse}

    def run(point, **how):
        params, xs, carry = point
        return jaxseq.scan(GRU, params, xs, carry=carry, **options, **how)

    point = params, xs, carry
    assert_equal(
        differentiated(functools.partial(run, backend="fused", remat=1), point),
        differentiated(functools.partial(run, backend="reference"), point),
    )


def all_orders(run, point):
    point = jax.tree.map(np.nan_to_num, point)
    return every_order(lambda point: scalar(run(point)), point, jax.tree.map(np.cos, point))


def every_order_is_the_specifications(name, way, kind):
    run, point = problem(name, **KINDS[kind])

    def result(remat):
        return all_orders(functools.partial(run, backend="fused", remat=remat), point)

    expected = all_orders(functools.partial(run, backend="reference"), point)
    assert_equal(in_way(way, result), expected)


DEEP = [
    ("lstm with a projection", "by size", "ragged"),
    ("gru", "windows and a rest", "reversed"),
    ("layer norm lstm", "states alone", "ragged"),
    ("dropout", "hoisted", "reversed"),
    ("zoneout", "every third carry", "ragged"),
    ("peephole lstm", "in the loop", "full"),
]


@pytest.mark.parametrize(("name", "way", "kind"), DEEP[:2], ids=str)
def test_every_order_of_derivative_is_that_of_the_reference(name, way, kind, x64):
    every_order_is_the_specifications(name, way, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way", "kind"), DEEP[2:], ids=str)
def test_every_order_of_derivative_of_more_cells_is_that_of_the_reference(name, way, kind, x64):
    every_order_is_the_specifications(name, way, kind)


@settings(deadline=None, max_examples=6, derandomize=True, database=None)
@given(data=st.data())
def test_gradients_over_any_shape_are_those_of_the_reference(data):
    kind = data.draw(st.sampled_from([jaxseq.elman, jaxseq.gru]), "cell")
    cell = kind(data.draw(st.integers(1, 4), "I"), data.draw(st.integers(1, 4), "H"))
    batch, steps = data.draw(st.integers(0, 3), "B"), data.draw(st.integers(0, 6), "T")
    window = data.draw(st.none() | st.integers(1, 7), "window")
    schedule = Schedule(data.draw(st.booleans(), "hoist"), window)
    rng = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    options = {
        "lengths": jnp.asarray(rng.integers(0, steps + 1, batch)),
        "resets": jnp.asarray(rng.random((batch, steps)) < 0.3),
        "reverse": data.draw(st.booleans(), "reverse"),
    }
    remat = data.draw(st.sampled_from([None, 1, 2, "sqrt"]), "remat")
    unroll = data.draw(st.integers(1, 3), "unroll")

    def run(point, **how):
        params, xs, carry = point
        return jaxseq.scan(cell, params, xs, carry=carry, **options, **how)

    with jax.enable_x64(True), override(schedule, schedule):
        point = example(cell, batch_shape=(batch,), steps=steps, dtype=np.float64)
        how = {"backend": "fused", "remat": remat, "unroll": unroll}
        actual = differentiated(functools.partial(run, **how), point)
        assert_equal(actual, differentiated(functools.partial(run, backend="reference"), point))


@pytest.mark.parametrize("name", ["gru", "dropout"])
@pytest.mark.parametrize("mapped", ["params", "inputs"])
def test_gradients_may_be_mapped_over_weights_or_over_inputs(mapped, name, x64):
    cell = CELLS[name]
    examples = [random_example(cell, batch_shape=(2,), steps=3, seed=seed) for seed in (0, 1)]
    params, *inputs = examples[0]
    if mapped == "params":
        points = [(example.params, *inputs) for example in examples]
        in_axes = (0, None, None)
    else:
        points = [(params, *example[1:]) for example in examples]
        in_axes = (None, 0, 0)
    stacked = tuple(
        tree if axis is None else jax.tree.map(lambda *leaves: jnp.stack(leaves), tree, other)
        for axis, tree, other in zip(in_axes, *points, strict=True)
    )

    def gradient(params, xs, carry, backend):
        def loss(params, xs, carry):
            options = {"lengths": jnp.array([3, 1]), "backend": backend}
            return scalar(jaxseq.scan(cell, params, xs, carry=carry, **options))

        return jax.grad(loss, argnums=(0, 1, 2))(params, xs, carry)

    actual = jax.jit(jax.vmap(functools.partial(gradient, backend="fused"), in_axes))(*stacked)
    one = jax.jit(functools.partial(gradient, backend="reference"))
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(one(*point) for point in points))
    assert_equal(actual, expected)


CHECKS = [check for check in testing.CHECKS if check.__name__ != "carry_keeps_its_type"]


@pytest.mark.parametrize("name", ["a_sequence_may_be_cut_anywhere", "batch_axes_are_rows"])
def test_the_contract_holds(name, x64):
    (check,) = (check for check in CHECKS if check.__name__ == name)
    check(PROJECTED, "fused")


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cell", CELLS)
def test_the_whole_contract_holds_for_every_cell(cell, check, x64):
    check(CELLS[cell], "auto" if "stack" in cell else "fused")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_lower_precisions_agree_with_the_reference(dtype):
    cell = jaxseq.lstm(3, 5)
    params = jax.jit(cell.init, static_argnums=1)(jax.random.key(0), dtype)
    xs = jax.random.normal(jax.random.key(1), (2, 7, 3), dtype)
    run = functools.partial(jaxseq.scan, cell, params, xs, lengths=jnp.array([7, 4]))
    (fused, ys), (reference, expected) = run(backend="fused"), run(backend="reference")
    assert ys.dtype == dtype
    assert fused.c.dtype == jnp.float32
    tolerance = 2e-2 if dtype == jnp.bfloat16 else 1e-6
    np.testing.assert_allclose(ys.astype(jnp.float32), expected.astype(jnp.float32), atol=tolerance)
    np.testing.assert_allclose(fused.c, reference.c, atol=tolerance)


@pytest.mark.parametrize("name", ["elman", "lstm with a projection", "gru"])
def test_gradients_in_bfloat16_are_summed_up_in_float32(name):
    """A sum of bfloat16 numbers stands still where one is 1/256 of it; so do 2000 equal steps."""
    cell = CELLS[name]
    params = jax.jit(cell.init)(jax.random.key(0))
    half = jax.tree.map(lambda leaf: np.asarray(0.5 * np.asarray(leaf), jnp.bfloat16), params)
    xs = np.full((2000, 2), 0.5, np.float32)

    def gradient(params, xs):
        return jax.jit(
            jax.grad(
                lambda p: jnp.sum(jaxseq.scan(cell, p, xs, backend="fused")[1].astype("float32"))
            )
        )(params)

    exact = gradient(jax.tree.map(lambda leaf: leaf.astype(np.float32), half), xs)
    grads = gradient(half, xs.astype(jnp.bfloat16))
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(exact), strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_allclose(a.astype(jnp.float32), b, atol=0.05 * float(np.abs(b).max()))


def products_by_depth(cell, **options):
    """How many products of matrices a scan has outside and inside of its loops."""
    params = jax.eval_shape(cell.init, jax.random.key(0))

    def loss(params):
        return jnp.sum(jaxseq.scan(cell, params, jnp.ones((3, 5, 2)), **options)[1])

    counts = {False: 0, True: 0}

    def visit(jaxpr, inside):
        for equation in jaxpr.eqns:
            counts[inside] += equation.primitive.name == "dot_general"
            looped = inside or equation.primitive.name == "scan"
            for value in jax.tree.leaves(
                equation.params, is_leaf=lambda leaf: hasattr(leaf, "jaxpr")
            ):
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    visit(inner, looped)

    visit(jax.make_jaxpr(jax.grad(loss))(params).jaxpr, False)
    return counts[False], counts[True]


def test_auto_is_fused_where_the_cell_decomposes():
    """A training step has both weights' gradients outside; else two of a loop's products more."""
    with override(IN_LOOP, IN_LOOP):
        fused, plain = products_by_depth(GRU), products_by_depth(GRU, backend="reference")
    assert plain[0] == 0
    assert fused[0] >= 2 and fused[1] < plain[1]
    assert products_by_depth(jaxseq.gru(2, 3, reset_after=False))[0] == 0


def test_a_layer_that_does_not_decompose_leaves_the_others_on_the_fast_path():
    cell = jaxseq.stack([GRU, jaxseq.gru(3, 3, reset_after=False)])
    assert products_by_depth(cell)[0] >= 2
    with pytest.raises(ValueError, match=r'`backend` "fused" needs a cell that decomposes into'):
        jaxseq.scan(cell, cell.init(jax.random.key(0)), jnp.zeros((5, 2)), backend="fused")
