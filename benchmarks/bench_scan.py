"""A training step and an inference over time: the backends of `scan`, and Flax's `nnx.RNN`.

`make bench` times the grid; every test run takes each benchmark once, at one tiny size. Ratios
between rows of one group are meaningful, absolute times only on the machine that they are from.
"""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jaxseq

GRID = [(1, 256, 256, 256), (8, 64, 64, 256), (32, 128, 64, 128), (16, 512, 128, 256)]
TINY = [(2, 3, 4, 5)]
FLAX = {"elman": nnx.SimpleCell, "gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


def ours(kind, backend, input_size, hidden_size):
    """Returns weights and a function of weights and inputs to outputs."""
    cell = getattr(jaxseq, kind)(input_size, hidden_size)

    def run(params, xs):
        return jaxseq.scan(cell, params, xs, backend=backend)[1]

    return cell.init(jax.random.key(0)), run


def flax(kind, input_size, hidden_size):
    """The same of Flax, taken apart outside the step as its own guide recommends."""
    cell = FLAX[kind](input_size, hidden_size, rngs=nnx.Rngs(0))
    graph, params, rest = nnx.split(nnx.RNN(cell), nnx.Param, ...)

    def run(params, xs):
        # Without a carry of ours, nnx.RNN draws one from a stream that `grad` may not advance.
        zeros = jax.numpy.zeros((len(xs), hidden_size))
        carry = (zeros, zeros) if kind == "lstm" else zeros
        return nnx.merge(graph, params, rest)(xs, initial_carry=carry)

    return params, run


def pytest_generate_tests(metafunc):
    if "size" in metafunc.fixturenames:
        timed = metafunc.config.getoption("benchmark_enable", False)
        metafunc.parametrize("size", GRID if timed else TINY, ids=str)


@pytest.mark.parametrize("peer", ["fused", "reference", "flax"])
@pytest.mark.parametrize("kind", ["elman", "gru", "lstm"])
@pytest.mark.parametrize("work", ["train", "infer"])
def bench_scan(benchmark, work, kind, peer, size):
    batch, steps, input_size, hidden_size = size
    benchmark.group = f"{work} {kind} B, T, I, H = {size}"
    xs = jax.random.normal(jax.random.key(1), (batch, steps, input_size))
    if peer == "flax":
        params, run = flax(kind, input_size, hidden_size)
    else:
        params, run = ours(kind, peer, input_size, hidden_size)
    work_of = {
        "infer": run,
        "train": jax.grad(lambda params, xs: jnp.mean(run(params, xs) ** 2), argnums=(0, 1)),
    }
    function = jax.jit(work_of[work])
    jax.block_until_ready(function(params, xs))
    result = benchmark(lambda: jax.block_until_ready(function(params, xs)))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
