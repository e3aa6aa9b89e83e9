"""The cross-entropy against optax, and its pads against everything."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from jaxseq.losses import cross_entropy, mean

jitted = jax.jit(cross_entropy, static_argnames="label_smoothing")
optax_nats = jax.jit(optax.softmax_cross_entropy_with_integer_labels)


def example(batch, steps=5, vocabulary_size=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(*batch, steps, vocabulary_size)).astype(np.float32)
    return jnp.asarray(logits), jnp.asarray(rng.integers(vocabulary_size, size=(*batch, steps)))


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_it_is_optax_summed(batch):
    logits, targets = example(batch)
    loss = jitted(logits, targets)
    expected = np.asarray(optax_nats(logits, targets)).sum()
    np.testing.assert_allclose(loss.total, expected, rtol=1e-5)
    assert loss.count == targets.size


def test_it_is_the_textbooks_sum():
    logits, targets = example((2,))
    x = np.asarray(logits, np.float64)
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    expected = -np.log(np.take_along_axis(p, np.asarray(targets)[..., None], -1)).sum()
    np.testing.assert_allclose(jitted(logits, targets).total, expected, rtol=1e-5)


def test_the_gradient_is_that_of_optax():
    logits, targets = example((2,))
    mask = jnp.array([[True] * 5, [False, True, True, False, False]])

    def reference(logits):
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return jnp.where(mask, nats, 0).sum() / mask.sum(dtype=nats.dtype)

    got = jax.jit(jax.grad(lambda x: mean(cross_entropy(x, targets, mask=mask))))(logits)
    np.testing.assert_allclose(got, jax.jit(jax.grad(reference))(logits), atol=1e-6)
    ours = jax.jit(lambda x: cross_entropy(x, targets, mask=mask).total)
    check_grads(ours, (logits,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("pad", [np.nan, np.inf, -np.inf])
def test_what_is_in_the_pads_never_matters(pad, jit):
    logits, targets = example((3,))
    lengths = jnp.array([5, 2, 0])
    valid = jnp.arange(5)[None, :] < lengths[:, None]
    bad_logits = jnp.where(valid[..., None], logits, pad)
    bad_targets = jnp.where(valid, targets, -7)

    def value_and_grad(logits, targets):
        f = jax.value_and_grad(lambda x: mean(cross_entropy(x, targets, lengths=lengths)))
        return (jax.jit(f) if jit else f)(logits)

    value, gradient = value_and_grad(logits, targets)
    bad_value, bad_gradient = value_and_grad(bad_logits, bad_targets)
    assert value == bad_value and jnp.isfinite(value)
    np.testing.assert_array_equal(gradient, bad_gradient)
    np.testing.assert_array_equal(bad_gradient[~valid], 0)


def test_lengths_and_the_mask_they_mean_agree():
    logits, targets = example((2, 2))
    lengths = jnp.array([[0, 1], [5, 3]])
    mask = jnp.arange(5)[None, None, :] < lengths[..., None]
    by_lengths = jitted(logits, targets, lengths=lengths)
    by_mask = jitted(logits, targets, mask=mask)
    assert by_lengths == by_mask
    assert by_lengths.count == 9


def test_nothing_valid_is_a_loss_of_zero_with_zero_gradient():
    logits, targets = example((2,))
    nothing = jnp.zeros(2, jnp.int32)
    value, gradient = jax.value_and_grad(
        lambda x: mean(cross_entropy(x, targets, lengths=nothing))
    )(logits * jnp.nan)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_sums_are_in_float32_and_gradients_in_the_dtype_of_the_logits(dtype):
    logits, targets = example((2,))
    logits = logits.astype(dtype)
    (total, count), gradient = jax.jit(
        jax.value_and_grad(lambda x: cross_entropy(x, targets), has_aux=True)
    )(logits)
    assert total.dtype == count.dtype == jnp.float32
    exact = np.asarray(optax_nats(logits.astype(jnp.float32), targets)).sum()
    np.testing.assert_allclose(total, exact, rtol=1e-5)
    assert gradient.dtype == dtype


def test_float64_stays_float64(x64):
    logits, targets = example((2,))
    loss = jitted(logits.astype(jnp.float64), targets)
    assert loss.total.dtype == loss.count.dtype == jnp.float64


def test_large_logits_lose_nothing():
    logits = jnp.array([[1e4, 1e4 - 1]], jnp.float32)
    loss = jitted(logits, jnp.array([1]))
    np.testing.assert_allclose(loss.total, 1 + np.log1p(np.exp(-1)), rtol=1e-5)


def test_a_symbol_may_be_forbidden_by_minus_infinity():
    logits = jnp.array([[0.0, 0.0, -jnp.inf]])
    value, gradient = jax.jit(jax.value_and_grad(lambda x: cross_entropy(x, jnp.array([0])).total))(
        logits
    )
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0]], atol=1e-6)


def test_numpy_arrays_do():
    logits, targets = example((2,))
    loss = cross_entropy(np.asarray(logits), np.asarray(targets), lengths=np.array([5, 1]))
    assert loss == cross_entropy(logits, targets, lengths=jnp.array([5, 1]))


def test_vmap_over_rows_is_the_batch():
    logits, targets = example((3,))
    lengths = jnp.array([5, 2, 0])
    rows = jax.jit(jax.vmap(lambda x, y, n: cross_entropy(x, y, lengths=n)))(
        logits, targets, lengths
    )
    whole = jitted(logits, targets, lengths=lengths)
    np.testing.assert_allclose(np.asarray(rows.total).sum(), whole.total, rtol=1e-6)
    assert rows.count.tolist() == [5, 2, 0]


def test_under_jit_a_length_outside_counts_as_the_nearer_end():
    logits, targets = example((2,))
    f = jax.jit(lambda n: cross_entropy(logits, targets, lengths=n))
    assert f(jnp.array([9, -1])) == f(jnp.array([5, 0]))


@pytest.mark.parametrize("bad", [-1, 3])
def test_under_jit_a_target_out_of_range_makes_loss_and_gradient_nan(bad):
    logits, targets = example((2,))
    value, gradient = jax.jit(jax.value_and_grad(lambda x, y: cross_entropy(x, y).total))(
        logits, targets.at[0, 0].set(bad)
    )
    assert jnp.isnan(value) and jnp.isnan(gradient[0, 0]).any()


@pytest.mark.parametrize("bad", [-1, 3])
def test_eagerly_a_target_out_of_range_is_refused(bad):
    logits, targets = example((2,))
    message = rf"^cross_entropy: `targets` must be between 0 and V - 1 = 2, but there is {bad}\."
    with pytest.raises(ValueError, match=message + r"\n  Hint: steps that are to be left out"):
        cross_entropy(logits, targets.at[1, 2].set(bad))
    cross_entropy(logits, targets.at[1, 2].set(bad), lengths=jnp.array([5, 2]))


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_label_smoothing_is_the_formula_and_that_of_optax(smoothing):
    logits, targets = example((2,))
    loss = jitted(logits, targets, label_smoothing=smoothing)
    x = np.asarray(logits, np.float64)
    minus_log_p = np.log(np.exp(x).sum(-1, keepdims=True)) - x
    chosen = np.take_along_axis(minus_log_p, np.asarray(targets)[..., None], -1)[..., 0]
    expected = (1 - smoothing) * chosen + smoothing * minus_log_p.mean(-1)
    np.testing.assert_allclose(loss.total, expected.sum(), rtol=1e-5)
    assert loss.count == targets.size

    def reference(logits):
        smooth = optax.smooth_labels(jax.nn.one_hot(targets, 3), smoothing)
        return optax.softmax_cross_entropy(logits, smooth).sum()

    total, wanted = jax.jit(jax.value_and_grad(reference))(logits)
    np.testing.assert_allclose(loss.total, total, rtol=1e-5)
    got = jax.jit(jax.grad(lambda x: cross_entropy(x, targets, label_smoothing=smoothing).total))(
        logits
    )
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_without_label_smoothing_the_program_is_the_plain_one():
    logits, targets = example((2,))

    def program(**options):
        return str(jax.make_jaxpr(lambda x: cross_entropy(x, targets, **options).total)(logits))

    assert program(label_smoothing=0.0) == program() != program(label_smoothing=0.1)


def test_with_label_smoothing_pads_never_matter():
    logits, targets = example((3,))
    lengths = jnp.array([5, 2, 0])
    valid = jnp.arange(5)[None, :] < lengths[:, None]

    def loss(logits, targets):
        return mean(cross_entropy(logits, targets, lengths=lengths, label_smoothing=0.2))

    value_and_grad = jax.jit(jax.value_and_grad(loss))
    value, gradient = value_and_grad(logits, targets)
    bad_value, bad_gradient = value_and_grad(
        jnp.where(valid[..., None], logits, jnp.nan), jnp.where(valid, targets, -7)
    )
    assert value == bad_value and jnp.isfinite(value)
    np.testing.assert_array_equal(gradient, bad_gradient)
    np.testing.assert_array_equal(bad_gradient[~valid], 0)


@pytest.mark.parametrize("target", [0, 2])
def test_with_label_smoothing_a_forbidden_symbol_costs_infinitely_much(target):
    logits = jnp.array([[0.0, 0.0, -jnp.inf]])
    loss = jitted(logits, jnp.array([target]), label_smoothing=0.1)
    assert loss.total == jnp.inf


def test_with_label_smoothing_half_precision_is_summed_in_float32():
    logits, targets = example((2,))
    loss = cross_entropy(logits.astype(jnp.bfloat16), targets, label_smoothing=0.1)
    assert loss.total.dtype == jnp.float32


@pytest.mark.parametrize("bad", [-0.1, 1.0, float("nan")])
def test_label_smoothing_out_of_range_is_refused(bad):
    logits, targets = example((2,))
    message = r"^cross_entropy: `label_smoothing` must be at least 0 and less than 1, but it is "
    with pytest.raises(ValueError, match=message + str(bad)):
        cross_entropy(logits, targets, label_smoothing=bad)


def test_lengths_and_mask_together_are_refused():
    logits, targets = example((2,))
    with pytest.raises(ValueError, match=r"^cross_entropy: `lengths` and `mask` are both given\."):
        cross_entropy(
            logits, targets, lengths=jnp.array([1, 1]), mask=jnp.ones(targets.shape, bool)
        )


@pytest.mark.parametrize("bad", [-1, 6])
def test_eagerly_a_length_out_of_range_is_refused(bad):
    logits, targets = example((2,))
    with pytest.raises(
        ValueError, match=rf"`lengths` must be between 0 and T = 5, but there is {bad}\."
    ):
        cross_entropy(logits, targets, lengths=jnp.array([1, bad]))


def test_wrong_shapes_are_refused(untyped):
    logits, targets = example((2,))
    with pytest.raises(ValueError, match=r"`logits` must have shape \(\*batch, T, V\) with V at"):
        cross_entropy(logits[0, 0], targets)
    with pytest.raises(
        ValueError,
        match=r"`targets` must have shape \(\*batch, T\) = \(2, 5\), but it has shape \(2, 4\)",
    ):
        cross_entropy(logits, targets[:, :4])
    with pytest.raises(ValueError, match=r"`lengths` must have shape \(\*batch,\) = \(2,\)"):
        cross_entropy(logits, targets, lengths=jnp.array([1]))
    with pytest.raises(ValueError, match=r"`mask` must have shape \(\*batch, T\) = \(2, 5\)"):
        cross_entropy(logits, targets, mask=jnp.ones(2, bool))


def test_wrong_dtypes_are_refused(untyped):
    logits, targets = example((2,))
    with pytest.raises(TypeError, match=r"`logits` must be floating, but they have dtype int32"):
        cross_entropy(logits.astype(jnp.int32), targets)
    with pytest.raises(TypeError, match=r"`targets` must be integers, but they have dtype float"):
        cross_entropy(logits, targets.astype(jnp.float32))
    with pytest.raises(TypeError, match=r"`lengths` must be integers, but they have dtype float"):
        cross_entropy(logits, targets, lengths=jnp.array([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"`mask` must be bool, but it has dtype float32"):
        cross_entropy(logits, targets, mask=jnp.ones((2, 5)))
