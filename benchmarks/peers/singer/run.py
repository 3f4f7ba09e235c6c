"""``run.py BASE_URL FILE``: all users as Singer messages, one a line, with a singer-sdk tap."""

import json
import os
import sys

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator

TEXTS = (
    "employee_number first_name last_name job_title email phone_number extension "
    "mobile_phone_number location division manager_name manager_email provisioning_guid joined_on "
    "last_sign_in status organization department language comment employee_start_date archived_at "
    "custom_field_1 custom_date_1"
).split()


class Pages(BasePageNumberPaginator):
    """Page by number until a short page."""

    def has_more(self, response):
        return len(response.json()) == 500


class Users(RESTStream):
    """The users."""

    name = "users"
    path = "/users"
    primary_keys = ("id",)
    replication_key = None
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        *(th.Property(name, th.StringType) for name in TEXTS),
        th.Property("phish_prone_percentage", th.NumberType),
        th.Property("current_risk_score", th.NumberType),
        th.Property("provisioning_managed", th.BooleanType),
        th.Property("groups", th.ArrayType(th.IntegerType)),
        th.Property("aliases", th.ArrayType(th.StringType)),
    ).to_dict()

    @property
    def url_base(self):
        return self.config["base_url"]

    @property
    def http_headers(self):
        return {"Authorization": "Bearer benchmark-key"}

    def get_new_paginator(self):
        return Pages(1)

    def get_url_params(self, context, next_page_token):
        return {"page": next_page_token or 1, "per_page": 500}


class TapUsers(Tap):
    """A tap of users alone."""

    name = "tap-users"
    config_jsonschema = th.PropertiesList(th.Property("base_url", th.StringType)).to_dict()

    def discover_streams(self):
        return [Users(self)]


def main(base_url: str, path: str) -> None:
    """Run the tap with its output in a file, as a shell would."""
    told = os.dup(1)
    with open(path, "wb") as file:
        os.dup2(file.fileno(), 1)
        TapUsers(config={"base_url": base_url}).sync_all()
        sys.stdout.flush()
    os.dup2(told, 1)
    with open(path, "rb") as file:
        rows = sum(b'"RECORD"' in line[:40] for line in file)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
