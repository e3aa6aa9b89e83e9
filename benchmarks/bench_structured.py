"""Log-likelihoods, gradients and paths of structured models, of jaxseq and its peers.

Every test run takes each benchmark once, at a tiny size, and holds what it returns against jaxseq;
``pytest benchmarks --benchmark-enable`` times the sizes of structured.py, which also interleaves
the peers and makes the figures of the documentation.
"""

import functools

import jax
import pytest
import structured
from peers import structured as peers

TINY = {
    "crf": [(3, 5, 3)],
    "hmm": [(2, 6, 3), (1, 40, 2)],
    "em": [(1, 60, 2)],
    "ctc": [(3, 8, 5, 2)],
}


def pytest_generate_tests(metafunc):
    timed = metafunc.config.getoption("benchmark_enable", False)
    cases = structured.cases(tuple(peers.WORKS), structured.SIZES if timed else TINY)
    entries = [
        pytest.param(case, name, id=f"{case.model}-{case.work}-{case.size}-{name}")
        for case in cases
        for name, peer in peers.PEERS.items()
        if case.model in peer.models
    ]
    metafunc.parametrize(("case", "name"), entries)


@functools.cache
def build(case, name):
    """Builds a program, or says why there is none."""
    return peers.build(name, case, peers.draw(case))


@functools.cache
def expected(case):
    program = build(case, "jaxseq")
    return program.read(program.run())


def bench_structured(benchmark, case, name):
    benchmark.group = f"{case.model} {case.work} {peers.AXES[case.model]} = {case.size}"
    # The peers were not written for the strict rules that the tests hold.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        program = build(case, name)
        if isinstance(program, str):
            pytest.skip(f"{peers.PEERS[name].title}: {program}")
        found = {"jaxseq": expected(case), name: program.read(benchmark(program.run))}
    differ = structured.differences(found)
    assert not structured.disagree(differ), differ
