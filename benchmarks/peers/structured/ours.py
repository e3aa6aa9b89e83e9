"""jaxseq, each function with its default backend."""

import jax
import jax.numpy as jnp

from jaxseq.structured import crf, ctc, hmm
from peers.structured.case import (
    CRF,
    CTC,
    HMM,
    ITERATIONS,
    Case,
    Program,
    Symbols,
    compiled,
    path_scores,
    read_history,
)


def build(case: Case, data: CRF | HMM | Symbols | CTC) -> Program:
    builder = {"crf": build_crf, "hmm": build_hmm, "em": build_em, "ctc": build_ctc}[case.model]
    return builder(case, data)


def build_crf(case: Case, data: CRF) -> Program:
    def likelihood(emissions, tags, transitions, initial, final, lengths):
        found = crf.log_likelihood(
            emissions, tags, transitions, initial=initial, final=final, lengths=lengths
        )
        return found.sum()

    def viterbi(emissions, tags, transitions, initial, final, lengths):
        return crf.viterbi(emissions, transitions, initial=initial, final=final, lengths=lengths)

    if case.work == "viterbi":
        return compiled(viterbi, data, lambda found: [path_scores(data, found[0])])
    if case.work == "likelihood":
        return compiled(lambda *arguments: (likelihood(*arguments),), data)
    gradient = jax.value_and_grad(likelihood, argnums=(0, 2))
    return compiled(lambda *arguments: jax.tree.leaves(gradient(*arguments)), data)


def build_hmm(case: Case, data: HMM) -> Program:
    def total(*arguments):
        return hmm.log_likelihood(*arguments).sum()

    def smooth(*arguments):
        found = hmm.smooth(*arguments)
        return found.log_likelihood, jnp.exp(found.log_marginals), found.transition_counts

    gradient = jax.value_and_grad(total, argnums=(0, 1, 2))
    if case.work == "viterbi":
        return compiled(hmm.viterbi, data, lambda found: [path_scores(data, found[0])])
    works = {
        "likelihood": lambda *arguments: (hmm.log_likelihood(*arguments),),
        "smoothing": smooth,
        "gradient": lambda *arguments: jax.tree.leaves(gradient(*arguments)),
    }
    return compiled(works[case.work], data)


def build_em(case: Case, data: Symbols) -> Program:
    emission = hmm.categorical(data.emission.shape[0], data.emission.shape[1])
    initial, transition, table = (jnp.log(jnp.asarray(one, jnp.float32)) for one in data[1:])
    start = hmm.HMM(initial, transition, hmm.CategoricalParams(table))

    def run():
        # The start is evaluated too, and every evaluated model goes through an M step.
        return hmm.fit(
            jax.random.key(0),
            emission,
            data.symbols[None],
            model=start,
            max_iterations=ITERATIONS - 1,
            tolerance=0.0,
        ).history

    return Program(run, read_history, ITERATIONS)


def build_ctc(case: Case, data: CTC) -> Program:
    def loss(logits, labels, lengths, label_lengths):
        found = ctc.loss(
            logits, labels, lengths=lengths, label_lengths=label_lengths, normalised=False
        )
        return found.nats.sum()

    if case.work == "loss":
        return compiled(lambda *arguments: (loss(*arguments),), data)
    return compiled(jax.value_and_grad(loss), data)
