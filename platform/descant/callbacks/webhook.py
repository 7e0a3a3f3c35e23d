"""The callback ``webhook``: posts events to a URL."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, get_args

from descant.callbacks.base import Callback, Event, Kind, register_callback
from descant.errors import RunError, UserError, nearest


@register_callback("webhook")
class Webhook(Callback):
    """Posts each event as a JSON object to a URL, which is in no message and no file.

    ``{"event", "run", "folder", "time", "text"}`` and the event's details; ``text`` is what chat programs show.

    Args:
        url: ``${oc.env:NAME}``, since whoever knows it may post: the recipe and the run folder then hold the name.
        events: which kinds are told; none given: all.
        timeout_s: how long an answer is waited for.

    Raises:
        UserError: the URL is none, or there is no such kind of event.
    """

    def __init__(self, url: str, events: list[str] | None = None, timeout_s: float = 10.0) -> None:
        if not url.startswith(("http://", "https://")) or any(not "!" <= sign <= "~" for sign in url):
            raise UserError("callbacks.webhook.url is no http:// or https:// address: give one by ${oc.env:NAME}")
        if not timeout_s > 0:
            raise UserError(f"callbacks.webhook.timeout_s is {timeout_s!r}: give seconds above 0")
        self._url, self._timeout_s = url, timeout_s
        self._events = _checked(events)

    def tell(self, event: Event) -> None:
        """Post an event.

        Raises:
            RunError: nobody took it.
        """
        if self._events is not None and event.kind not in self._events:
            return
        content: dict[str, Any] = {
            "event": event.kind,
            "run": event.run,
            "folder": event.folder,
            "time": event.time_s,
            "text": event.sentence,
            **event.details,
        }
        body = json.dumps(content).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=self._timeout_s).close()
        except urllib.error.HTTPError as error:
            raise RunError(f"the server answered {error.code}") from None
        except Exception as error:  # what it says may hold the address
            raise RunError(f"nobody took it: {type(getattr(error, 'reason', error)).__name__}") from None


def _checked(events: Sequence[str] | None) -> frozenset[str] | None:
    for event in events or []:
        if event not in get_args(Kind):
            raise UserError(f"callbacks.webhook.events names {event!r}: {nearest(event, get_args(Kind))}")
    return None if events is None else frozenset(events)
