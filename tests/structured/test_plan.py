"""What a chain runs on, and why."""

import jax
import jax.numpy as jnp
import pytest

from jaxseq.structured import crf, plan
from jaxseq.structured._backend import choose, decide
from jaxseq.structured._blocks import block_size
from jaxseq.structured._messages import Chain
from jaxseq.structured._semiring import LOG, MAX

SHORT, LONG = (64, 32, 20), (20_000, 4, 5)


def test_what_is_asked_for_is_what_runs():
    for name in ("associative", "reference", "sequential"):
        assert decide(name, *SHORT, LOG, "cpu") == (name, "asked for by name")


def test_on_a_cpu_long_and_narrow_chains_run_in_blocks(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert decide("auto", *SHORT, LOG, "cpu")[0] == "sequential"
    assert decide("auto", *LONG, LOG, "cpu")[0] == "associative"
    assert decide("auto", *LONG, MAX, "cpu")[0] == "sequential"
    assert decide("auto", 20_000, 64, 3, LOG, "cpu")[0] == "sequential"
    chain = Chain(jnp.zeros((5, 5)), jnp.zeros(LONG), None)
    assert choose("auto", chain) == "associative"
    assert choose("auto", chain, alone=True) == "sequential"
    assert choose("associative", chain, alone=True) == "associative"


def test_elsewhere_all_but_short_chains_do():
    assert decide("auto", *LONG, MAX, "gpu")[0] == "associative"
    assert decide("auto", *SHORT, LOG, "gpu")[0] == "sequential"


def test_the_plan_counts_steps_products_and_bytes():
    emissions, transitions = jnp.zeros((2, 101, 3)), jnp.zeros((3, 3))
    found = plan(emissions, transitions, backend="sequential")
    assert (found.loop_steps, found.flops) == (100, 2 * 100 * 2 * 9)
    assert found.messages_bytes == 4 * 101 * 2 * 3
    assert found.kept_bytes == found.messages_bytes + 4 * 2 * 9
    blocks = plan(emissions, transitions, backend="associative")
    assert blocks.loop_steps == 2 * block_size(100) + 2 * 4 < found.loop_steps
    assert blocks.flops > found.flops
    assert "steps after one another" in str(blocks)


def test_the_backward_pass_keeps_a_few_messages_and_no_matrix_a_step():
    emissions, transitions = jnp.zeros((2, 300, 16)), jnp.zeros((16, 16))
    found = plan(emissions, transitions)
    assert found.kept_bytes < 8 * emissions.nbytes < emissions.nbytes * 16


def test_a_backend_unknown_is_said():
    with pytest.raises(ValueError, match=r'structured\.plan: `backend` must be .* it is "fast"'):
        plan(jnp.zeros((3, 2)), jnp.zeros((2, 2)), backend="fast")
    with pytest.raises(ValueError, match=r"crf\.viterbi: `backend` must be one of"):
        crf.viterbi(jnp.zeros((3, 2)), jnp.zeros((2, 2)), backend="fast")
