"""The kernels, where they are installed, against the specification."""

import functools
import re
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import kernels
from meshes import over_rows
from threads import pinned

import jaxseq
from jaxseq import testing
from jaxseq.sequence import _native
from jaxseq.testing import random_example

pytestmark = pytest.mark.usefixtures("with_kernels")
CELLS = {
    "elman": jaxseq.elman,
    "relu": functools.partial(jaxseq.elman, activation=jax.nn.relu),
    "lstm": jaxseq.lstm,
    "gru": jaxseq.gru,
    "projected": lambda size, hidden: jaxseq.lstm(size, hidden + 1, proj_size=hidden),
}
HIDDEN = st.sampled_from([1, 2, 31, 64, 1023])
AROUND = [(1, 1, 1, 1), (1, 70, 3, 17), (9, 2, 33, 40), (20, 140, 2, 5), (3, 100, 16, 8)]
SIZES = [(name, sizes) for name in ("lstm", "gru") for sizes in AROUND]
ONE_ROW = [("elman", 45, 270), ("projected", 45, 150), ("lstm", 140, 150), ("gru", 140, 200)]
SIZES += [(name, (7, 2, 70, 40)) for name in CELLS]  # few steps: no weights are laid out


def weighted(result):
    flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(result)])
    return jnp.dot(flat, jnp.sin(jnp.arange(1.0, flat.size + 1.0, dtype=flat.dtype)))


def problem(cell, *, rows=3, steps=5, padded=True, reverse=False, seed=0):
    """Returns a scan of params, inputs and carry, ragged with NaN in the pads and with resets."""
    params, xs, carry = random_example(cell, batch_shape=(rows,), steps=steps)
    options = {"reverse": reverse}
    if padded:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(0, steps + 1, rows)
        xs = jnp.where(np.arange(steps)[:, None] < lengths[:, None, None], xs, jnp.nan)
        options["lengths"] = jnp.asarray(lengths)
        options["resets"] = jnp.asarray(rng.random((rows, steps)) < 0.3)

    def run(point, backend, **more):
        params, xs, carry = point
        return jaxseq.scan(cell, params, xs, carry=carry, backend=backend, **options, **more)

    return run, (params, xs, carry)


def everything(run, point, backend):
    """The value of a scan and its gradients."""

    def loss(point):
        result = run(point, backend)
        return weighted(result), result

    return jax.jit(jax.grad(loss, has_aux=True))(point)


def assert_equal(actual, expected, tolerance=1e-12):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype and np.isfinite(a).all()
        atol = tolerance * max(1.0, np.abs(b).max(initial=0.0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=atol)


@kernels
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients_are_those_of_the_reference(name, reverse, padded, x64):
    run, point = problem(CELLS[name](2, 3), padded=padded, reverse=reverse)
    assert_equal(everything(run, point, "native"), everything(run, point, "reference"))


@kernels
@pytest.mark.parametrize(("name", "sizes"), SIZES)
def test_sizes_around_those_of_vectors_blocks_and_windows(name, sizes, x64):
    rows, steps, size, hidden = sizes
    run, point = problem(CELLS[name](size, hidden), rows=rows, steps=steps)
    assert_equal(everything(run, point, "native"), everything(run, point, "reference"))


@kernels
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("name", "steps", "hidden"), ONE_ROW)
def test_units_of_one_row_are_shared_out(name, steps, hidden, reverse, x64):
    run, point = problem(CELLS[name](40, hidden), rows=1, steps=steps, reverse=reverse, seed=7)
    assert_equal(everything(run, point, "native"), everything(run, point, "reference"))


@kernels
@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(CELLS)),
    sizes=st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(1, 40), HIDDEN),
    options=st.fixed_dictionaries({"reverse": st.booleans(), "padded": st.booleans()}),
)
def test_any_shape(name, sizes, options):
    rows, steps, size, hidden = sizes
    with jax.enable_x64(True):
        run, point = problem(CELLS[name](size, hidden), rows=rows, steps=steps, **options)
        scale = max(1.0, hidden**0.5 / 4)  # large weights and many units are chaos
        point = jax.tree.map(lambda leaf: leaf / scale, point)
        assert_equal(everything(run, point, "native"), everything(run, point, "reference"))


@kernels
@pytest.mark.parametrize("name", CELLS)
def test_every_order_of_derivative(name, x64):
    run, point = problem(CELLS[name](2, 3))
    move = jax.tree.map(jnp.cos, jax.tree.map(jnp.nan_to_num, point))

    def orders(backend):
        def value(point):
            return weighted(run(point, backend))

        def along(point):
            return jax.jvp(value, (point,), (move,))[1]

        def slope(point):
            products = jax.tree.map(jnp.vdot, jax.grad(value)(point), move)
            return sum(jax.tree.leaves(products))

        return jax.jit(
            lambda point: (along(point), jax.grad(along)(point), jax.grad(slope)(point))
        )(point)

    assert_equal(orders("native"), orders("reference"))


