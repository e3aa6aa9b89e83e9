"""Recipes: one module a task, from the data to the report. The command line calls these.

:mod:`jaxseq.recipes.language_model` trains a recurrent language model on a text.
"""

from jaxseq.recipes import language_model

__all__ = ["language_model"]
