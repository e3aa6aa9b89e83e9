"""Both ways to run a linear recurrence against the papers and the specification, to every order."""

import functools

import jax
import jax.numpy as jnp
import linear_twins
import numpy as np
import pytest
from examples import example
from orders import every_order

import jaxseq
from jaxseq import testing
from jaxseq.cells import Linear

CELLS = {
    "lru": jaxseq.lru(2, 3, 4),
    "min_gru": jaxseq.min_gru(2, 3),
    "min_lstm": jaxseq.min_lstm(2, 3),
}
TWINS = {name: getattr(linear_twins, f"{name}_step") for name in CELLS}
LENGTHS = np.array([[5, 0, 1], [2, 5, 3]])
RESETS = np.random.default_rng(0).random((2, 3, 5)) < 0.4
WAYS = pytest.mark.parametrize("associative", [False, True], ids=["in order", "associative"])


def run(cell, params, carry, xs, *, associative=None, **options):
    """Runs ``xs [*batch, T, I]``; with ``associative=None`` by the specification."""
    backend = {None: "reference", False: "fused", True: "associative"}[associative]
    options = {name: value for name, value in options.items() if value is not None}
    return jaxseq.scan(cell, params, xs, carry=carry, backend=backend, **options)


def scalar(result):
    """A weighted sum of all that a scan returns, in which every number has its own weight."""
    flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(result)])
    return jnp.dot(flat, jnp.sin(jnp.arange(1.0, flat.size + 1.0, dtype=flat.dtype)))


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def poisoned(xs, lengths):
    return jnp.where(np.arange(xs.shape[-2])[:, None] < lengths[..., None, None], xs, jnp.nan)


@functools.cache
def valued(name, reverse, associative):
    """All that a scan returns and its gradients; those of the specification once for both ways."""
    cell = CELLS[name]
    params, xs, carry = example(cell, batch_shape=(2, 3), steps=5, dtype=np.float64)
    options = {"lengths": LENGTHS, "resets": RESETS, "reverse": reverse}
    inputs = xs if associative is None else poisoned(xs, LENGTHS)

    def loss(params, carry, xs):
        result = run(cell, params, carry, xs, associative=associative, **options)
        return scalar(result), result

    grads, result = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(params, carry, inputs)
    return result, grads, linear_twins.sequence(TWINS[name], params, carry, xs, **options)


@WAYS
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_values_are_the_papers_and_gradients_the_specifications(name, reverse, associative, x64):
    result, grads, expected = valued(name, reverse, associative)
    specified, specified_grads, _ = valued(name, reverse, None)
    assert_equal(result, expected)
    assert_equal(specified, expected)
    assert_equal(grads, specified_grads)


@functools.cache
def both_directions(name, steps, associative):
    """A number of steps without a batch and its gradients, forwards and backwards."""
    cell = CELLS[name]
    params, xs, carry = example(cell, steps=steps, dtype=np.float64)

    def loss(params, carry, reverse):
        return scalar(run(cell, params, carry, xs, reverse=reverse, associative=associative))

    differentiate = jax.value_and_grad(loss, (0, 1))
    return jax.jit(lambda *at: [differentiate(*at, reverse) for reverse in (False, True)])(
        params, carry
    )


@WAYS
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        pytest.param(name, steps, marks=[pytest.mark.slow] * (steps == 2 and name != "lru"))
        for name in CELLS
        for steps in (0, 1, 2, 7)
    ],
)
def test_any_number_of_steps_without_a_batch(name, steps, associative, x64):
    assert_equal(both_directions(name, steps, associative), both_directions(name, steps, None))


@functools.cache
def orders(name, associative):
    """A derivative forwards, and two of the second order."""
    cell = CELLS[name]
    point = example(cell, batch_shape=(3,), steps=5, dtype=np.float64)
    direction = jax.tree.map(jnp.cos, point)
    options = {"lengths": LENGTHS[1], "resets": RESETS[0], "reverse": True}

    def loss(point):
        params, xs, carry = point
        return scalar(run(cell, params, carry, xs, associative=associative, **options))

    return every_order(loss, point, direction)


