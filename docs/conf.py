"""How the documentation is built: ``make docs``. Nothing is fetched, and every warning is an error.

The pages are plain Markdown that also reads well where no site is built: whatever only the site
needs (navigation, where the names of the reference live) stands here.
"""

import asyncio
import builtins
import ssl
from collections.abc import Iterable
from pkgutil import resolve_name

import aiohttp
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import kb4_async
from kb4_async.export import accounts
from kb4_async.reporting import client
from kb4_async.scim import client as scim_client

# These are named in signatures but imported for type checkers alone.
for module in (client, scim_client, accounts):
    vars(module).update(aiohttp=aiohttp, ssl_module=ssl)

project = "kb4_async"
version = release = kb4_async.__version__
project_copyright = "The kb4_async maintainers. MIT license"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True

#: The navigation: heading, then pages. A page that stands nowhere here fails the build.
NAVIGATION = {
    "Learn": ["tutorial"],
    "How to": [
        "how-to/plan",
        "how-to/interruptions",
        "how-to/nightly",
        "how-to/quota",
        "how-to/services",
        "how-to/cancellation-and-time-limits",
        "how-to/proxies",
        "how-to/many-accounts",
        "how-to/warehouse",
        "how-to/identity",
        "how-to/sinks",
        "how-to/scim-new-hires",
        "how-to/scim-offboarding",
        "how-to/scim-moving",
        "how-to/scim-okta-entra",
        "testing",
    ],
    "Explanation": [
        "explanation/limits",
        "explanation/ledger",
        "explanation/paging-and-proof",
        "explanation/drift",
        "explanation/performance",
    ],
    "Reference": [
        "reference/command",
        "reference/library",
        "reference/export",
        "reference/endpoints",
        "reference/scim",
        "reference/scim-input",
        "reference/errors",
        "reference/events",
        "reference/api/index",
    ],
}

API_PAGES = [
    "client",
    "nouns",
    "listings",
    "records",
    "options",
    "errors",
    "events",
    "export",
    "scim",
    "sinks",
    "testing",
]

# Markdown

myst_heading_anchors = 3
highlight_language = "none"  # a block without a language is what a program printed

# The reference, generated from docstrings

autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
default_role = "code"  # docstrings of kb4_async.testing write names between single backticks

# Pages

html_theme = "furo"
html_title = f"kb4_async {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "tango"

#: Members of public classes that are for the library itself. Whatever is not named here and has a
#: docstring is in the reference, so that nothing new is forgotten.
INTERNAL = {
    "AccountNoun.page",
    "ChangeGuard.find_age",
    "ChangeGuard.find_reasons",
    "DriftRule.runs",
    "DriftScript.answered",
    "ExportReport.write",
    "FanOut.open_stream",
    "FaultRule.fits",
    "FaultRule.plays",
    "FaultScript.pick",
    "GroupSource.assemble",
    "GroupsNoun.bring",
    "GroupsNoun.call",
    "GroupsNoun.change_members",
    "GroupsNoun.ensure_one",
    "GroupsNoun.find_or_create",
    "GroupsNoun.post",
    "GroupsNoun.resolve",
    "JsonLinesSink.failed",
    "JsonLinesSink.opened",
    "JsonLinesSink.rehash",
    "Limits.stack",
    "PlannedChange.phase",
    "RequestLog.add",
    "ResourceReport.kept",
    "ResourceReport.to_keep",
    "ScimIterator.incomplete",
    "ScimIterator.read",
    "ScimIterator.turn_page",
    "ScimUser.of_fields",
    "ScimUser.of_resource",
    "Simulator.answer",
    "Simulator.decide",
    "Simulator.handle",
    "Simulator.idle",
    "Simulator.judge",
    "Simulator.note",
    "Simulator.serve",
    "Simulator.write_down",
    "Source.assemble",
    "Source.batches",
    "UserSource.assemble",
    "UsersNoun.call",
    "UsersNoun.read",
    "UsersNoun.set_active",
    "VirtualClockEventLoop.run_in_executor",
    "VirtualClockEventLoop.shutdown_default_executor",
    "VirtualClockEventLoop.thread_is_back",
}


#: What nobody makes by hand: what its constructor takes is of no use to a reader.
MADE_BY_THE_LIBRARY = {"DerivedMembers", "FanOut"}


def skip_internal(
    _app: Sphinx, _kind: str, _name: str, value: object, _skip: object, _options: object
) -> bool | None:
    """Leave out what is for the library itself."""
    name = getattr(getattr(value, "fget", value), "__qualname__", "")
    return True if name in INTERNAL else None


def tidy_docstring(
    _app: Sphinx, kind: str, name: str, _value: object, _options: object, lines: list[str]
) -> None:
    """Say no more than a reader can use, before napoleon reads the docstring."""
    if kind in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # else "Resume token: where ..." is taken for a type and a text
    elif name.rpartition(".")[2] in MADE_BY_THE_LIBRARY and "Args:" in lines:
        del lines[lines.index("Args:") :]


def name_without_link(
    _app: Sphinx, _env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Show names that exist but are not documented here: Python's, aiohttp's, our internal ones.

    Their inventories cannot be fetched where the site is built offline. A name that does not exist
    stays a warning, hence an error.
    """
    if node.get("refdomain") == "py" and exists(node["reftarget"]):
        return text
    return None


def exists(name: str) -> bool:
    """Whether there is such an object: by its whole path, or in one of the modules meant."""
    if any(hasattr(module, name) for module in (builtins, asyncio)):
        return True
    try:
        resolve_name(name)
    except (AttributeError, ImportError, ValueError):
        return False
    return True


def add_navigation(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the front page the site's navigation; its list of links is for everybody else."""
    if docname == "index":
        source[0] += "".join(toctree(f":caption: {name}", NAVIGATION[name]) for name in NAVIGATION)
    elif docname == "reference/api/index":
        source[0] += toctree("", API_PAGES)


def toctree(option: str, pages: Iterable[str]) -> str:
    """A part of the navigation, in the words of the Markdown parser."""
    return "\n".join(["", "```{toctree}", ":hidden:", option, "", *pages, "```", ""])


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", add_navigation)
    app.connect("autodoc-skip-member", skip_internal)
    app.connect("autodoc-process-docstring", tidy_docstring, priority=400)  # napoleon has 500
    app.connect("missing-reference", name_without_link)
