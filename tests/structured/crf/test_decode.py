"""Tags from scores against all paths, one by one; ragged rows, NaN in the pads."""

import functools

import jax
import jax.numpy as jnp
import lattices
import numpy as np
import pytest

from jaxseq.structured import crf

ROWS = range(lattices.ROWS)
SEVEN_BEST, VITERBI = jax.jit(functools.partial(crf.k_best, k=7)), jax.jit(crf.viterbi)


@pytest.mark.parametrize(("form", "forbid"), [("one", 0.0), ("one", 0.5), ("a step", 0.2)])
def test_the_k_best_are_the_best_of_all(form, forbid, x64):
    initial, transition, emission, final = scores = lattices.scores(7, form, forbid=forbid)
    given = {"initial": initial, "final": final, "lengths": lattices.LENGTHS}
    tags, score = SEVEN_BEST(emission, transition, **given)
    best, best_score = VITERBI(emission, transition, **given)
    for row in ROWS:
        found = sorted(lattices.paths(*scores, row), reverse=True)[:7]
        want = np.full(7, -np.inf)
        want[: len(found)] = [value for value, _ in found]
        np.testing.assert_allclose(score[row], want, rtol=1e-12)
        np.testing.assert_allclose(best_score[row], want[0], rtol=1e-12)
        for rank, (value, path) in enumerate(found):
            if value > -np.inf:
                assert tuple(tags[row, rank, : len(path)].tolist()) == path
                assert not tags[row, rank, len(path) :].any()
    possible = np.asarray(score[:, 0]) > -np.inf
    np.testing.assert_array_equal(np.asarray(best)[possible], np.asarray(tags)[possible, 0])


def test_what_is_not_allowed_is_in_no_path():
    allowed = crf.bio(["O", "B-A", "I-A"])
    emission = np.float32([[0, 0, 9], [0, 0, 9], [0, 0, 9]])
    zeros = np.zeros((3, 3), np.float32)
    tags, _ = crf.viterbi(emission, zeros, allowed=allowed)
    assert tags.tolist() == [1, 2, 2]
    tags, scores = crf.k_best(emission, zeros, allowed=allowed, k=27)
    assert int((scores > -jnp.inf).sum()) == 13  # of 27 paths
    drawn = crf.sample(
        jax.random.key(0), jnp.broadcast_to(emission, (50, 3, 3)), zeros, allowed=allowed
    )
    assert not (drawn[:, 0] == 2).any()
    assert not ((drawn[:, 1:] == 2) & (drawn[:, :-1] == 0)).any()
    log_z = crf.log_partition(emission, zeros, allowed=allowed)
    np.testing.assert_allclose(log_z, jax.nn.logsumexp(scores[:13]), rtol=1e-6)


def test_draws_are_distributed_as_the_paths(x64):
    initial, transition, emission, final = scores = lattices.scores(7)
    found = lattices.paths(*scores, 1)
    keys = jax.random.split(jax.random.key(0), 4000)
    given = {"initial": initial, "final": final, "lengths": jnp.int32(3)}
    draw = jax.jit(jax.vmap(lambda key: crf.sample(key, emission[1], transition, **given)))
    tags = draw(keys)
    for prob, (_, path) in zip(lattices.posterior(found)[1], found, strict=True):
        share = np.mean((np.asarray(tags)[:, :3] == path).all(1))
        assert abs(share - prob) < 5 * np.sqrt(prob * (1 - prob) / 4000) + 1e-9


def test_fewer_than_one_path_is_refused():
    zeros = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match=r"crf\.k_best: `k` must be at least 1, but it is 0"):
        crf.k_best(zeros, zeros, k=0)