@kernels
@pytest.mark.parametrize("name", ["relu", "lstm", "gru"])
def test_a_mapped_axis_becomes_a_longer_batch_or_runs_on_the_fused_path(name, x64):
    cell = CELLS[name](2, 3)
    params, xs, carry = random_example(cell, batch_shape=(4, 2), steps=3)
    lengths = jnp.array([[3, 0], [1, 2], [2, 3], [3, 3]])
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2.0 * leaf]), params)

    def outputs(params, xs, lengths, carry, backend):
        return jaxseq.scan(cell, params, xs, lengths=lengths, carry=carry, backend=backend)

    def maps(backend):
        def one(params, xs, lengths, carry):
            return outputs(params, xs, lengths, carry, backend)

        def value(*args):
            return weighted(one(*args))

        rows = jax.vmap(one, in_axes=(None, 0, 0, 0))
        weights = jax.vmap(jax.grad(value), in_axes=(0, None, None, None))
        apart = jax.vmap(jax.grad(value, argnums=(0, 1)), in_axes=(None, 0, 0, 0))
        return jax.jit(
            lambda: (
                rows(params, xs, lengths, carry),
                jax.grad(lambda p: weighted(rows(p, xs, lengths, carry)))(params),
                weights(several, xs, lengths, carry),
                apart(params, xs, lengths, carry),
            )
        )()

    assert_equal(maps("native"), maps("reference"))


@kernels
@pytest.mark.parametrize(("rows", "steps"), [(0, 3), (2, 0)])
def test_a_mapped_axis_may_hold_nothing(rows, steps):
    cell = jaxseq.gru(2, 3)
    params = cell.init(jax.random.key(0))
    lengths, resets = jnp.zeros((4, rows), jnp.int32), jnp.zeros((4, rows, steps), bool)

    def run(xs, lengths, resets):
        options = {"lengths": lengths, "resets": resets, "backend": "native"}
        return jaxseq.scan(cell, params, xs, **options)[1]

    ys = jax.vmap(run)(jnp.ones((4, rows, steps, 2)), lengths, resets)
    assert ys.shape == (4, rows, steps, 3)


@kernels
def test_a_longer_batch_is_one_call_of_the_kernel():
    cell = jaxseq.lstm(2, 3)
    params, xs, _ = random_example(cell, batch_shape=(4, 2), steps=3)
    run = jax.vmap(lambda xs: jaxseq.scan(cell, params, xs, backend="native")[1])
    text = str(jax.make_jaxpr(run)(xs))
    assert text.count("jaxseq_native_forward") == 1 and "scan[" not in text


@kernels
def test_both_directions_of_one_row_are_two_calls_of_the_kernel(x64):
    cell = jaxseq.gru(2, 3)
    params = jaxseq.Directions(*(random_example(cell, steps=4)[0] for _ in range(2)))
    xs = random_example(cell, batch_shape=(1,), steps=4)[1]

    def run(xs, backend):
        return jaxseq.bidirectional(cell, params, xs, lengths=jnp.array([3]), backend=backend)

    text = str(jax.make_jaxpr(functools.partial(run, backend="auto"))(xs))
    assert text.count("jaxseq_native_forward") == 2
    assert_equal(run(xs, "auto"), run(xs, "reference"))


@kernels
def test_rows_may_be_shared_out_by_shard_map(x64):
    cell = jaxseq.lstm(2, 3)
    params, xs, _ = random_example(cell, batch_shape=(2,), steps=3)

    def loss(params, xs):
        return weighted(jaxseq.scan(cell, params, xs, backend="native"))

    actual = jax.jit(jax.grad(over_rows(loss), argnums=(0, 1)))(params, xs)
    assert_equal(actual, jax.grad(loss, argnums=(0, 1))(params, xs))


@kernels
@pytest.mark.parametrize("remat", [2, "sqrt"])
def test_rematerialisation_changes_no_value(remat, x64):
    run, point = problem(jaxseq.gru(2, 3))
    assert_equal(
        everything(functools.partial(run, remat=remat), point, "native"),
        everything(run, point, "reference"),
    )


@kernels
@pytest.mark.parametrize("name", CELLS)
def test_single_precision_is_single_precision(name):
    run, point = problem(CELLS[name](8, 40), rows=9, steps=20)
    tolerance = 26 * float(np.finfo(np.float32).eps)  # units in the last place of the largest
    assert_equal(everything(run, point, "native"), everything(run, point, "reference"), tolerance)


