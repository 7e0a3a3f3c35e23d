"""Recipes: from YAML to typed settings."""

from descant.recipe.balance_settings import BALANCE_KEYS, BalanceSettings
from descant.recipe.compose import compose, parse_override
from descant.recipe.data import DataSettings
from descant.recipe.files import shipped_recipes
from descant.recipe.recipe import Recipe, differences, parse_recipe, plugin_names
from descant.recipe.run import RunSettings
from descant.recipe.settings import Component, OptimizerSettings, TrainerSettings
from descant.recipe.task_settings import TaskSettings

__all__ = [
    "BALANCE_KEYS",
    "BalanceSettings",
    "Component",
    "DataSettings",
    "OptimizerSettings",
    "Recipe",
    "RunSettings",
    "TaskSettings",
    "TrainerSettings",
    "compose",
    "differences",
    "parse_override",
    "parse_recipe",
    "plugin_names",
    "shipped_recipes",
]
