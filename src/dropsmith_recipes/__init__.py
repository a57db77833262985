"""Recipes: rows of the papers' tables, each a value with the published numbers beside it."""

from dropsmith_recipes._preset import Certainty, Preset, Published
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.find import RECIPES, find_recipe, is_recipe

__all__ = [
    "RECIPES",
    "Certainty",
    "Preset",
    "Published",
    "Recipe",
    "find_recipe",
    "is_recipe",
]
