"""Export: a trained checkpoint as a program that needs no Descant."""

from descant.export.export import ENDINGS, Exported, check_target, export

__all__ = ["ENDINGS", "Exported", "check_target", "export"]
