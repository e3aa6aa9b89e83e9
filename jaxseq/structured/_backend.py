"""Which loop a chain runs on."""

import jax

from jaxseq.structured._messages import Chain
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import LOG, Semiring


def choose(
    backend: str, chain: Chain | Scores, semiring: Semiring = LOG, *, alone: bool = False
) -> str:
    """Returns the backend, ``"auto"`` resolved for the device that JAX computes on.

    Args:
      backend: a name, or ``"auto"``.
      chain: the chain.
      semiring: what is computed in.
      alone: whether nothing is wanted but the sum over all paths. On a CPU that goes step by step:
        at T = 48,502 and K = 2 it took 0.7 ms, as blocks did, and kept nothing of all steps.
    """
    device = jax.default_backend()
    if alone and backend == "auto" and device == "cpu":
        return "sequential"
    steps, rows, size = chain.sizes
    return decide(backend, steps, rows, size, semiring, device)[0]


def decide(
    backend: str, steps: int, rows: int, size: int, semiring: Semiring, device: str
) -> tuple[str, str]:
    """Returns the backend that a name stands for, and why.

    On a CPU a long loop over few numbers is bound by its steps, and blocks of steps side by side,
    which take K times the arithmetic, pay: in float32 the sum with its gradient took 1.3 ms by 2.9
    at T = 48,502 and K = 2, and 0.4 by 1.4 at T = 2000, four rows and K = 4. For the best path they
    never paid. On other devices a step costs a launch, so all but short chains go in blocks; that
    rule is not measured.
    """
    if backend != "auto":
        return backend, "asked for by name"
    width = f"B * K = {rows * size}"
    if device != "cpu":
        if steps >= 256 and size <= 32:
            return "associative", f"T = {steps} is long, for a device where steps are dear"
        return "sequential", f"T = {steps} is short, or K = {size} is large"
    if semiring is LOG and steps >= 1024 and size <= 8 and rows * size <= 40:
        return "associative", f"T = {steps} is long, and {width} leaves room beside it"
    return "sequential", f"T = {steps} and {width}, on a CPU"
