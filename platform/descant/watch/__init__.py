"""How runs stand, read from their folders."""

from descant.watch.overview import Overview, RunState, RunWatch, run_folders

__all__ = ["Overview", "RunState", "RunWatch", "run_folders"]
