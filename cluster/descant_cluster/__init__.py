"""Descant on Ray: everything of the project that imports ray."""
