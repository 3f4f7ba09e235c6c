// Serves scimmy from memory. Started by tests/support/scim_servers.py, which passes a listening
// socket, the token, and a standard input that ends when it does.
//
// IGNORE_FILTER=1: every filter matches every resource.
// DELETE_ARCHIVES=1: DELETE of a user makes it inactive, and keeps its userName taken.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const { PEER_FD, PEER_TOKEN, IGNORE_FILTER, DELETE_ARCHIVES } = process.env;
const { Attribute, Error: Refusal, Schema, SchemaDefinition } = SCIMMY.Types;

const kmsat = JSON.parse(readFileSync(new URL("../kmsat.json", import.meta.url), "utf8"));

class Kmsat extends Schema {
    static #definition = new SchemaDefinition(
        "KnowBe4User", kmsat.id, kmsat.description,
        kmsat.attributes.map(({ name, type }) => new Attribute(type, name)),
    );

    static get id() {
        return Kmsat.#definition.id;
    }

    static get definition() {
        return Kmsat.#definition;
    }

    constructor(resource, direction = "both", basepath, filters) {
        super(resource, direction);
        Object.assign(this, Kmsat.#definition.coerce(resource, direction, basepath, filters));
    }
}

class Store {
    rows = new Map();
    ids = new Map(); // of the unique key

    constructor(key) {
        this.key = key;
    }

    clear() {
        this.rows.clear();
        this.ids.clear();
    }

    find(id) {
        const row = this.rows.get(id);
        if (!row) throw new Refusal(404, null, `Resource ${id} not found`);
        return row;
    }

    read(resource) {
        if (resource.id) return this.find(resource.id);
        const all = [...this.rows.values()];
        return resource.filter && IGNORE_FILTER !== "1" ? resource.filter.match(all) : all;
    }

    write(resource, data) {
        const old = resource.id ? this.find(resource.id) : undefined;
        const id = old?.id ?? randomUUID();
        const key = this.key?.(data);
        if (key !== undefined && (this.ids.get(key) ?? id) !== id) {
            throw new Refusal(409, "uniqueness", `userName ${data.userName} already exists`);
        }
        const now = new Date().toISOString();
        const row = JSON.parse(JSON.stringify(data));
        row.id = id;
        row.meta = { created: old?.meta.created ?? now, lastModified: now };
        if (old && this.key) this.ids.delete(this.key(old));
        if (key !== undefined) this.ids.set(key, id);
        this.rows.set(id, row);
        return row;
    }

    remove(id) {
        const row = this.find(id);
        if (this.key) this.ids.delete(this.key(row));
        this.rows.delete(id);
    }
}

const users = new Store((user) => user.userName.toLowerCase());
const groups = new Store();

SCIMMY.Resources.declare(
    SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false).extend(Kmsat, false),
    {
        ingress: (resource, data) => users.write(resource, data),
        egress: (resource) => users.read(resource),
        degress: ({ id }) => {
            if (DELETE_ARCHIVES === "1") users.find(id).active = false;
            else users.remove(id);
        },
    },
);
SCIMMY.Resources.declare(SCIMMY.Resources.Group, {
    ingress: (resource, data) => groups.write(resource, data),
    egress: (resource) => groups.read(resource),
    degress: ({ id }) => groups.remove(id),
});

const app = express();
app.post("/reset", (_, response) => {
    users.clear();
    groups.clear();
    response.status(204).end();
});
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${PEER_TOKEN}`) {
            throw new Error("Authorization not detected!");
        }
        return "tests";
    },
    baseUri: (request) => `${request.protocol}://${request.get("host")}`,
}));

const server = app.listen({ fd: Number(PEER_FD) });
server.keepAliveTimeout = 600_000; // connections are dropped by the tests alone
process.stdin.on("end", () => process.exit(0)).resume();
