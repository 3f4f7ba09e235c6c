"""Serves django-scim2 from sqlite: ``python -m peers.django_scim.serve``."""

import os

import django  # type: ignore[import-untyped]
from django.core.management import call_command  # type: ignore[import-untyped]
from django.core.servers.basehttp import (  # type: ignore[import-untyped]
    ThreadedWSGIServer,
    WSGIRequestHandler,
)
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from peers.child import given


class Handler(WSGIRequestHandler):  # type: ignore[misc]
    """Head and body leave at once, not 40 ms apart."""

    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Requests are the tests' business."""


def main() -> None:
    """Serve until the parent ends."""
    told = given()
    os.environ["DJANGO_SETTINGS_MODULE"] = "peers.django_scim.settings"
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    address = told.socket.getsockname()
    server = ThreadedWSGIServer(address, Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = told.socket
    server.server_name, server.server_port = address
    server.setup_environ()
    server.set_app(get_wsgi_application())
    server.serve_forever()


if __name__ == "__main__":
    main()
