"""The NumPy twins, which the tests of the cells trust, compute what PyTorch computes."""

import functools
from typing import NamedTuple

import numpy as np
import pytest
import twins
from torch_cases import CASES, Arrays, Case, load
from torch_compare import ATOL, RTOL

STEPS = {
    "RNN_TANH": twins.elman_step,
    "RNN_RELU": functools.partial(twins.elman_step, activation=twins.relu),
    "LSTM": twins.lstm_step,
    "GRU": twins.gru_step,
}


class Params(NamedTuple):
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray


class ProjParams(NamedTuple):
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray
    w_hr: np.ndarray


class H(NamedTuple):
    h: np.ndarray


class HC(NamedTuple):
    h: np.ndarray
    c: np.ndarray


def run(case: Case, recorded: Arrays, index: int, xs: np.ndarray) -> tuple[H | HC, np.ndarray]:
    """Runs one layer in one direction."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    fused = [recorded[name + case.suffixes[index]] for name in names]
    if case.proj_size:
        params = ProjParams(*fused, recorded["weight_hr" + case.suffixes[index]])
    else:
        params = Params(*fused)
    h = recorded["h_0"][index]
    carry = HC(h, recorded["c_0"][index]) if case.kind == "LSTM" else H(h)
    reverse = case.suffixes[index].endswith("_reverse")
    return twins.sequence(
        STEPS[case.kind], params, carry, xs, lengths=case.lengths, reverse=reverse
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.num_layers], ids=lambda case: case.name
)
def test_the_twins_compute_what_torch_computes(case: Case) -> None:
    recorded = load(case)
    ys, directions = recorded["xs"], len(case.directions)
    for first in range(0, len(case.suffixes), directions):
        results = [run(case, recorded, first + d, ys) for d in range(directions)]
        ys = np.concatenate([y for _, y in results], axis=-1)
        for d, (carry, _) in enumerate(results):
            for name, leaf in carry._asdict().items():
                np.testing.assert_allclose(leaf, recorded[name + "_n"][first + d], RTOL, ATOL)
    np.testing.assert_allclose(ys, recorded["ys"], RTOL, ATOL)


def test_the_two_forms_of_the_gru_differ_only_where_the_reset_stands() -> None:
    rng = np.random.default_rng(0)
    params = Params(*(rng.uniform(-1, 1, s) for s in ((9, 2), (9, 3), (9,), (9,))))
    carry, x = H(rng.uniform(-1, 1, 3)), rng.uniform(-1, 1, 2)
    after, _ = twins.gru_step(params, carry, x)
    before, _ = twins.gru_step(params, carry, x, reset_after=False)
    assert np.abs(after.h - before.h).max() > 1e-3

    w_hh, b_ih, b_hh = (np.array(a) for a in params[1:])
    w_hh[6:] = np.diag([0.1, 0.2, 0.3])  # a diagonal product commutes with the reset
    b_hh[6:] = 0.0
    diagonal = Params(params.w_ih, w_hh, b_ih, b_hh)
    np.testing.assert_allclose(
        twins.gru_step(diagonal, carry, x)[1],
        twins.gru_step(diagonal, carry, x, reset_after=False)[1],
        1e-14,
    )
