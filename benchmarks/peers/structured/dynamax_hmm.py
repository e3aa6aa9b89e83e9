"""dynamax: its inference under vmap, and the step that its ``fit_em`` repeats."""

import warnings

import jax
import jax.numpy as jnp

from peers.structured.case import (
    HMM,
    ITERATIONS,
    Case,
    Program,
    Symbols,
    compiled,
    path_scores,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of TensorFlow Probability, which dynamax imports
    from dynamax import hidden_markov_model as dynamax

# Of the first state: at 1 the mode of its Dirichlet distribution is NaN once a state is left out.
ALMOST_NO_PRIOR = 1.0001
MOST_STATES = 8  # the parallel version holds [B, T, K, K], several times


def build(case: Case, data: HMM | Symbols, *, parallel: bool = False) -> Program | str:
    if case.model == "em":
        return build_em(data)
    if parallel and case.work == "viterbi":
        return "has no parallel Viterbi"
    if parallel and case.size[2] > MOST_STATES:
        return "holds [B, T, K, K] in memory"
    run_filter = dynamax.parallel_hmm_filter if parallel else dynamax.hmm_filter
    run_smoother = dynamax.parallel_hmm_smoother if parallel else dynamax.hmm_two_filter_smoother

    def likelihood(log_initial, log_transition, log_obs):
        chain = (jnp.exp(log_initial), jnp.exp(log_transition))
        return (jax.vmap(lambda row: run_filter(*chain, row).marginal_loglik)(log_obs),)

    def smooth(log_initial, log_transition, log_obs):
        chain = (jnp.exp(log_initial), jnp.exp(log_transition))
        found = jax.vmap(lambda row: run_smoother(*chain, row))(log_obs)
        return found.marginal_loglik, found.smoothed_probs, found.trans_probs

    def viterbi(log_initial, log_transition, log_obs):
        chain = (jnp.exp(log_initial), jnp.exp(log_transition))
        return jax.vmap(lambda row: dynamax.hmm_posterior_mode(*chain, row))(log_obs)

    def total(*arguments):
        return likelihood(*arguments)[0].sum()

    gradient = jax.value_and_grad(total, argnums=(0, 1, 2))
    if case.work == "viterbi":
        return compiled(viterbi, data, lambda paths: [path_scores(data, paths)])
    works = {
        "likelihood": likelihood,
        "smoothing": smooth,
        "gradient": lambda *arguments: jax.tree.leaves(gradient(*arguments)),
    }
    return compiled(works[case.work], data)


def build_em(data: Symbols) -> Program:
    """Compiles the steps once: ``fit_em`` would trace them anew at every call."""
    states, symbols = data.emission.shape
    model = dynamax.CategoricalHMM(
        states,
        1,
        symbols,
        initial_probs_concentration=ALMOST_NO_PRIOR,
        transition_matrix_concentration=1.0,
        emission_prior_concentration=1.0,
    )
    initial, transition, emission = (jnp.asarray(one, jnp.float32) for one in data[1:])
    params, properties = model.initialize(
        initial_probs=initial, transition_matrix=transition, emission_probs=emission[:, None]
    )

    def steps(params, batch):
        def step(carry, _):
            params, state = carry
            found, values = jax.vmap(lambda row: model.e_step(params, row))(batch)
            return model.m_step(params, properties, found, state), values.sum()

        first = (params, model.initialize_m_step_state(params, properties))
        return (jax.lax.scan(step, first, None, length=ITERATIONS)[1],)

    program = compiled(steps, (params, data.symbols[None, :, None]))
    return program._replace(count=ITERATIONS)
