"""Hidden Markov models: states that follow a Markov chain, seen through what they emit.

Inference takes logarithms: ``log_initial`` ``[K]``, ``log_transition`` ``[K, K]``, and ``log_obs``
``[*batch, T, K]``, what each step's observation says of each state. That comes from an
:class:`Emission`, such as :func:`categorical`, :func:`gaussian` and :func:`poisson`, whose
parameters :func:`fit` and :func:`fit_gradient` learn, or from any network.
"""

from jaxseq.structured.hmm._categorical import CategoricalParams, categorical
from jaxseq.structured.hmm._decode import sample, viterbi
from jaxseq.structured.hmm._emission import Emission
from jaxseq.structured.hmm._fit import fit
from jaxseq.structured.hmm._gaussian import gaussian
from jaxseq.structured.hmm._gaussian_diagonal import GaussianParams
from jaxseq.structured.hmm._gaussian_full import FullGaussianParams
from jaxseq.structured.hmm._gradient import fit_gradient
from jaxseq.structured.hmm._inference import (
    Filtered,
    Smoothed,
    filter,
    log_likelihood,
    pairwise,
    predict,
    smooth,
)
from jaxseq.structured.hmm._model import HMM, Prior, init, simulate
from jaxseq.structured.hmm._poisson import PoissonParams, poisson
from jaxseq.structured.hmm._restarts import Fit, Restart

__all__ = [
    "CategoricalParams",
    "Emission",
    "Filtered",
    "Fit",
    "FullGaussianParams",
    "GaussianParams",
    "HMM",
    "PoissonParams",
    "Prior",
    "Restart",
    "Smoothed",
    "categorical",
    "filter",
    "fit",
    "fit_gradient",
    "gaussian",
    "init",
    "log_likelihood",
    "pairwise",
    "poisson",
    "predict",
    "sample",
    "simulate",
    "smooth",
    "viterbi",
]
