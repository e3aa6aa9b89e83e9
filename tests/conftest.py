"""What holds in every test: strict dtype promotion, no rank promotion, typed calls, quick compiles.

The tests compile a thousand small programs and run each once, so XLA is asked for code quickly
rather than for quick code. Values do not depend on it; what does (memory, loop bodies) is looked at
in the optimised program, which these flags leave alone.

Where the CPU kernels are installed they are left alone too, but by tests that take `with_kernels`:
what runs on which loop would otherwise depend on the machine.
"""

import functools
import os
from pathlib import Path

import jaxlib.version

FLAGS = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    # A program of a few lines is one piece: a sixth of the compile time, and half of its maps.
    "--xla_cpu_parallel_codegen_split_count=1",
]
if jaxlib.version.__version_info__ < (0, 11):
    # A quarter of the compile time; later versions do not know the flag, and abort.
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([*FLAGS, os.environ.get("XLA_FLAGS", "")])
os.environ["JAXSEQ_NATIVE"] = "0"

import jax  # noqa: E402  the flags are read when the first device is
import jaxtyping  # noqa: E402
import pytest  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_traceback_in_locations_limit", 0)  # no file and line in what is compiled


if hasattr(mlir, "make_ir_context"):
    # JAX has no name for it: it makes a context, of ten dialects, for every program that it lowers.
    # One for all is half the time of lowering; a module of tests begins with a new one.
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)


MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000
"""Linux gives a process 65530 of them by default, and XLA crashes where it gets no more."""


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Lets compiled programs, which are maps of memory, go before they are too many."""
    yield
    if hasattr(mlir, "make_ir_context"):
        mlir.make_ir_context.cache_clear()
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def untyped():
    """Switches the run-time type checks off, so that an error of ours is the one that is seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def x64():
    """Runs the test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def with_kernels():
    """Takes the kernels, which other tests leave alone."""
    from kernels import forget  # brings jaxseq with it, which is imported by tests alone

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAXSEQ_NATIVE")
        forget()
        yield
    forget()
