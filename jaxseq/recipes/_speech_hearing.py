"""What a recogniser hears: features of sound, transcripts, and when each label is heard."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float32

from jaxseq._checks import InputError, error
from jaxseq._types import Array, PyTree
from jaxseq.losses import error_rate
from jaxseq.recipes._run import batches_of
from jaxseq.recipes._speech_config import TASK
from jaxseq.recipes._speech_data import Example, units_of
from jaxseq.recipes._speech_model import Model
from jaxseq.sequence import log_mel, standardize
from jaxseq.structured import ctc

BUCKETS = 4
EVALUATION_ROWS = 64


def features_of(config: Any, sounds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the features ``[T, M]`` of sounds, of mean 0 and variance 1 over their frames."""
    found: list[Any] = [None] * len(sounds)
    run = _compiled_features(config.sample_rate, config.num_mels)
    for batch in batches_of(sounds, rows=min(EVALUATION_ROWS, len(sounds)), buckets=BUCKETS):
        features, lengths = map(np.asarray, run(batch.values, batch.lengths))
        for row, length, place in zip(features, lengths, batch.rows, strict=True):
            if place >= 0:
                found[place] = row[:length]
    return found


@functools.cache
def _compiled_features(sample_rate: int, num_mels: int) -> Callable[..., tuple[Array, Array]]:
    @jax.jit
    def features(samples: Array, lengths: Array) -> tuple[Array, Array]:
        frames = log_mel(samples, sample_rate=sample_rate, lengths=lengths, num_mels=num_mels)
        return standardize(frames.features, lengths=frames.lengths), frames.lengths

    return features


class Heard(NamedTuple):
    """What a model hears in one recording.

    Attributes:
      greedy: the transcript of the likeliest label of each step.
      beam: the likeliest transcript that a beam search finds; equal to greedy without one.
      log_prob: the log-probability of the latter, in nats.
      log_probs: of the labels at each step, ``[S, K + 1]``.

    Example:
      >>> Heard._fields
      ('greedy', 'beam', 'log_prob', 'log_probs')
    """

    greedy: str
    beam: str
    log_prob: float
    log_probs: Float32[np.ndarray, "S V"]


def hear(
    model: Model, params: PyTree, features: Sequence[np.ndarray], *, beam: int = 0
) -> list[Heard]:
    """Returns what a model hears; ``beam`` is how many hypotheses a search keeps, 0 for none."""
    found: list[Any] = [None] * len(features)
    run = _compiled(model.apply, beam)
    rows = min(EVALUATION_ROWS, len(features))
    for batch in batches_of(features, rows=rows, buckets=BUCKETS):
        out = jax.device_get(run(params, batch.values, batch.lengths))
        log_probs, steps, best, count, searched, length, score = out
        for row, place in enumerate(batch.rows):
            if place >= 0:
                greedy = model.decode(best[row, : count[row]].tolist())
                likeliest = model.decode(searched[row, : length[row]].tolist())
                heard = (greedy, likeliest, float(score[row]), log_probs[row, : steps[row]])
                found[place] = Heard(*heard)
    return found


@functools.cache
def _compiled(apply: Callable[..., Any], beam: int) -> Callable[..., Any]:
    @jax.jit
    def run(params: PyTree, features: Array, lengths: Array) -> tuple[Array, ...]:
        log_probs, steps = apply(params, features, lengths=lengths)
        best = ctc.greedy(log_probs, lengths=steps)
        first = (log_probs, steps, best.labels, best.label_lengths)
        if not beam:
            return *first, best.labels, best.label_lengths, best.score
        found = ctc.beam_search(log_probs, width=beam, lengths=steps)
        return *first, found.labels[:, 0], found.label_lengths[:, 0], found.log_probs[:, 0]

    return run


