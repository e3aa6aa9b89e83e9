"""What the loops of a training step do at each step, counted; and one trace for each shape.

What a small step costs is mostly the number of things that it does, so the numbers may only fall.
"""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq.sequence._runner import run_scan

B, T, INPUT, HIDDEN = 4, 8, 3, 5
CELLS = {
    "elman": jaxseq.elman(INPUT, HIDDEN),
    "lstm": jaxseq.lstm(INPUT, HIDDEN),
    "gru": jaxseq.gru(INPUT, HIDDEN),
}

# HLO instructions in the body of the forward loop and of the backward loop, full rows; and in all
# loops together, ragged rows. Recorded with `counted` below on a CPU; quick compilation
# (conftest.py) does not change them. XLA's fusion differs between jax 0.10.2 and 0.12.0.
# Storing each gate in an array of its own is more instructions than storing the maps' values was
# (14 and 11 forward, for LSTM and GRU), and less time: docs/design/0017-gates-are-kept.md.
if jax.__version_info__ < (0, 11):
    RECORDED = {"elman": (8, 5, 15), "lstm": (17, 9, 27), "gru": (15, 8, 23)}
else:
    RECORDED = {"elman": (8, 7, 19), "lstm": (17, 18, 38), "gru": (15, 15, 32)}


def benchmark(name):
    """A module of ``benchmarks``, which are scripts and no package."""
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gradient(cell, *, ragged=False, backend="auto"):
    """A gradient with respect to weights and inputs, and the shapes of its arguments."""

    def loss(params, xs, lengths):
        _, ys = jaxseq.scan(cell, params, xs, lengths=lengths, backend=backend)
        return jnp.sum(ys**2)

    return jax.grad(loss, argnums=(0, 1)), (
        jax.eval_shape(cell.init, jax.random.key(0)),
        jax.ShapeDtypeStruct((B, T, INPUT), jnp.float32),
        jax.ShapeDtypeStruct((B,), jnp.int32) if ragged else None,
    )


def counted(cell, *, ragged):
    function, arguments = gradient(cell, ragged=ragged)
    return benchmark("loops").sizes(jax.jit(function).lower(*arguments).compile().as_text())


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="recorded on a CPU")
@pytest.mark.parametrize("name", CELLS)
def test_a_step_of_either_loop_does_no_more_than_was_recorded(name):
    forward, backward, ragged = RECORDED[name]
    sizes = counted(CELLS[name], ragged=False)
    assert len(sizes) == 2
    assert sizes[0] <= forward and sizes[1] <= backward, sizes
    sizes = counted(CELLS[name], ragged=True)
    assert sum(sizes) <= ragged, sizes


def handed_on(jaxpr, *, inside=False):
    """The shapes that a step of any loop of a program hands on, to the next or to the outside."""
    for equation in jaxpr.eqns:
        looped = inside or equation.primitive.name == "scan"
        for value in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "jaxpr")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                if looped:
                    yield from (variable.aval.shape for variable in inner.outvars)
                yield from handed_on(inner, inside=looped)


def shapes_handed_on(cell, **options):
    function, arguments = gradient(cell, **options)
    shapes = set(handed_on(jax.make_jaxpr(function)(*arguments).jaxpr))
    return shapes, {leaf.shape for leaf in arguments[0]}


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_no_step_of_a_loop_adds_to_the_gradient_of_a_weight(name, ragged):
    shapes, weights = shapes_handed_on(CELLS[name], ragged=ragged)
    turned = {shape[::-1] for shape in weights}
    assert (B, HIDDEN) in shapes
    assert not shapes & (weights | turned)


def test_the_plain_loop_does_add_to_the_gradients_of_the_weights():
    """What the test above would see."""
    shapes, weights = shapes_handed_on(CELLS["lstm"], backend="reference")
    assert weights <= shapes


@pytest.mark.parametrize("name", CELLS)
def test_one_trace_serves_a_shape(name):
    cell, steps = CELLS[name], 2 * T + 1  # which no other test has, nor its trace
    params, xs = cell.init(jax.random.key(0)), jnp.ones((B, steps, INPUT))
    before = run_scan._cache_size()
    for scale in (1.0, 2.0):
        jaxseq.scan(cell, params, scale * xs)
    assert run_scan._cache_size() == before + 1
    for lengths in ([1, 2, 3, 4], [0, steps, 1, 1]):
        jaxseq.scan(cell, params, xs, lengths=jnp.array(lengths))
    assert run_scan._cache_size() == before + 2
