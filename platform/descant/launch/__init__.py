"""Starts runs: checks a recipe, claims its run folder, and hands it to a runner."""
