"""What may be given to the functions of this room: checked where users enter."""

from typing import Any

from jaxtyping import Bool, Float

from jaxseq._types import ArrayLike
from jaxseq.structured._arguments import Problem, check_backend, problem

Initial = Float[ArrayLike, "... K"]
"""``[K]``, or ``[*batch, K]`` where rows differ."""
Transition = Float[ArrayLike, "... K K"]
"""``[K, K]``; ``[*batch, K, K]`` where rows differ; ``[*batch, T-1, K, K]`` where steps do."""
Evidence = Float[ArrayLike, "*batch T K"]
Observed = Bool[ArrayLike, "*batch T"]


def hmm_problem(
    name: str,
    log_initial: Any,
    log_transition: Any,
    log_obs: Any,
    lengths: Any,
    observed: Any,
    backend: str,
) -> Problem:
    """Returns the chain of checked arguments."""
    where = f"hmm.{name}"
    check_backend(where, backend)
    names = ("log_obs", "log_transition", "log_initial", "final")
    return problem(where, names, log_obs, log_transition, log_initial, None, lengths, observed)