@pytest.mark.parametrize(
    ("name", "associative"),
    [
        pytest.param("lru", False, id="lru-in order"),
        pytest.param("lru", True, id="lru-associative"),
        pytest.param("min_lstm", False, id="min_lstm-in order"),
        pytest.param("min_lstm", True, id="min_lstm-associative", marks=pytest.mark.slow),
    ],
)
def test_every_order_of_derivative_is_that_of_the_specification(name, associative, x64):
    assert_equal(orders(name, associative), orders(name, None))


@pytest.mark.parametrize("leaf", ["nu_log", "B_im", "D", "re", "xs"])
def test_a_gradient_with_respect_to_anything_alone(leaf, x64):
    """A linear solve whose right side has a tangent in part is what JAX does not transpose."""
    cell = CELLS["lru"]
    params, xs, carry = example(cell, steps=3, dtype=np.float64)
    value = {**params._asdict(), **carry._asdict(), "xs": xs}[leaf]

    def loss(value, associative):
        point = [
            tree._replace(**{leaf: value}) if leaf in tree._fields else tree
            for tree in (params, carry)
        ]
        inputs = value if leaf == "xs" else xs
        return scalar(run(cell, *point, inputs, associative=associative))

    gradients = [
        jax.jit(jax.grad(functools.partial(loss, associative=way)))(value)
        for way in (False, True, None)
    ]
    assert_equal(gradients[0], gradients[2])
    assert_equal(gradients[1], gradients[2])


@pytest.mark.parametrize("reverse", [False, True])
def test_a_fresh_start_may_depend_on_the_weights(reverse, x64):
    def reset(params, carry):
        return type(carry)(jnp.sin(params.nu_log), jnp.cos(params.theta_log))

    cell = CELLS["lru"]._replace(reset=reset)
    params, xs, carry = example(cell, batch_shape=(3,), steps=5, dtype=np.float64)
    options = {"lengths": LENGTHS[1], "resets": RESETS[0], "reverse": reverse}

    def loss(params, way):
        return scalar(run(cell, params, carry, xs, associative=way, **options))

    differentiate = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    expected = differentiate(params, None)
    for associative in (False, True):
        assert_equal(differentiate(params, associative), expected)


@WAYS
@pytest.mark.parametrize("name", ["lru", "min_gru"])
def test_what_a_reset_cuts_off_may_be_infinite(name, associative):
    cell = CELLS[name]
    params, xs, carry = example(cell, steps=6)
    carry = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.inf), carry)
    xs = xs.at[2].set(jnp.nan)
    resets = np.array([True, False, False, False, True, False])
    _, ys = run(cell, params, carry, xs, resets=resets, associative=associative)
    clean = cell.carry(params)
    for piece in (slice(0, 2), slice(4, 6)):
        _, alone = run(cell, params, clean, xs[piece])
        np.testing.assert_allclose(ys[piece], alone, rtol=1e-5, atol=1e-6)

    def loss(params):
        return jnp.sum(
            run(cell, params, carry, xs[:2], resets=resets[:2], associative=associative)[1]
        )

    assert all(np.isfinite(leaf).all() for leaf in jax.jit(jax.grad(loss))(params))


def pooled():
    """A cell of one's own: a state of two arrays, of different rank, both real."""

    def coefficients(params, x):
        a = {"grid": jnp.tile(jax.nn.sigmoid(x)[None], (3, 1)), "sum": jnp.ones(())}
        return a, {"grid": jnp.outer(params, x), "sum": jnp.sum(x)}

    def read(params, carry, x):
        return jnp.sum(carry["grid"], axis=0) + carry["sum"] * x

    def step(params, carry, x):
        a, b = coefficients(params, x)
        carry = jax.tree.map(lambda a, h, b: a * h + b, a, carry, b)
        return carry, read(params, carry, x)

    def zeros(params, batch_shape=(), *, key=None):
        return {"grid": jnp.zeros((*batch_shape, 3, 2)), "sum": jnp.zeros(batch_shape)}

    def init(key, dtype=jnp.float32):
        return jax.random.normal(key, (3,), dtype)

    linear = Linear(coefficients, read)
    return jaxseq.Cell("pooled", 2, 2, init, zeros, step, linear=linear)


def test_a_state_may_be_several_real_arrays_of_any_rank(x64):
    cell = pooled()
    params, xs, carry = testing.random_example(cell, batch_shape=(3,), steps=5)

    def loss(params, carry, xs, way):
        options = {"lengths": LENGTHS[0], "resets": RESETS[0]}
        result = run(cell, params, carry, xs, associative=way, **options)
        return scalar(result), result

    differentiate = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True), static_argnums=3)
    expected = differentiate(params, carry, xs, None)
    for associative in (False, True):
        assert_equal(differentiate(params, carry, xs, associative), expected)


