"""What a PATCH makes of a resource. Nothing here changes what it is given."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from kb4_async.testing.scim.bodies import (
    Resource,
    ScimRefusalError,
    invalid_syntax,
    invalid_value,
)
from kb4_async.testing.scim.paths import Path, parse_path
from kb4_async.testing.scim.spelling import PATCH_OP, READ_ONLY, get, respelled

OPS = frozenset({"add", "replace", "remove"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a PATCH, its path still to be read."""

    op: str
    path: str | None
    value: Any


def operations(body: object) -> list[Operation]:
    """Return the operations of a PatchOp; what is no PatchOp is refused."""
    if not isinstance(body, dict):
        raise invalid_syntax("The request body must be a JSON object.")
    schemas, listed = get(body, "schemas"), get(body, "Operations")
    if not isinstance(schemas, list) or PATCH_OP not in schemas:
        raise invalid_syntax(f"A PATCH must name the schema {PATCH_OP}.")
    if not isinstance(listed, list) or not listed:
        raise invalid_syntax("A PATCH must hold Operations.")
    return [operation(each) for each in listed]


def operation(body: object) -> Operation:
    """Return one operation."""
    op = get(body, "op") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(op, str) or op.casefold() not in OPS:
        raise invalid_syntax(f"{op!r} is not an operation: add, replace or remove is.")
    path, value = get(body, "path"), get(body, "value")
    if op.casefold() == "remove" and path is None:
        raise ScimRefusalError(400, "A remove operation needs a path.", "noTarget")
    if path is None and not isinstance(value, dict):
        raise invalid_value("Without a path the value must be an object.")
    return Operation(op.casefold(), path, value)


def patched(document: Resource, todo: Iterable[Operation]) -> Resource:
    """Return what a resource becomes."""
    after = deepcopy(document)
    for each in todo:
        apply(after, each)
    return after


def apply(document: Resource, todo: Operation) -> None:
    """Change a resource in place."""
    if todo.path is None:
        for name, value in todo.value.items():
            path = parse_path(name)
            if path.extension is not None or path.name not in READ_ONLY:  # Okta sends the id along
                act(document, Operation(todo.op, name, value), path)
        return
    path = parse_path(todo.path)
    if path.extension is None and path.name in READ_ONLY:
        raise ScimRefusalError(400, f"{path.name} is read-only.", "mutability")
    act(document, todo, path)


def act(document: Resource, todo: Operation, path: Path) -> None:
    """Do one operation at its path."""
    todo = Operation(todo.op, todo.path, respelled(todo.value))
    if path.extension is None:
        alter(document, path, todo)
    elif not path.name:
        put(document, path.extension, todo)
    else:
        block = document.setdefault(path.extension, {})
        if not isinstance(block, dict):
            raise invalid_value(f"{path.extension} is an object.")
        alter(block, path, todo)
        if not block:
            del document[path.extension]


def alter(holder: Resource, path: Path, todo: Operation) -> None:
    """Do one operation in the object that holds the attribute."""
    if path.chosen is not None:
        alter_chosen(holder, path, todo)
    elif path.sub is None:
        put(holder, path.name, todo)
    else:
        part = holder.setdefault(path.name, {})
        if not isinstance(part, dict):
            raise ScimRefusalError(400, f"{path.name} has no part of its own.", "invalidPath")
        put(part, path.sub, todo)
        if not part:
            del holder[path.name]


def alter_chosen(holder: Resource, path: Path, todo: Operation) -> None:
    """Do one operation on those elements of a list that the path's filter chooses."""
    held = holder.get(path.name, [])
    if not isinstance(held, list):
        raise ScimRefusalError(400, f"{path.name} is no list.", "invalidPath")
    elements = [each for each in held if isinstance(each, dict)]
    chosen = [each for each in elements if any(one.fits(each) for one in path.chosen or ())]
    if not chosen:
        if todo.op != "add":
            raise ScimRefusalError(400, f"Nothing fits {todo.path}.", "noTarget")
        chosen = [{one.name: one.value for one in path.chosen or ()}]
        elements += chosen
    for each in chosen:
        if path.sub is not None:
            put(each, path.sub, todo)
        elif todo.op == "remove" or todo.value is None:
            elements = [other for other in elements if other is not each]
        elif isinstance(todo.value, dict):
            each.update(todo.value)
        else:
            raise invalid_value(f"{todo.path} takes an object.")
    put(holder, path.name, Operation("replace", None, elements))


def put(holder: Resource, name: str, todo: Operation) -> None:
    """Do one operation on a whole attribute: null and [] clear, objects are merged."""
    value, before = todo.value, holder.get(name)
    if todo.op == "remove":
        value = None
    elif isinstance(before, dict) and isinstance(value, dict):
        value = {**before, **value}
    elif todo.op == "add" and isinstance(before, list):
        new = value if isinstance(value, list) else [value]
        value = before + [each for each in new if each not in before]
    if value is None or value in ([], {}):
        holder.pop(name, None)
    else:
        holder[name] = value
