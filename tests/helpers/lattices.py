"""All paths of small chains, one by one, in NumPy: what the structured room is held against."""

import itertools

import numpy as np

STEPS, ROWS, STATES = 6, 4, 3
LENGTHS = np.array([6, 3, 1, 0], np.int32)
FORMS = {"one": (STATES, STATES), "a row": (ROWS, STATES, STATES)}
FORMS["a step"] = (ROWS, STEPS - 1, STATES, STATES)


def scores(seed=0, form="one", dtype=np.float64, *, forbid=0.0):
    """Returns initial, transition, emission ``[B, T, K]`` (NaN in the pads) and final scores."""
    rng = np.random.default_rng(seed)
    transition = rng.normal(size=FORMS[form])
    transition = np.where(rng.random(transition.shape) < forbid, -np.inf, transition)
    emission = rng.normal(size=(ROWS, STEPS, STATES))
    emission[np.arange(STEPS) >= LENGTHS[:, None]] = np.nan
    initial, final = rng.normal(size=(2, STATES))
    return tuple(one.astype(dtype) for one in (initial, transition, emission, final))


def paths(initial, transition, emission, final, row):
    """Returns every path of a row as ``(score, states)``."""
    length = int(LENGTHS[row])
    emission = emission[row]
    moves = transition if transition.ndim == 2 else transition[row]
    found = []
    for states in itertools.product(range(STATES), repeat=length):
        score = 0.0
        if length:
            score = initial[states[0]] + final[states[-1]]
        for t, state in enumerate(states):
            score += emission[t, state]
            if t:
                move = moves if moves.ndim == 2 else moves[t - 1]
                score += move[states[t - 1], state]
        found.append((score, states))
    return found


def log_sum(values):
    """Returns the log of a sum of exponentials; of nothing, or of only -inf, -inf."""
    values = np.asarray(values, np.float64)
    top = values.max(initial=-np.inf)
    return -np.inf if top == -np.inf else top + np.log(np.exp(values - top).sum())


def posterior(found):
    """Returns ``log Z``, and the probability of each path."""
    log_z = log_sum([score for score, _ in found])
    if log_z == -np.inf:
        return log_z, np.zeros(len(found))
    return log_z, np.exp(np.array([score for score, _ in found]) - log_z)


def marginals(found):
    """Returns the probability of each state, ``[T, K]``, and of each two, ``[T-1, K, K]``."""
    probs = posterior(found)[1]
    one = np.zeros((STEPS, STATES))
    two = np.zeros((STEPS - 1, STATES, STATES))
    for prob, (_, states) in zip(probs, found, strict=True):
        for t, state in enumerate(states):
            one[t, state] += prob
            if t:
                two[t - 1, states[t - 1], state] += prob
    return one, two