def transcribe(model: Model, sounds: Sequence[Any]) -> list[str]:
    """Returns what is said in sounds.

    Args:
      model: from :func:`load`.
      sounds: float arrays ``[N]`` in [-1, 1], at ``model.config.sample_rate``; what
        :func:`jaxseq.data.read_wav` gives, :func:`jaxseq.data.resample` brings there.

    Returns:
      A transcript for each.

    Raises:
      InputError: if there is no sound, or one is not a one-dimensional array of floats.

    Example:
      >>> import numpy as np
      >>> from jaxseq.recipes import speech
      >>> model = speech.build(speech.resolved(speech.Config(hidden_size=2)), ["one", "two"])
      >>> len(speech.transcribe(model, [np.zeros(4000, np.float32)]))
      1
    """
    if not len(sounds):
        raise error(TASK, "there is no sound to transcribe", kind=InputError)
    for place, sound in enumerate(sounds):
        kind = np.asarray(sound).dtype.kind
        if np.ndim(sound) != 1 or kind != "f":
            problem = f"sound {place} must be floats of shape (N,), but it is "
            problem += f"{np.asarray(sound).dtype} of shape {np.shape(sound)}"
            hint = "jaxseq.data.read_wav gives such"
            raise error(TASK, problem, hint=hint, kind=InputError)
    heard = listen(model, [np.asarray(sound, np.float32) for sound in sounds])
    return [one.beam for one in heard]


def listen(model: Model, sounds: Sequence[np.ndarray]) -> list[Heard]:
    """Returns what a model hears in sounds, by a beam search."""
    features = features_of(model.config, sounds)
    return hear(model, model.params, features, beam=model.config.beam)


def assessor(model: Model, examples: Sequence[Example]) -> Callable[[PyTree], float]:
    """Returns what measures params: wrong words, in per cent; 0 with no examples to choose by."""
    features = features_of(model.config, [one.samples for one in examples]) if examples else []
    right = [example.transcript.split() for example in examples]

    def assess(params: PyTree) -> float:
        if not features:
            return 0.0
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            return math.nan
        found = [heard.greedy.split() for heard in hear(model, params, features)]
        return 100 * error_rate(found, right).rate

    return assess


class Span(NamedTuple):
    """When a label is heard.

    Attributes:
      label: a word or a character.
      start: in seconds.
      end: in seconds.

    Example:
      >>> Span("one", 0.12, 0.18).label
      'one'
    """

    label: str
    start: float
    end: float


def align(model: Model, sound: Float32[np.ndarray, " N"], transcript: str) -> list[Span]:
    """Returns when each label of a transcript is heard.

    CTC needs a label to be likely in one step only, so a span says where in the word the model is
    sure of it, not where the word begins and ends.

    Args:
      model: from :func:`load`.
      sound: as in :func:`transcribe`.
      transcript: what is said.

    Returns:
      A span for each label, in their order.

    Raises:
      InputError: if the model lacks a label of the transcript, or the sound is too short for it.

    Example:
      >>> import numpy as np
      >>> from jaxseq.recipes import speech
      >>> model = speech.build(speech.resolved(speech.Config(hidden_size=2)), ["one", "two"])
      >>> [span.label for span in speech.align(model, np.zeros(4000, np.float32), "two one")]
      ['two', 'one']
    """
    units = units_of(transcript, model.config.labels or "words")
    if lacking := [unit for unit in units if unit not in model.labels]:
        problem = f"the model does not know the label {lacking[0]!r} of the transcript"
        raise error(TASK, problem, kind=InputError)
    [heard] = hear(model, model.params, features_of(model.config, [sound]))
    [spans] = spans_of(model, [heard], [transcript])
    if len(spans) < len(units):
        problem = f"a sound of {len(heard.log_probs)} steps is too short for {len(units)} labels"
        raise error(TASK, problem, kind=InputError)
    return spans


def spans_of(model: Model, heard: Sequence[Heard], transcripts: Sequence[str]) -> list[list[Span]]:
    """Returns when each label of transcripts is heard; nothing of one that cannot be."""
    numbers = [model.encode(transcript) for transcript in transcripts]
    steps = [len(one.log_probs) for one in heard]
    log_probs = np.zeros((len(heard), max(1, *steps), len(model.labels) + 1), np.float32)
    labels = np.zeros((len(heard), max(1, *map(len, numbers))), np.int32)
    for row, (one, known) in enumerate(zip(heard, numbers, strict=True)):
        log_probs[row, : len(one.log_probs)] = one.log_probs
        labels[row, : len(known)] = known
    counts = np.array([*map(len, numbers)], np.int32)
    found = ctc.align(log_probs, labels, lengths=np.array(steps, np.int32), label_lengths=counts)
    starts, ends, scores = (np.asarray(x) for x in (found.starts, found.ends, found.score))
    return [
        [
            Span(model.labels[k - 1], float(start) * model.seconds, float(end) * model.seconds)
            for k, start, end in zip(known, starts[row], ends[row], strict=False)
        ]
        if np.isfinite(scores[row])
        else []
        for row, known in enumerate(numbers)
    ]
