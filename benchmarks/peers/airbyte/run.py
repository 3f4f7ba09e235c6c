"""``run.py BASE_URL FILE``: all users to JSON lines with airbyte-cdk's low-code source.

The records of its messages are written with orjson.
"""

import json
import logging
import sys

import orjson
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}},
    "additionalProperties": True,
}
CATALOG = {
    "streams": [
        {
            "stream": {
                "name": "users",
                "json_schema": SCHEMA,
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}


def manifest(base_url: str) -> dict:
    """The low-code connector."""
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["users"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "users",
                "primary_key": ["id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": base_url,
                        "path": "users",
                        "http_method": "GET",
                        "authenticator": {
                            "type": "BearerAuthenticator",
                            "api_token": "benchmark-key",
                        },
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": []},
                    },
                    "paginator": {
                        "type": "DefaultPaginator",
                        "page_token_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "page",
                        },
                        "page_size_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "per_page",
                        },
                        "pagination_strategy": {
                            "type": "PageIncrement",
                            "page_size": 500,
                            "start_from_page": 1,
                            "inject_on_first_request": True,
                        },
                    },
                },
            }
        ],
        "spec": {
            "type": "Spec",
            "connection_specification": {"type": "object", "properties": {}},
        },
    }


def main(base_url: str, path: str) -> None:
    """Read the stream."""
    catalog = ConfiguredAirbyteCatalogSerializer.load(CATALOG)
    source = ConcurrentDeclarativeSource(
        catalog=catalog, config={}, state=[], source_config=manifest(base_url)
    )
    rows = 0
    with open(path, "wb") as file:
        for message in source.read(logging.getLogger("airbyte"), {}, catalog, []):
            if message.type is Type.RECORD:
                file.write(orjson.dumps(message.record.data) + b"\n")
                rows += 1
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
