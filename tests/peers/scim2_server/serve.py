"""Serves scim2-server with KnowBe4's extension: ``python -m peers.scim2_server.serve``."""

import json
from pathlib import Path

import uvicorn
from peers.child import given
from scim2_models import Schema, SchemaExtension, ScimProvider, UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication, Message, Receive, Scope, Send
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

KMSAT = json.loads((Path(__file__).parents[1] / "kmsat.json").read_text())


def provider() -> ScimProvider:
    """Users with both extensions, and groups."""
    schemas = load_default_schemas()
    schemas[KMSAT["id"]] = Schema.model_validate(KMSAT)
    kinds = load_default_resource_types()
    kinds["User"].schema_extensions = [
        *(kinds["User"].schema_extensions or []),
        SchemaExtension.model_validate({"schema": KMSAT["id"], "required": False}),
    ]
    return ScimProvider.from_discovery(
        schemas.values(), kinds.values(), config=load_default_service_provider_config()
    )


class Application(ASGIApplication):
    """Lets one token in; ``POST /reset`` empties it."""

    token: str

    def check_auth(self, request: ScimRequest) -> None:
        if request.header("Authorization") != f"Bearer {self.token}":
            raise UnauthorizedException

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/reset":
            await super().__call__(scope, receive, send)
            return
        self.handler.storage = self.storage = AsyncInMemoryStorage()
        start: Message = {"type": "http.response.start", "status": 204, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve until the parent ends."""
    told = given()
    app = Application(AsyncInMemoryStorage(), provider())
    app.token = told.token
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_keep_alive=600
    )
    uvicorn.Server(config).run(sockets=[told.socket])


if __name__ == "__main__":
    main()
