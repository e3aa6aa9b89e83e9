"""The confusion matrix against a count by hand, and its pads against everything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses import accuracy, confusion_matrix, mean


def example(batch=(), steps=7, num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(num_classes, size=(2, *batch, steps)).astype(np.int32)


def by_hand(predictions, targets, num_classes):
    counts = np.zeros((num_classes, num_classes), int)
    for found, right in zip(predictions.ravel(), targets.ravel(), strict=True):
        counts[right, found] += 1
    return counts


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
@pytest.mark.parametrize("num_classes", [3, 5])
def test_rows_are_targets_and_columns_predictions(batch, num_classes):
    predictions, targets = example(batch)
    counts = confusion_matrix(predictions, targets, num_classes=num_classes)
    assert counts.dtype == jnp.int32
    np.testing.assert_array_equal(counts, by_hand(predictions, targets, num_classes))


def test_the_trace_over_the_sum_is_the_accuracy():
    logits = np.random.default_rng(1).normal(size=(2, 7, 3)).astype(np.float32)
    targets = example((2,))[0]
    counts = confusion_matrix(jnp.argmax(logits, -1), targets, num_classes=3)
    np.testing.assert_allclose(jnp.trace(counts) / counts.sum(), mean(accuracy(logits, targets)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("pad", [-1, 3, 99])
def test_what_is_in_the_pads_never_matters(pad, jit):
    predictions, targets = example((3,))
    lengths = jnp.array([7, 2, 0])
    valid = np.arange(7) < np.asarray(lengths)[:, None]

    def count(predictions, targets):
        return confusion_matrix(predictions, targets, num_classes=3, lengths=lengths)

    found = (jax.jit(count) if jit else count)(
        jnp.where(valid, predictions, pad), jnp.where(valid, targets, pad)
    )
    np.testing.assert_array_equal(found, by_hand(predictions[valid], targets[valid], 3))


def test_lengths_and_the_mask_they_mean_agree():
    predictions, targets = example((2, 2))
    lengths = np.array([[0, 1], [7, 3]])
    by_lengths = confusion_matrix(predictions, targets, num_classes=3, lengths=lengths)
    mask = np.arange(7) < lengths[..., None]
    np.testing.assert_array_equal(
        by_lengths, confusion_matrix(predictions, targets, num_classes=3, mask=mask)
    )
    assert by_lengths.sum() == 11


def test_counts_of_batches_add_up():
    predictions, targets = example((2,))
    whole = confusion_matrix(predictions, targets, num_classes=3)
    parts = [confusion_matrix(predictions[i], targets[i], num_classes=3) for i in range(2)]
    np.testing.assert_array_equal(whole, parts[0] + parts[1])


def test_vmap_over_rows_is_the_batch():
    predictions, targets = example((3,))
    lengths = jnp.array([7, 2, 0])
    rows = jax.vmap(lambda p, y, n: confusion_matrix(p, y, num_classes=3, lengths=n))(
        jnp.asarray(predictions), jnp.asarray(targets), lengths
    )
    whole = confusion_matrix(predictions, targets, num_classes=3, lengths=lengths)
    assert rows.shape == (3, 3, 3)
    np.testing.assert_array_equal(rows.sum(0), whole)


def test_nothing_valid_counts_nothing():
    predictions, targets = example((2,))
    counts = confusion_matrix(predictions, targets, num_classes=3, mask=np.zeros((2, 7), bool))
    assert not counts.any()
    assert not confusion_matrix(predictions[:, :0], targets[:, :0], num_classes=3).any()


def test_narrow_dtypes_count_among_many_classes():
    predictions, targets = np.array([250, 3], np.uint8), np.array([127, 3], np.int8)
    counts = confusion_matrix(predictions, targets, num_classes=300)
    assert counts[127, 250] == counts[3, 3] == 1 and counts.sum() == 2


def test_under_jit_a_step_with_a_class_out_of_range_is_not_counted():
    count = jax.jit(lambda p, y: confusion_matrix(p, y, num_classes=3))
    predictions = jnp.array([0, 1, 3, -1, 2], jnp.int32)
    targets = jnp.array([0, -1, 2, 1, 3], jnp.int32)
    np.testing.assert_array_equal(count(predictions, targets), np.diag([1, 0, 0]))


@pytest.mark.usefixtures("x64")
def test_under_jit_a_wide_class_out_of_range_is_not_taken_for_another():
    count = jax.jit(lambda p: confusion_matrix(p, p, num_classes=3))
    assert count(jnp.array([2**32 + 1, 1])).sum() == 1


@pytest.mark.parametrize("bad", [-1, 3])
@pytest.mark.parametrize("which", [0, 1])
def test_eagerly_a_class_out_of_range_is_refused(bad, which):
    given = example((2,))
    given[which, 1, 2] = bad
    name = ("predictions", "targets")[which]
    message = rf"^confusion_matrix: `{name}` must be between 0 and num_classes - 1 = 2, "
    with pytest.raises(ValueError, match=message + rf"but there is {bad}\.\n  Hint: steps that"):
        confusion_matrix(*given, num_classes=3)
    confusion_matrix(*given, num_classes=3, lengths=np.array([7, 2]))


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match=r"^confusion_matrix: `num_classes` must be at least 1, b"):
        confusion_matrix(*example(), num_classes=0)


def test_lengths_and_mask_together_are_refused():
    predictions, targets = example((2,))
    with pytest.raises(ValueError, match=r"^confusion_matrix: `lengths` and `mask` are both give"):
        confusion_matrix(
            predictions,
            targets,
            num_classes=3,
            lengths=np.array([1, 1]),
            mask=np.ones((2, 7), bool),
        )


def test_wrong_shapes_are_refused(untyped):
    predictions, targets = example((2,))
    with pytest.raises(ValueError, match=r"`predictions` must have shape \(\*batch, T\), but they"):
        confusion_matrix(np.int32(1), np.int32(1), num_classes=3)
    with pytest.raises(
        ValueError,
        match=r"`targets` must have shape \(\*batch, T\) = \(2, 7\), but it has shape \(2, 6\)",
    ):
        confusion_matrix(predictions, targets[:, :6], num_classes=3)


def test_wrong_dtypes_are_refused(untyped):
    predictions, targets = example()
    with pytest.raises(
        TypeError,
        match=r"`predictions` must be integers, but they have dtype float32\.\n  Hint: of logits",
    ):
        confusion_matrix(predictions.astype(np.float32), targets, num_classes=3)
    with pytest.raises(TypeError, match=r"`targets` must be integers, but they have dtype bool"):
        confusion_matrix(predictions, targets > 0, num_classes=3)
