"""A training step and an inference over time, of jaxseq and of every peer that is installed.

Every test run takes each benchmark once, at one tiny size, and holds what it returns against the
plain scan; ``pytest benchmarks --benchmark-enable`` times the grid. The figures of the README come
from compare.py, which interleaves the peers.
"""

import functools

import jax
import numpy as np
import peers
import pytest

GRID = [(1, 256, 256, 256), (32, 128, 64, 128), (16, 512, 128, 256)]
TINY = [(2, 3, 4, 5)]
NAMES = [name for name in peers.PEERS if name != "products"]


def pytest_generate_tests(metafunc):
    if "size" in metafunc.fixturenames:
        timed = metafunc.config.getoption("benchmark_enable", False)
        metafunc.parametrize("size", GRID if timed else TINY, ids=str)


def array(value):
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


@functools.cache
def build(name, case):
    """Builds a program, or skips where there is none."""
    program = peers.build(name, case)
    if isinstance(program, str):
        pytest.skip(f"{peers.PEERS[name].title}: {program}")
    return program


@functools.cache
def expected(case, work):
    """What the plain scan returns: the outputs, or the gradient of the inputs."""
    result = getattr(build("reference", case), work)()
    return array(result[1] if work == "train" else result)


def run(benchmark, name, case, work):
    """Times one program and checks what it returns."""
    benchmark.group = f"{work} {case.kind} B, T, I, H = {case.size}"
    # The peers were not written for the strict rules that the tests hold.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        function = getattr(build(name, case), work)
        function()
        result = benchmark(function)
    if case.kind not in peers.PEERS[name].other_maths:
        found = array(result[1] if work == "train" else result)
        scale = np.abs(expected(case, work)).max()
        np.testing.assert_allclose(found / scale, expected(case, work) / scale, atol=1e-4)


@pytest.mark.parametrize("work", ["train", "infer"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", peers.KINDS)
def bench_scan(benchmark, kind, name, work, size):
    run(benchmark, name, peers.Case(kind, size), work)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reference"])
def bench_ragged_both_directions(benchmark, name, size):
    case = peers.Case("gru", size, bidirectional=True, ragged=True)
    run(benchmark, name, case, "train")


def bench_products(benchmark, size):
    result = benchmark(build("products", peers.Case("lstm", size)).train)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
