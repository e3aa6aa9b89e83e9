"""hmmlearn: its compiled kernels, called as its models call them, a sequence at a time; float64.

For ``implementation="scaling"`` the exponentials of the evidence are ready before the clock starts,
as its models make them from densities.
"""

import logging

import numpy as np
from hmmlearn import _hmmc
from hmmlearn import hmm as hmmlearn

from peers.structured.case import (
    HMM,
    ITERATIONS,
    Case,
    Program,
    Symbols,
    float64,
    path_scores,
    read_history,
)


def build(case: Case, data: HMM | Symbols, *, implementation: str) -> Program | str:
    if case.model == "em":
        return build_em(data, implementation)
    if case.work == "gradient":
        return "has no gradient"
    log_initial, log_transition, log_obs = (np.asarray(one, np.float64) for one in data)
    initial, transition = np.exp(log_initial), np.exp(log_transition)
    evidence = log_obs if implementation == "log" else np.exp(log_obs)
    smooth_row = {"log": smooth_log, "scaling": smooth_scaling}[implementation]
    forward = {"log": _hmmc.forward_log, "scaling": _hmmc.forward_scaling}[implementation]

    def likelihood():
        return [[forward(initial, transition, row)[0] for row in evidence]]

    def smooth():
        rows = [smooth_row(initial, transition, row) for row in evidence]
        return [np.stack(one) for one in zip(*rows, strict=True)]

    def viterbi():
        return [_hmmc.viterbi(initial, transition, row)[1] for row in log_obs]

    if case.work == "viterbi":
        if implementation != "log":
            return "has one Viterbi for both implementations"
        return Program(viterbi, lambda paths: [path_scores(data, paths)])
    return Program({"likelihood": likelihood, "smoothing": smooth}[case.work], float64)


def smooth_log(initial, transition, row):
    value, ahead = _hmmc.forward_log(initial, transition, row)
    behind = _hmmc.backward_log(initial, transition, row)
    both = ahead + behind
    marginals = np.exp(both - both.max(axis=1, keepdims=True))
    marginals /= marginals.sum(axis=1, keepdims=True)
    return value, marginals, np.exp(_hmmc.compute_log_xi_sum(ahead, transition, behind, row))


def smooth_scaling(initial, transition, row):
    value, ahead, scales = _hmmc.forward_scaling(initial, transition, row)
    behind = _hmmc.backward_scaling(initial, transition, row, scales)
    marginals = ahead * behind
    marginals /= marginals.sum(axis=1, keepdims=True)
    return value, marginals, _hmmc.compute_scaling_xi_sum(ahead, transition, behind, row)


def build_em(data: Symbols, implementation: str) -> Program:
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # it says that it has not converged
    model = hmmlearn.CategoricalHMM(
        data.emission.shape[0],
        n_iter=ITERATIONS,
        tol=-np.inf,
        init_params="",
        implementation=implementation,
    )
    symbols = data.symbols[:, None].astype(np.int64)

    def run():
        model.startprob_, model.transmat_ = data.initial.copy(), data.transition.copy()
        model.emissionprob_ = data.emission.copy()
        model.fit(symbols)
        return list(model.monitor_.history)

    return Program(run, read_history, ITERATIONS)
