"""The contract of cells, as a public list of checks: run it on a cell of your own."""

from jaxseq.testing._contract import CHECKS, check_cell
from jaxseq.testing._example import random_example

__all__ = ["CHECKS", "check_cell", "random_example"]
