"""Telling an observer: what it raises is logged and stops nothing."""

from __future__ import annotations

import logging

from kb4_async.events import Event, Observer

log = logging.getLogger("kb4_async")


def tell(observer: Observer, event: Event) -> None:
    """Tell an observer."""
    try:
        observer(event)
    except Exception:  # a watcher's bug must not cost an export
        log.exception("on_event failed for %s", type(event).__name__)
