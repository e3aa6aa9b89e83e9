"""What the functions of CTC refuse, and in which words."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import ctc

LOG_PROBS = jnp.zeros((2, 4, 3))
LABELS = jnp.array([[1, 2], [2, 1]])

EVERY = {
    "greedy": ctc.greedy,
    "segment": ctc.segment,
    "beam_search": lambda *args, **kwargs: ctc.beam_search(*args, width=2, **kwargs),
    "loss": lambda x, **kwargs: ctc.loss(x, LABELS, **kwargs),
    "align": lambda x, **kwargs: ctc.align(x, LABELS, **kwargs),
}


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("name", EVERY)
def test_log_probs_are_checked(name):
    with pytest.raises(
        ValueError,
        match=rf"ctc.{name}: `log_probs` must have shape \(\*batch, T, V\) with V at least 1, "
        r"but they have shape \(3,\)\.",
    ):
        EVERY[name](jnp.zeros(3))
    with pytest.raises(ValueError, match=r"V at least 1, but they have shape \(2, 4, 0\)"):
        EVERY[name](jnp.zeros((2, 4, 0)))
    with pytest.raises(
        TypeError, match=rf"ctc.{name}: `log_probs` must be floating, but they have dtype int32\."
    ):
        EVERY[name](jnp.zeros((2, 4, 3), jnp.int32))


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("name", EVERY)
def test_lengths_and_blank_are_checked(name):
    run = EVERY[name]
    with pytest.raises(
        ValueError, match=rf"ctc.{name}: `lengths` must be between 0 and T = 4, but there is 5\."
    ):
        run(LOG_PROBS, lengths=jnp.array([4, 5]))
    with pytest.raises(ValueError, match=r"`lengths` must have shape \(\*batch,\) = \(2,\), but"):
        run(LOG_PROBS, lengths=jnp.array([4, 4, 4]))
    with pytest.raises(
        ValueError, match=rf"ctc.{name}: `blank` must be between 0 and V - 1 = 2, but it is -1\."
    ):
        run(LOG_PROBS, blank=-1)
    with pytest.raises(ValueError, match=r"between 0 and V - 1 = 2, but it is 3\."):
        run(LOG_PROBS, blank=3)
    with pytest.raises(
        TypeError, match=rf"ctc.{name}: `blank` must be an integer, but it is 0.5\."
    ):
        run(LOG_PROBS, blank=0.5)


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("function", [ctc.loss, ctc.align])
def test_labels_are_checked(function):
    where = f"ctc.{function.__name__}"
    with pytest.raises(
        ValueError,
        match=rf"{where}: `labels` must have shape \(\*batch, N\) with \*batch = \(2,\), "
        r"but they have shape \(3, 2\)\.",
    ):
        function(LOG_PROBS, jnp.ones((3, 2), int))
    with pytest.raises(
        TypeError, match=rf"{where}: `labels` must be integers, but they have dtype float32\."
    ):
        function(LOG_PROBS, jnp.ones((2, 2)))
    with pytest.raises(
        ValueError,
        match=rf"{where}: `labels` must be between 0 and V - 1 = 2, but there is 3\.\n"
        r"  Hint: labels that are only there to fill a row are left out by `label_lengths`\.",
    ):
        function(LOG_PROBS, jnp.array([[1, 2], [3, 1]]))
    with pytest.raises(ValueError, match="but there is -1"):
        function(LOG_PROBS, jnp.array([[1, 2], [1, -1]]))
    with pytest.raises(
        ValueError,
        match=rf"{where}: `labels` must not be the blank, 0, but there is one\.\n  Hint: .* "
        r"another index for the blank is given as `blank`\.",
    ):
        function(LOG_PROBS, jnp.array([[1, 2], [1, 0]]))


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("function", [ctc.loss, ctc.align])
def test_label_lengths_are_checked(function):
    with pytest.raises(ValueError, match=r"`label_lengths` must be between 0 and N = 2, but .* 3"):
        function(LOG_PROBS, LABELS, label_lengths=jnp.array([2, 3]))
    with pytest.raises(ValueError, match=r"`label_lengths` must have shape \(\*batch,\) = \(2,\)"):
        function(LOG_PROBS, LABELS, label_lengths=jnp.array(2))
    with pytest.raises(TypeError, match="`label_lengths` must be integers, but they have dtype"):
        function(LOG_PROBS, LABELS, label_lengths=jnp.array([2.0, 2.0]))


def test_what_fills_a_row_is_not_checked():
    labels = jnp.array([[1, 0], [2, -1]])
    assert ctc.loss(LOG_PROBS, labels, label_lengths=jnp.array([1, 1])).nats.shape == (2,)


def test_numpy_arrays_and_narrow_integers_will_do():
    log_probs = np.zeros((2, 4, 300), np.float32)
    labels = np.array([[1, 2], [2, 1]], np.int8)
    lengths = np.array([4, 3], np.uint8)
    loss = ctc.loss(log_probs, labels, lengths=lengths, label_lengths=np.array([2, 1], np.int8))
    assert np.isfinite(loss.nats).all()