@kernels
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_the_elementwise_functions_are_within_two_units_in_the_last_place(name):
    whole = np.concatenate(
        [np.linspace(-110.0, 110.0, 2_000_001), np.geomspace(1e-37, 1.0, 200_001)]
    )
    x = np.concatenate([whole, -whole]).astype(np.float32)
    wide = x.astype(np.float64)
    right = np.tanh(wide) if name == "tanh" else 0.5 * (1.0 + np.tanh(0.5 * wide))
    if name == "sigmoid":
        right = np.where(wide < -1.0, np.exp(wide) / (1.0 + np.exp(wide)), right)
    found = getattr(_native.library(), name)(x)
    # Below the smallest normal number a result may be that number's distance from zero off.
    unit = np.maximum(np.spacing(np.abs(right).astype(np.float32)), np.float32(2.0**-126))
    assert np.max(np.abs(found - right) / unit) <= 2.0
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    ends = [1.0, -1.0] if name == "tanh" else [1.0, 0.0]
    values = getattr(_native.library(), name)(odd)
    assert np.isnan(values[0]) and np.allclose(values[1:], ends, atol=2.0**-126, rtol=0.0)


@kernels
@pytest.mark.parametrize(("rows", "hidden"), [(8, 33), (1, 150)])
def test_several_jitted_calls_at_once_beside_a_busy_process(rows, hidden):
    cell = jaxseq.lstm(3, hidden)
    params, xs, _ = random_example(cell, batch_shape=(rows,), steps=40)
    step = jax.jit(
        jax.grad(lambda params: jaxseq.scan(cell, params, xs, backend="native")[1].sum())
    )
    expected = jax.tree.map(np.asarray, step(params))
    wrong, done = [], []

    def call():
        for _ in range(20):
            found = step(params)
            if not all(map(np.array_equal, jax.tree.leaves(found), jax.tree.leaves(expected))):
                wrong.append(found)
        done.append(True)

    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120.0)
    finally:
        busy.kill()
        busy.wait()
    assert len(done) == 4 and not wrong
    until = time.monotonic() + 60.0
    while pinned():  # nobody is who made room for another; one may still be on its way
        assert time.monotonic() < until


@kernels
@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"xs": (3, 4)}, r"xs is \[3, 4\], but must be \[B, T, I\]"),
        ({"w_hh": (12, 3, 1)}, r"w_hh is .* but must be \[G\*H, H\]"),
        ({"w_hh": (12, 4)}, "a projection must not widen the state"),
        ({"w_ih": (12, 5)}, r"w_ih is \[12, 5\], but must be \[12, 2\]"),
        ({"h": (2, 3)}, r"h is \[2, 3\], but must be \[3, 3\]"),
        ({"lengths": (4,)}, r"lengths is \[4\], but must be \[3\]"),
        ({"resets": (4, 3)}, r"resets is \[4, 3\], but must be \[3, 4\]"),
        ({"c": (3, 0)}, r"c is \[3, 0\], but must be \[3, 3\]"),
        ({"cell": 9}, "there is no such cell"),
        ({"xs": (3, 4, 0), "w_ih": (12, 0)}, "inputs and states must have a size"),
    ],
)
def test_a_malformed_call_is_an_error_and_no_crash(changed, problem):
    shapes = {"xs": (3, 4, 2), "lengths": (3,), "resets": (0,), "h": (3, 3), "c": (3, 3)}
    shapes |= {"w_ih": (12, 2), "w_hh": (12, 3), "b_ih": (12,), "b_hh": (12,), "w_hr": (0,)}
    number = np.int64(changed.get("cell", 2))
    shapes |= {name: shape for name, shape in changed.items() if name != "cell"}
    dtypes = {"lengths": jnp.int32, "resets": bool}
    arrays = [jnp.zeros(shape, dtypes.get(name, jnp.float32)) for name, shape in shapes.items()]
    out = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3, 4, 3), (3, 3), (3, 3), (0,))]
    call = jax.ffi.ffi_call(_native.library().FORWARD, out)
    with pytest.raises(Exception, match=problem):
        jax.block_until_ready(call(*arrays, cell=number, reverse=False))


@kernels
def test_kernels_read_and_write_arrays_as_they_lie():
    layers = jaxseq.stack([jaxseq.lstm(2, 3), jaxseq.gru(3, 3)]), jaxseq.elman(3, 2)
    params, xs, _ = random_example(layers[0], batch_shape=(2, 3), steps=4)
    both = jaxseq.Directions(*(layers[1].init(jax.random.key(n)) for n in (1, 2)))
    lengths = jnp.array([[4, 0, 2], [1, 3, 4]])

    def loss(params, both, xs):
        ys = jaxseq.scan(layers[0], params, xs, lengths=lengths)[1]
        return jnp.sum(jaxseq.bidirectional(layers[1], both, ys, lengths=lengths)[1] ** 2)

    step = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    program = step.lower(params, both, xs).compile().as_text()
    assert program.count("custom-call(") == 8
    assert not re.findall(r"= f32\S+ (?:copy|transpose)\(", program)


@kernels
@pytest.mark.slow
@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_the_contract_of_cells_holds_by_the_kernels(name):
    cell = CELLS[name](2, 3)
    assert jaxseq.plan(cell, cell.init(jax.random.key(0)), jnp.ones((1, 3, 2))).backend == "native"
    testing.check_cell(cell)
