"""What happens to a gradient on its way through time: pure functions, and their pictures.

- Of any function that runs cells, layers or models: :func:`gradient_flow`, the gradient by every
  state in one backward pass; :func:`influence`, which loss reaches which state, and
  :func:`effective_memory` of it.
- Of a cell: :func:`bptt_terms`, what each step adds to the gradient of the weights;
  :func:`truncation_error`, what truncation leaves out; :func:`jacobian_norms` and
  :func:`lyapunov_exponents` along the :func:`states`; :func:`gates` and their :func:`saturation`.
- Of a run: :func:`clipping_report`.
- Pictures, which need matplotlib: :func:`plot_gradient_flow`, :func:`plot_influence`,
  :func:`plot_saturation`, :func:`plot_truncation_error`.
"""

from jaxseq.diagnostics._bptt import TruncationError, bptt_terms, truncation_error
from jaxseq.diagnostics._clipping import ClippingReport, clipping_report
from jaxseq.diagnostics._gradient_flow import (
    GradientFlow,
    StateGradient,
    effective_memory,
    gradient_flow,
    influence,
)
from jaxseq.diagnostics._plots import (
    plot_gradient_flow,
    plot_influence,
    plot_saturation,
    plot_truncation_error,
)
from jaxseq.diagnostics._saturation import Saturation, gates, saturation
from jaxseq.diagnostics._trajectory import jacobian_norms, lyapunov_exponents, states

__all__ = [
    "ClippingReport",
    "GradientFlow",
    "Saturation",
    "StateGradient",
    "TruncationError",
    "bptt_terms",
    "clipping_report",
    "effective_memory",
    "gates",
    "gradient_flow",
    "influence",
    "jacobian_norms",
    "lyapunov_exponents",
    "plot_gradient_flow",
    "plot_influence",
    "plot_saturation",
    "plot_truncation_error",
    "saturation",
    "states",
    "truncation_error",
]
