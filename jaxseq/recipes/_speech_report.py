"""What a speech run reports, and the files that it leaves for a person to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq import training
from jaxseq.losses import ErrorRate, edit_distance, error_rate
from jaxseq.recipes import _speech_hmm
from jaxseq.recipes._directory import write_json, write_table
from jaxseq.recipes._pictures import history_picture
from jaxseq.recipes._speech_data import Example, Parts
from jaxseq.recipes._speech_hearing import Heard, Span, features_of, listen, spans_of
from jaxseq.recipes._speech_model import Model
from jaxseq.recipes._speech_pictures import alignment_picture, decibels_of
from jaxseq.recipes._speech_synthesis import with_noise

DECIBELS = (20, 10, 5, 0)
"""How loud speech is over the noise that is added to it for a part of the report."""
CHOOSING = 200
"""The penalty of the hidden Markov models is chosen by so many recordings at most."""


def rates(found: Sequence[str], examples: Sequence[Example]) -> dict[str, float]:
    """Returns the error rates of transcripts: of words, of characters, and of whole recordings."""
    right = [example.transcript for example in examples]
    wrong = sum(a.split() != b.split() for a, b in zip(found, right, strict=True))
    return {
        "word_error_rate": _words(found, examples).rate,
        "character_error_rate": error_rate(found, right).rate,
        "recording_error_rate": wrong / len(right),
    }


def _words(found: Sequence[str], examples: Sequence[Example]) -> ErrorRate:
    right = [example.transcript.split() for example in examples]
    return error_rate([text.split() for text in found], right)


def measures(model: Model, examples: Sequence[Example], heard: Sequence[Heard]) -> dict[str, Any]:
    """Returns what a report says of some recordings.

    Args:
      model: the recogniser.
      examples: the recordings, with what is said.
      heard: what the model hears.
    """
    found = [one.beam for one in heard]
    seconds = sum(len(example.samples) for example in examples) / (model.config.sample_rate or 1)
    page: dict[str, Any] = {
        "recordings": len(examples),
        "seconds": round(seconds, 1),
        "words": sum(len(example.transcript.split()) for example in examples),
        **rates(found, examples),
        "greedy": rates([one.greedy for one in heard], examples),
    }
    if any(example.speaker for example in examples):
        page["by_speaker"] = _by_speaker(found, examples)
    if any(example.starts for example in examples):
        page["alignment"] = _alignment(model, examples, heard)
    return page


def _by_speaker(found: Sequence[str], examples: Sequence[Example]) -> dict[str, Any]:
    """Returns the word error rate of each speaker, worst first."""
    counts: dict[str, ErrorRate] = {}
    for text, example in zip(found, examples, strict=True):
        who = example.speaker or "unknown"
        counts[who] = counts.get(who, ErrorRate(0, 0)) + _words([text], [example])
    rows = sorted(counts.items(), key=lambda row: (-row[1].rate, row[0]))
    return {
        who: {"words": count.length, "word_error_rate": round(count.rate, 4)} for who, count in rows
    }


def _alignment(model: Model, examples: Sequence[Example], heard: Sequence[Heard]) -> dict[str, Any]:
    """Returns how many labels the alignment puts between the true beginning and the next one."""
    inside = total = 0
    transcripts = [example.transcript for example in examples]
    for example, spans in zip(examples, spans_of(model, heard, transcripts), strict=True):
        if len(spans) != len(example.starts):
            continue
        ends = [*example.starts[1:], len(example.samples)]
        for span, start, end in zip(spans, example.starts, ends, strict=True):
            inside += start <= (span.start + span.end) / 2 <= end
            total += 1
    return {"labels": total, "inside_their_word": inside / max(total, 1)}


def noise_rates(model: Model, examples: Sequence[Example]) -> dict[str, float]:
    """Returns the word error rate with white noise, by how loud the speech is over it."""
    page = {}
    for decibels in DECIBELS:
        rng = np.random.default_rng([decibels, *b"test"])
        noisy = [with_noise(rng, one.samples, decibels=float(decibels)) for one in examples]
        found = [one.beam for one in listen(model, noisy)]
        page[f"{decibels} dB"] = _words(found, examples).rate
    return page


def report_on(model: Model, examples: Sequence[Example]) -> tuple[list[Heard], dict[str, Any]]:
    """Returns what a model hears, and its measures."""
    heard = listen(model, [example.samples for example in examples])
    return heard, measures(model, examples, heard)


def others(parts: Parts, model: Model) -> dict[str, Any]:
    """Returns the error rates of hidden Markov models of the same recordings, part by part.

    Nothing if no training recording is long enough for the states of its labels.
    """
    config: Any = model.config
    states = _speech_hmm.STATES[config.labels]
    features = features_of(config, [example.samples for example in parts.train])
    numbers = [model.encode(example.transcript) for example in parts.train]
    if not _speech_hmm.usable(features, numbers, states):
        return {}
    fitted = _speech_hmm.fit(features, numbers, labels=len(model.labels), states=states)

    def transcripts(markov: _speech_hmm.WordHMM, sounds: Sequence[np.ndarray]) -> list[str]:
        return [model.decode(row) for row in _speech_hmm.predict(markov, sounds)]

    chosen = (parts.valid or parts.train)[:CHOOSING]
    sounds = features_of(config, [example.samples for example in chosen])
    tried = [fitted._replace(penalty=penalty) for penalty in _speech_hmm.PENALTIES]
    best = min(tried, key=lambda markov: _words(transcripts(markov, sounds), chosen).rate)
    page: dict[str, Any] = {}
    for part in ("test", "valid"):
        examples = getattr(parts, part)
        if examples:
            heard = features_of(config, [example.samples for example in examples])
            name = f"hidden Markov models of {config.labels}"
            page[part] = {name: rates(transcripts(best, heard), examples)}
    return page


def leave_report(
    out: Path,
    report: dict[str, Any],
    model: Model,
    examples: Sequence[Example],
    heard: Sequence[Heard],
) -> None:
    """Writes the report, the errors, worst first, and the picture of an alignment."""
    write_json(out / "report.json", report)
    _leave_errors(out / "errors.tsv", examples, heard)
    shown = _shown(model, examples, heard)
    if shown is not None:
        config: Any = model.config
        example, one, spans = shown
        alignment_picture(
            out / "alignment.png",
            decibels_of(example.samples, config.sample_rate, config.num_mels),
            one.log_probs,
            spans,
            labels=model.labels,
            sample_rate=config.sample_rate,
            step=model.seconds,
            starts=example.starts,
            title=f"{example.name}: {example.transcript}",
        )


def _leave_errors(path: Path, examples: Sequence[Example], heard: Sequence[Heard]) -> None:
    """Writes the recordings with wrong words, those with most of them first."""
    rows = []
    for example, one in zip(examples, heard, strict=True):
        edits = edit_distance(one.beam.split(), example.transcript.split())
        if edits:
            row = [example.name, example.speaker, str(edits), example.transcript, one.beam]
            rows.append([*row, f"{one.log_prob:.2f}"])
    rows.sort(key=lambda row: -int(row[2]))
    header = ["path", "speaker", "errors", "transcript", "found", "log_probability"]
    write_table(path, header, rows)


def _shown(
    model: Model, examples: Sequence[Example], heard: Sequence[Heard]
) -> tuple[Example, Heard, list[Span]] | None:
    """Returns the recording to draw: of those rightly heard the one of most words, if any is."""
    order = sorted(
        range(len(examples)),
        key=lambda k: (
            heard[k].beam != examples[k].transcript,
            -len(examples[k].transcript.split()),
        ),
    )
    for place in order[:8]:
        example, one = examples[place], heard[place]
        [spans] = spans_of(model, [one], [example.transcript])
        if spans:
            return example, one, spans
    return None


def leave_history(out: Path, model: Model, history: training.History, *, validated: bool) -> None:
    """Writes what happened in training, and draws it."""
    config = model.config
    history_picture(
        out,
        history,
        unit="nats per label",
        measure="validation word error (%)" if validated else None,
        title=f"{Path(config.data).name}: {config.cell}, {config.num_layers} x "
        f"{config.hidden_size} units both ways",
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.speech.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import speech
      >>> rates = {"word_error_rate": 0.05, "character_error_rate": 0.04}
      >>> page = {"data": "my.tsv", "recordings": 2, "words": 20, **rates, "greedy": rates}
      >>> print(speech.summary(page))
      my.tsv, 2 recordings, 20 words
         words  characters  (% wrong)
          5.00        4.00  this model
          5.00        4.00  this model, the best label of each step
    """
    lines = []
    parts = [part for part in ("test", "valid", "train") if part in report]
    for part in parts or [None]:
        page = report if part is None else report[part]
        named = f", {part} part" if part else ""
        lines.append(
            f"{report['data']}{named}, {page['recordings']} recordings, {page['words']} words"
        )
        lines.append("   words  characters  (% wrong)")
        rows = {"this model": page, "this model, the best label of each step": page["greedy"]}
        rows |= report.get("others", {}).get(part, {})
        for name, row in rows.items():
            words, characters = row["word_error_rate"], row["character_error_rate"]
            lines.append(f"{100 * words:8.2f}{100 * characters:12.2f}  {name}")
        if "with_noise" in page:
            shown = ", ".join(f"{100 * v:.1f} at {k}" for k, v in page["with_noise"].items())
            lines.append(f"  words wrong (%) with white noise: {shown}")
    return "\n".join(lines)
