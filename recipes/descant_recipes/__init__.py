"""The recipes that ship with Descant: YAML files, which Hydra finds as ``pkg://descant_recipes``."""
