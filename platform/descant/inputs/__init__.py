"""What trunks see, from what shards hold."""

from descant.inputs.array import ArrayInput
from descant.inputs.audio import MelInput
from descant.inputs.base import Input, View, inputs
from descant.inputs.front import Front
from descant.inputs.geometry import Geometry
from descant.inputs.image import ImageInput

__all__ = ["ArrayInput", "Front", "Geometry", "ImageInput", "Input", "MelInput", "View", "inputs"]
