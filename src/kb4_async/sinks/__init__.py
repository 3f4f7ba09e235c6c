"""Where pages go: the ``Sink`` protocol and one file a format. A public extension point.

A sink of your own is a class with the four methods of ``Sink``; ``export_account(...,
sink=factory)`` uses it for each dataset.
"""

from kb4_async.sinks.base import Dataset, Position, Sink, SinkFactory
from kb4_async.sinks.jsonlines import JsonLinesSink

__all__ = ["Dataset", "JsonLinesSink", "Position", "Sink", "SinkFactory"]
