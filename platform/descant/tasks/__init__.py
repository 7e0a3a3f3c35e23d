"""The task contract and the ready kinds of task; tasks themselves live in other packages."""

from descant.tasks.attributes import BinaryAttributes
from descant.tasks.base import Task, register_task, tasks
from descant.tasks.classification import Classification
from descant.tasks.contrastive import Contrastive
from descant.tasks.labels import BadLabel
from descant.tasks.landmarks import Landmarks
from descant.tasks.masked import MaskedReconstruction
from descant.tasks.metrics import Metric
from descant.tasks.own_views import FrameOrder, Jigsaw, Rotation
from descant.tasks.reconstruction import Reconstruction
from descant.tasks.regression import Regression

__all__ = [
    "BadLabel",
    "BinaryAttributes",
    "Classification",
    "Contrastive",
    "FrameOrder",
    "Jigsaw",
    "Landmarks",
    "MaskedReconstruction",
    "Metric",
    "Reconstruction",
    "Regression",
    "Rotation",
    "Task",
    "register_task",
    "tasks",
]