@pytest.mark.parametrize("name", CELLS)
def test_a_long_associative_scan_in_float32_is_the_loop(name):
    cell = CELLS[name]
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (1000, 2))

    def loss(params, associative):
        carry, ys = run(cell, params, cell.carry(params), xs, associative=associative)
        return jnp.mean(ys**2), (carry, ys)

    differentiate = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
    actual, expected = (jax.tree.leaves(differentiate(params, way)) for way in (True, False))
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * max(1.0, np.abs(b).max()))


@WAYS
@pytest.mark.parametrize("name", CELLS)
def test_half_precision_weights_sum_up_in_float32(name, associative):
    cell = CELLS[name]
    params = cell.init(jax.random.key(0), jnp.bfloat16)
    xs = jax.random.normal(jax.random.key(1), (2, 9, 2), jnp.bfloat16)
    results = [
        run(cell, params, cell.carry(params, (2,)), xs, associative=way)
        for way in (associative, None)
    ]
    for result in results:
        assert result[1].dtype == jnp.bfloat16
        assert {leaf.dtype for leaf in result[0]} == {jnp.dtype("float32")}
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), atol=2e-2)


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        (jaxseq.lru(5, 7, 11), 5 + 2 * 11),  # inputs, states
        (jaxseq.min_gru(5, 11), 5 + 2 * 11 + 11 + 11),  # inputs, products, `a`, states
        (jaxseq.min_lstm(5, 11), 5 + 3 * 11 + 11 + 11),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@WAYS
def test_the_backward_pass_finds_kept_what_is_said(cell, numbers, associative):
    steps, rows = 17, 13
    params = jax.eval_shape(cell.init, jax.random.key(0))
    xs = jax.ShapeDtypeStruct((rows, steps, 5), jnp.float32)

    def backward(params, xs):
        carry = cell.carry(params, (rows,))
        return jax.vjp(
            lambda *at: run(cell, at[0], carry, at[1], associative=associative)[1], params, xs
        )

    kept = jax.tree.leaves(jax.eval_shape(backward, params, xs)[1])
    over_time = sum(leaf.size for leaf in kept if leaf.size >= (steps - 1) * rows)
    assert over_time == numbers * steps * rows


def loops(jaxpr):
    """The bodies of all loops of a program."""
    for equation in jaxpr.eqns:
        inner = jax.tree.leaves(
            equation.params, is_leaf=lambda leaf: hasattr(leaf, "jaxpr") or hasattr(leaf, "eqns")
        )
        for program in (getattr(leaf, "jaxpr", leaf) for leaf in inner):
            if hasattr(program, "eqns"):
                if equation.primitive.name == "scan":
                    yield program
                yield from loops(program)


@pytest.mark.parametrize("name", CELLS)
def test_no_loop_has_a_product_of_matrices(name):
    cell = CELLS[name]
    params, xs, carry = example(cell, steps=3)

    def loops_of(associative):
        def loss(params):
            return scalar(run(cell, params, carry, xs, associative=associative))

        return list(loops(jax.make_jaxpr(jax.grad(loss))(params).jaxpr))

    assert loops_of(True) == []
    assert len(loops_of(None)) == 2
    in_order = loops_of(False)
    assert len(in_order) >= 2
    assert not any("dot_general" in str(body) for body in in_order)


def test_what_does_not_fit_is_named_by_the_step():
    cell = CELLS["min_gru"]
    params, xs, carry = example(cell, steps=3)
    with pytest.raises(TypeError, match="min_gru_step: `x` must have the dtype of the weights"):
        run(cell, params, carry, xs.astype(jnp.bfloat16), associative=True)


BACKENDS = pytest.mark.parametrize("backend", ["fused", "associative"])


@pytest.mark.parametrize("check", [testing.CHECKS[5], testing.CHECKS[7]])
@BACKENDS
def test_the_contract_holds(backend, check, x64):
    check(CELLS["lru"], backend)


@pytest.mark.slow
@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@BACKENDS
@pytest.mark.parametrize("name", CELLS)
def test_the_whole_contract_holds_for_every_cell(name, backend, check, x64):
    check(CELLS[name], backend)
