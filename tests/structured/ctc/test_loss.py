"""The loss is the sum over all alignments: held against their enumeration, and against optax."""

import itertools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseq.structured import ctc
from jaxseq.structured.ctc._partition import BLOCK

T, V = 6, 3
LABELS = np.array([[1, 2, 1], [1, 1, 2], [2, 2, -5], [1, 9, 9], [7, 7, 7], [1, 2, 1], [0, 0, 0]])
LABEL_LENGTHS = np.array([3, 3, 2, 1, 0, 3, 0])
LENGTHS = np.array([6, 5, 4, 6, 3, 3, 0])  # the last but one must go 1 2 1, the last is empty


def draw(seed, shape, scale=1.5):
    logits = scale * np.random.default_rng(seed).normal(size=shape)
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def collapse(path, blank=0):
    return [int(symbol) for symbol, _ in itertools.groupby(path) if symbol != blank]


def alignments(labels, steps, size=V, blank=0):
    """Every path that spells the labels, [paths, steps]."""
    paths = itertools.product(range(size), repeat=steps)
    paths = [path for path in paths if collapse(path, blank) == list(labels)]
    return np.array(paths, int).reshape(len(paths), steps)


def enumerated(log_probs, labels, blank=0):
    """Minus the log-probability, and the posterior of each symbol at each step."""
    steps, size = log_probs.shape
    paths = alignments(labels, steps, size, blank)
    scores = log_probs[np.arange(steps), paths].sum(-1)
    if not len(scores):
        return np.inf, np.zeros_like(log_probs)
    total = np.logaddexp.reduce(scores)
    one_hot = paths[..., None] == np.arange(size)
    return -total, (np.exp(scores - total)[:, None, None] * one_hot).sum(0)


def with_nan(log_probs, lengths):
    pads = np.arange(log_probs.shape[-2]) >= np.asarray(lengths)[..., None]
    return np.where(pads[..., None], np.nan, log_probs)


def ragged(log_probs, **options):
    return ctc.loss(
        log_probs,
        jnp.array(LABELS),
        lengths=jnp.array(LENGTHS),
        label_lengths=jnp.array(LABEL_LENGTHS),
        **options,
    )


def expected():
    log_probs = draw(0, (len(LABELS), T, V))
    rows = zip(log_probs, LABELS, LABEL_LENGTHS, LENGTHS, strict=True)
    both = [enumerated(row[:steps], labels[:n]) for row, labels, n, steps in rows]
    posterior = np.zeros_like(log_probs)
    for at, steps, (_, probs) in zip(posterior, LENGTHS, both, strict=True):
        at[:steps] = probs
    return log_probs, np.array([nats for nats, _ in both]), posterior


@pytest.mark.usefixtures("x64")
def test_loss_and_gradient_equal_the_enumeration_of_all_alignments():
    log_probs, nats, posterior = expected()
    weights = np.random.default_rng(1).normal(size=len(nats))

    def weighted(log_probs):
        loss = ragged(log_probs)
        return (loss.nats * weights).sum(), loss

    def check(log_probs):
        gradient, loss = jax.jit(jax.grad(weighted, has_aux=True))(jnp.array(log_probs))
        assert loss.nats.dtype == np.float64
        np.testing.assert_allclose(loss.nats, nats, rtol=1e-12, atol=1e-12)
        assert not loss.infeasible.any()
        np.testing.assert_allclose(gradient, -weights[:, None, None] * posterior, atol=1e-12)

    check(log_probs)
    check(with_nan(log_probs, LENGTHS))


def recursion(log_probs, labels):
    """Minus the log-probability by the textbook's recursion, in NumPy."""
    states = np.zeros(2 * len(labels) + 1, int)
    states[1::2] = labels
    message = np.where(np.arange(len(states)) == 0, 0, -np.inf)
    for frame in log_probs:
        step = np.append(-np.inf, message)[:-1]
        leap = np.append([-np.inf] * 2, message)[:-2]
        apart = np.append([0, 0], states)[:-2] != states
        leap = np.where(apart & (states != 0), leap, -np.inf)
        message = np.logaddexp(np.logaddexp(message, step), leap) + frame[states]
    return -np.logaddexp.reduce(message[-2:])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("steps", [BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 5])
