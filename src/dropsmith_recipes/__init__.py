"""Recipes: rows of the papers' tables, each a value with the published numbers beside it."""

from dropsmith_recipes._preset import Certainty, Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.catalogue import RECIPES, find_recipe, is_recipe

__all__ = [
    "RECIPES",
    "Certainty",
    "Preset",
    "PublishedScore",
    "Recipe",
    "find_recipe",
    "is_recipe",
]
