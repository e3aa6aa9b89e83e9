"""What a language model has to beat: an n-gram model, and a compressor. NumPy only."""

import lzma
from typing import Any, NamedTuple

import numpy as np

from jaxseq._checks import error, shape_text


def witten_bell_bits(train_ids: Any, test_ids: Any, *, order: int, vocabulary_size: int) -> float:
    r"""Returns the bits per symbol of an interpolated Witten-Bell n-gram model on the test stream.

    .. math::

       p_n(w \mid h) = \frac{c(h w) + t(h)\, p_{n-1}(w \mid h')}{c(h) + t(h)}

    counts how often :math:`w` follows the context :math:`h` of :math:`n - 1` symbols in the
    training stream, and how many different symbols do, :math:`t(h)`; :math:`h'` is the context
    without its oldest symbol, and below one symbol stands the uniform distribution over the
    vocabulary, :math:`p_0 = 1 / V`. A context never followed by anything in training is skipped.
    A symbol never seen in training gets what the uniform distribution leaves it.

    Counts are of the training stream alone. The test stream is read as its continuation: its first
    symbols have the last ones of training as context, later ones the test symbols before them.
    So reckoned, *Moby-Dick* (83 symbols, first 90 % for training, order 6) has 2.249 bits a
    character on the next 5 % and 2.243 on the last, the constitution of Korea (380 symbols,
    order 4) 3.752 and 4.356.

    Args:
      train_ids: the training stream, integers in 0..V-1, ``[N]``.
      test_ids: the test stream, likewise, ``[M]``.
      order: n, the symbols of an n-gram, context and next one together; 1 looks at no context.
      vocabulary_size: V, of all symbols there can be, seen in training or not.

    Returns:
      Bits per symbol.

    Raises:
      ValueError: if a stream is not one row of symbols in 0..V-1, the test stream is empty, or
        ``order`` is below 1.
      TypeError: if a stream does not hold integers.

    Example:
      >>> from jaxseq.recipes._baselines import witten_bell_bits
      >>> text = [0, 1, 2] * 20
      >>> round(witten_bell_bits(text, text, order=1, vocabulary_size=3), 3)  # log2(3)
      1.585
      >>> round(witten_bell_bits(text, text, order=2, vocabulary_size=3), 3)
      0.047

    References:
      Witten and Bell, "The Zero-Frequency Problem: Estimating the Probabilities of Novel Events in
      Adaptive Text Compression", 1991; Chen and Goodman, "An Empirical Study of Smoothing
      Techniques for Language Modeling", 1998 (the interpolated form).
    """
    if order < 1:
        raise error("witten_bell_bits", f"`order` must be at least 1, but it is {order}")
    train = _stream("train_ids", train_ids, vocabulary_size)
    test = _stream("test_ids", test_ids, vocabulary_size)
    if not test.size:
        raise error("witten_bell_bits", "`test_ids` are empty")
    symbols = np.concatenate([train, test])
    probability = np.full(test.size, 1.0 / vocabulary_size)
    contexts = np.zeros(symbols.size, np.int64)  # of no symbol: the same everywhere
    for length in range(min(order, symbols.size)):
        # Entry j is about position length + j: its context has a number, and so has its n-gram.
        known = max(train.size - length, 0)
        pairs, grams = np.unique(contexts * vocabulary_size + symbols[length:], return_inverse=True)
        mixed = _interpolated(contexts, grams, pairs // vocabulary_size, known, probability)
        probability[probability.size - mixed.size :] = mixed
        contexts = grams[:-1]  # an n-gram is the context of the symbol after it
    return float(-np.log2(probability).mean())


def _interpolated(
    contexts: np.ndarray, grams: np.ndarray, context_of: np.ndarray, known: int, lower: np.ndarray
) -> np.ndarray:
    """Returns the probabilities of the positions after the first ``known``, which are counted.

    Args:
      contexts: the number of each position's context.
      grams: the number of each position's n-gram.
      context_of: the context of each n-gram.
      known: how many positions are of training.
      lower: the probabilities at one symbol less of context; the last ones count.
    """
    count = np.bincount(grams[:known], minlength=context_of.size)
    size = int(context_of.max()) + 1
    total = np.bincount(contexts[:known], minlength=size)
    types = np.bincount(context_of[count > 0], minlength=size)
    contexts, grams = contexts[known:], grams[known:]
    lower = lower[lower.size - grams.size :]
    seen = np.maximum(total + types, 1)[contexts]  # 1 where the context is new: lower is kept
    weight = np.where(total > 0, types, 1)[contexts]
    return (count[grams] + weight * lower) / seen


def _stream(name: str, ids: Any, vocabulary_size: int) -> np.ndarray:
    """Returns the ids as int64, or raises."""
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise error(
            "witten_bell_bits",
            f"`{name}` must have shape (N,), but have shape {shape_text(ids.shape)}",
        )
    if ids.size and not np.issubdtype(ids.dtype, np.integer):
        raise error(
            "witten_bell_bits",
            f"`{name}` must be integers, but have dtype {ids.dtype}",
            kind=TypeError,
        )
    outside = ids[(ids < 0) | (ids >= vocabulary_size)]
    if outside.size:
        raise error(
            "witten_bell_bits",
            f"`{name}` must be between 0 and V - 1 = {vocabulary_size - 1}, "
            f"but there is {int(outside[0])}",
        )
    return ids.astype(np.int64)


class XzBits(NamedTuple):
    """What ``xz -9e`` makes of a text, in bits per character.

    Attributes:
      alone: the text compressed by itself.
      after_training: by how much the training text's file grows with the text appended.

    Example:
      >>> from jaxseq.recipes._baselines import XzBits
      >>> XzBits(alone=3.4, after_training=2.9).alone
      3.4
    """

    alone: float
    after_training: float


def xz_bits(train: str, test: str) -> XzBits:
    """Returns the bits per character that ``xz -9e`` needs for a text, by itself and after another.

    Sizes are those of whole ``.xz`` files, headers and check sum (CRC64) included, of the UTF-8
    bytes; characters are code points.

    Args:
      train: the text that the compressor may learn from.
      test: the text that counts.

    Returns:
      Both figures.

    Raises:
      ValueError: if ``test`` is empty.

    Example:
      >>> from jaxseq.recipes._baselines import xz_bits
      >>> bits = xz_bits("the whale, the white whale. " * 9, "the white whale, the whale. " * 3)
      >>> bits.after_training < bits.alone
      True
    """
    if not test:
        raise error("xz_bits", "`test` is empty")
    before, after = _xz_bytes(train), _xz_bytes(train + test)
    return XzBits(8 * _xz_bytes(test) / len(test), 8 * (after - before) / len(test))


def _xz_bytes(text: str) -> int:
    """Returns the size of the file that ``xz -9e`` writes."""
    return len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