def test_the_loss_of_blocks_of_frames_is_that_of_one_recursion(steps):
    labels = np.random.default_rng(steps).integers(1, 5, (3, 9))
    lengths, counts = np.array([steps, steps // 2, BLOCK - 3]), np.array([9, 4, 1])
    log_probs = with_nan(draw(steps, (3, steps, 5)), lengths)
    rows = zip(log_probs, labels, lengths, counts, strict=True)
    want = [recursion(row[:length], label[:count]) for row, label, length, count in rows]
    given = {"lengths": jnp.array(lengths), "label_lengths": jnp.array(counts)}

    def total(log_probs):
        nats = ctc.loss(log_probs, jnp.array(labels), **given).nats
        return nats.sum(), nats

    alone = jax.jit(total)(jnp.array(log_probs))[1]
    gradient, beside = jax.jit(jax.grad(total, has_aux=True))(jnp.array(log_probs))
    np.testing.assert_allclose(alone, want, rtol=1e-12)
    np.testing.assert_allclose(beside, want, rtol=1e-12)
    valid = np.arange(steps) < lengths[:, None]
    np.testing.assert_allclose(gradient.sum(-1), -1.0 * valid, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("blank", [1, 2])
def test_any_symbol_may_be_the_blank(blank):
    log_probs, labels = draw(2, (5, 3)), [0, 3 - blank, 3 - blank]
    loss = ctc.loss(jnp.array(log_probs), jnp.array(labels), blank=blank)
    np.testing.assert_allclose(loss.nats, enumerated(log_probs, labels, blank)[0], rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_without_labels_all_frames_are_blank():
    log_probs = jnp.array(draw(3, (2, 4, 3)))
    loss = ctc.loss(log_probs, jnp.zeros((2, 0), int))
    np.testing.assert_allclose(loss.nats, -log_probs[..., 0].sum(-1), rtol=1e-12)
    empty = ctc.loss(log_probs[:, :0], jnp.zeros((2, 0), int))
    assert empty.nats.tolist() == [0, 0] and not empty.infeasible.any()


def one_row():
    """The loss of one row in a padded batch of one, and what it is by its enumeration."""
    paths = alignments([1, 1], 4)

    def plain(log_probs):
        return -jax.nn.logsumexp(log_probs[np.arange(4), paths].sum(-1))

    def ours(log_probs):
        padded = jnp.pad(log_probs, ((0, 1), (0, 0)), constant_values=jnp.nan)
        labels, lengths, count = jnp.array([1, 1, 2]), jnp.array(4), jnp.array(2)
        return ctc.loss(padded, labels, lengths=lengths, label_lengths=count).nats

    return ours, plain, jnp.array(draw(4, (4, V))), jnp.array(draw(5, (4, V)))


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_a_slope_equals_that_of_the_enumeration():
    ours, plain, log_probs, tangent = one_row()

    def curvature(function):
        return jax.grad(lambda x: jax.jvp(function, (x,), (tangent,))[1])(log_probs)

    np.testing.assert_allclose(jax.jit(lambda: curvature(ours))(), curvature(plain), atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_second_and_third_derivatives_equal_those_of_the_enumeration():
    ours, plain, log_probs, tangent = one_row()
    hessian = jax.hessian(plain)(log_probs)
    np.testing.assert_allclose(jax.jit(jax.hessian(ours))(log_probs), hessian, atol=1e-12)

    def third(function):
        def square(log_probs):
            return (jax.grad(function)(log_probs) ** 2).sum()  # reverse over reverse

        return jax.jvp(jax.grad(square), (log_probs,), (tangent,))[1]

    np.testing.assert_allclose(jax.jit(lambda: third(ours))(), third(plain), atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_a_row_that_is_too_short_is_infinite_or_left_out_and_has_no_gradient():
    labels = jnp.array([[1, 2, 1], [1, 1, 2], [1, 1, 2]])
    log_probs = jnp.array(with_nan(draw(8, (3, 4, V)), [2, 3, 4]))

    def run(infeasible):
        def total(log_probs):
            loss = ctc.loss(log_probs, labels, lengths=jnp.array([2, 3, 4]), infeasible=infeasible)
            return loss.nats.sum(), loss

        return jax.jit(jax.grad(total, has_aux=True))(log_probs)

    gradient, loss = run("inf")
    assert loss.infeasible.tolist() == [True, True, False]
    assert loss.nats[:2].tolist() == [np.inf, np.inf] and np.isfinite(loss.nats[2])
    assert np.all(gradient[:2] == 0) and np.any(gradient[2] != 0) and np.isfinite(gradient).all()
    left_out, zero = run("zero")
    assert zero.nats.tolist() == [0, 0, loss.nats[2]]
    assert zero.infeasible.tolist() == [True, True, False]
    np.testing.assert_array_equal(left_out, gradient)


def test_a_row_of_probability_zero_is_infinite_without_gradient_and_not_infeasible():
    log_probs = jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]]))
    rows = jnp.stack([log_probs, log_probs])
    labels = jnp.array([[2, 1], [1, 2]])
    loss, pull = jax.vjp(lambda x: ctc.loss(x, labels, infeasible="zero").nats, rows)
    assert loss[0] == np.inf and not ctc.loss(rows, labels).infeasible.any()
    # p_3(2) = 1/4, before it one of: blank 1, 1 blank, 1 1
    np.testing.assert_allclose(jnp.exp(-loss[1]), 3 / 16, rtol=1e-6)
    gradient = pull(jnp.ones(2))[0]
    assert np.all(gradient[0] == 0)
    third = 1 / 3
    sure = [[-third, -2 * third, 0], [-third, -2 * third, 0], [0, 0, -1]]
    np.testing.assert_allclose(gradient[1], sure, rtol=1e-5)


def test_in_float32_a_certain_labelling_has_loss_zero_and_not_less():
    path = np.array([0, 1, 1, 0, 2, 0, 1] * 30)
    labels = jnp.array(collapse(path))
    certain = 30.0 * jax.nn.one_hot(path, 3)
    # Normalised in float32, so that the probabilities of a frame may sum to more than one.
    log_probs = jax.nn.log_softmax(certain) + 1e-7
    nats, gradient = jax.jit(jax.value_and_grad(lambda x: ctc.loss(x, labels).nats))(log_probs)
    assert nats == 0 and not np.signbit(nats)
    np.testing.assert_allclose(gradient, -jax.nn.one_hot(path, 3), atol=1e-5)


def test_in_float32_the_posterior_of_a_long_untrained_row_keeps_its_digits():
    steps, size, count = 400, 50, 40
    log_probs = draw(9, (steps, size), scale=0.3)
    labels = np.random.default_rng(9).integers(1, size, count)
    run = jax.jit(jax.value_and_grad(lambda x: ctc.loss(x, jnp.array(labels)).nats))
    nats, gradient = run(jnp.array(log_probs, jnp.float32))
    with jax.enable_x64(True):
        exact, exact_gradient = run(jnp.array(log_probs))
    np.testing.assert_allclose(nats, exact, rtol=1e-6)
    np.testing.assert_allclose(gradient, exact_gradient, atol=2e-5)
    np.testing.assert_allclose(gradient.sum(-1), -1, atol=1e-5)


@pytest.mark.usefixtures("x64")
def test_loss_and_gradient_agree_with_optax():
    logits, labels = jnp.array(draw(10, (3, 9, 5))), jnp.array([[1, 2, 4], [3, 3, 1], [2, 1, 1]])
    lengths, counts = jnp.array([9, 7, 6]), jnp.array([3, 3, 1])

    def ours(logits):
        log_probs = jax.nn.log_softmax(logits)
        loss = ctc.loss(log_probs, labels, lengths=lengths, label_lengths=counts)
        return loss.nats.sum(), loss.nats

    def theirs(logits):
        pads = [
            (np.arange(n) >= np.array(k)[:, None]) * 1.0 for n, k in ((9, lengths), (3, counts))
        ]
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            nats = optax.losses.ctc_loss(logits, pads[0], labels, pads[1])
        return nats.sum(), nats

    gradient, nats = jax.jit(jax.grad(ours, has_aux=True))(logits)
    their_gradient, their_nats = jax.jit(jax.grad(theirs, has_aux=True))(logits)
    np.testing.assert_allclose(nats, their_nats, rtol=1e-12)
    np.testing.assert_allclose(gradient, their_gradient, atol=1e-12)


def test_half_precision_is_summed_in_float32():
    log_probs = jnp.array(draw(11, (2, 5, 3)), jnp.bfloat16)
    labels = jnp.array([[1, 2], [2, 2]])
    run = jax.jit(jax.value_and_grad(lambda x: ctc.loss(x, labels).nats.sum()))
    nats, gradient = run(log_probs)
    exact, exact_gradient = run(log_probs.astype(jnp.float32))
    assert nats.dtype == jnp.float32 and nats == exact
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(gradient.astype(np.float32), exact_gradient, atol=4e-3)


def test_batch_axes_and_vmap_and_jit_agree_and_a_shape_is_traced_once():
    log_probs = jnp.array(draw(12, (2, 3, 5, V)), jnp.float32)
    labels = jnp.array(np.random.default_rng(12).integers(1, V, (2, 3, 2)))
    lengths = jnp.array([[5, 4, 3], [0, 5, 5]])
    traces = []

    @jax.jit
    def run(log_probs, labels, lengths):
        traces.append(1)
        return ctc.loss(log_probs, labels, lengths=lengths)

    once = run(log_probs, labels, lengths)
    assert once.nats.shape == once.infeasible.shape == (2, 3)
    run(log_probs + 1, labels, lengths - lengths)
    assert len(traces) == 1

    def gradient(log_probs, labels, lengths):
        def total(log_probs):
            loss = ctc.loss(log_probs, labels, lengths=lengths)
            return jnp.where(jnp.isfinite(loss.nats), loss.nats, 0).sum(), loss

        return jax.grad(total, has_aux=True)(log_probs)

    whole, loss = jax.jit(gradient)(log_probs, labels, lengths)
    mapped, mapped_loss = jax.jit(jax.vmap(gradient))(log_probs, labels, lengths)
    np.testing.assert_allclose(once.nats, loss.nats, rtol=1e-6)
    np.testing.assert_allclose(mapped_loss.nats, loss.nats, rtol=1e-6)
    np.testing.assert_allclose(mapped, whole, atol=1e-6)


def sizes(jaxpr):
    """The sizes of all arrays that a program makes."""
    for equation in jaxpr.eqns:
        yield from (np.prod(v.aval.shape, dtype=int) for v in equation.outvars)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from sizes(inner)


def test_the_largest_array_of_a_gradient_is_the_gradient():
    rows, steps, size, count = 2, 50, 40, 12
    labels = jnp.array(np.random.default_rng(0).integers(1, size, (rows, count)))
    gradient = jax.grad(lambda x: ctc.loss(x, labels).nats.sum())
    program = jax.make_jaxpr(gradient)(jnp.zeros((rows, steps, size)))
    most = max(rows * steps * size, 2 * rows * steps * (2 * count + 1))
    assert max(sizes(program.jaxpr)) <= most


def test_the_loss_alone_makes_no_array_of_all_frames():
    rows, steps, size, count = 2, 20 * BLOCK + 7, 40, 12
    labels = jnp.array(np.random.default_rng(0).integers(1, size, (rows, count)))
    program = jax.make_jaxpr(lambda x: ctc.loss(x, labels).nats)(jnp.zeros((rows, steps, size)))
    assert max(sizes(program.jaxpr)) <= rows * BLOCK * max(size, 2 * count + 2)


def test_what_jit_hides_has_the_documented_result():
    log_probs = jnp.array(draw(13, (3, 4, V)), jnp.float32)

    @jax.jit
    def run(labels, lengths, label_lengths):
        def total(log_probs):
            loss = ctc.loss(log_probs, labels, lengths=lengths, label_lengths=label_lengths)
            return loss.nats.sum(), loss.nats

        return jax.grad(total, has_aux=True)(log_probs)

    labels = jnp.array([[1, 0], [3, 1], [1, 2]])
    gradient, nats = run(labels, jnp.array([4, 4, 9]), jnp.array([2, 2, 7]))
    assert np.isnan(nats).tolist() == [True, True, False]
    assert np.isnan(gradient).any((1, 2)).tolist() == [True, True, False]
    np.testing.assert_allclose(nats[2], ctc.loss(log_probs[2], labels[2]).nats, rtol=1e-6)
    _, nats = run(labels, jnp.array([4, 4, -1]), jnp.array([1, 0, -1]))
    np.testing.assert_allclose(nats[0], ctc.loss(log_probs[0], labels[0, :1]).nats, rtol=1e-6)
    np.testing.assert_allclose(nats[1], -log_probs[1, :, 0].sum(), rtol=1e-6)
    assert nats[2] == 0


def test_an_unknown_treatment_of_infeasible_rows_is_refused():
    with pytest.raises(ValueError, match=r'`infeasible` must be "inf" or "zero", but it is "nan"'):
        ctc.loss(jnp.zeros((2, 3)), jnp.array([1]), infeasible="nan")
