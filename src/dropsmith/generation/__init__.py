"""Generation: sequences that a model writes under noise, and the likelihood of given ones."""

from dropsmith.generation.likelihood import Likelihood, likelihood
from dropsmith.generation.run_generate import generate
from dropsmith.generation.sequences import Generation

__all__ = ["Generation", "Likelihood", "generate", "likelihood"]
