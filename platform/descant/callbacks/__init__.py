"""Callbacks: what hears of a run's start, end and losses, such as a web hook."""

from descant.callbacks.base import Callback, Event, Kind, callbacks, register_callback
from descant.callbacks.build import build_callbacks
from descant.callbacks.notices import Notices
from descant.callbacks.webhook import Webhook

__all__ = ["Callback", "Event", "Kind", "Notices", "Webhook", "build_callbacks", "callbacks", "register_callback"]
