"""What a server in a process of its own needs to know, and how it ends."""

import os
import socket
import sys
import threading
from typing import NamedTuple


class Given(NamedTuple):
    """What the parent passed on.

    Attributes:
        socket: A socket that listens already: its port is the parent's choice.
        token: The one bearer token that is let in.
        folder: An empty folder, which the parent removes.
    """

    socket: socket.socket
    token: str
    folder: str


def given() -> Given:
    """Read it, and end as soon as the parent does, however it ends."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    return Given(
        socket.socket(fileno=int(os.environ["PEER_FD"])),
        os.environ["PEER_TOKEN"],
        os.environ["PEER_FOLDER"],
    )


def end_with_parent() -> None:
    """The parent writes nothing: its end of the pipe closes when it dies."""
    sys.stdin.buffer.read()
    os._exit(0)
