"""The API's description as a page: one HTML document without scripts, that a browser's own search goes through.

Made of the OpenAPI document alone, so that it says neither more nor less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

import orjson

CODE = re.compile(r"`([^`]+)`")
# No password: whoever sends the example as it is, is refused.
EXAMPLES = {
    "password": "",
    "date-time": "2026-11-21T22:34:05Z",
    "date": "2026-11-21",
    "uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
}
EXAMPLE_OF = {"org": "default", "progress": 0.5}
KINDS = {"date-time": "time", "date": "date", "uuid": "UUID", "uri": "URL", "password": "password"}
SERVER = "http://127.0.0.1:8080"

STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --faint: #60646c; --line: #d9dce1; --back: #fff; --shade: #f5f6f8;
  --link: #0b5cad; --get: #1a6b3c; --post: #8a4b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --faint: #9ba1a9; --line: #363b42; --back: #15181c;
  --shade: #1e2227; --link: #78b4f5; --get: #5fce8e; --post: #f0ab57; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
nav { position: fixed; inset: 0 auto 0 0; width: 19rem; overflow-y: auto; padding: 1.25rem 1rem 3rem; background: var(--shade);
  border-right: 1px solid var(--line); font-size: 13px; }
nav strong { font-size: 16px; }
nav h2 { margin: 1.25rem 0 .25rem; font-size: 12px; color: var(--faint); font-weight: 600; }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li { display: flex; gap: .5rem; }
nav li a { overflow-wrap: anywhere; }
main { max-width: 62rem; margin-left: 19rem; padding: 1.5rem 2.5rem 6rem; }
h1 { margin: 0; font-size: 26px; }
h2.tag { margin: 3rem 0 0; font-size: 20px; }
h3 { margin: 0; font-size: 15px; overflow-wrap: anywhere; }
h4 { margin: 1rem 0 .25rem; font-size: 12px; color: var(--faint); font-weight: 600; }
section.operation, section.schema { margin-top: 1rem; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: 6px; }
section:target { border-color: var(--link); }
.method { flex: none; width: 2.6rem; font: 600 12px/1.8 ui-monospace, monospace; color: var(--get); }
.method.post { color: var(--post); }
h3 .method { display: inline-block; font-size: 13px; }
.faint, .kind { color: var(--faint); }
p { margin: .25rem 0; }
table { width: 100%; border-collapse: collapse; }
td { padding: .2rem .75rem .2rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td:first-child { width: 14rem; overflow-wrap: anywhere; }
pre { margin: .25rem 0 0; padding: .6rem .8rem; background: var(--shade); border-radius: 4px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media (max-width: 60rem) { nav { position: static; width: auto; border-right: 0; } main { margin-left: 0; padding: 1rem; } }
"""


def write_page(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    return "".join(_Page(document).written())


class _Page:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._operations: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {
            tag["name"]: [] for tag in document["tags"]
        }
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                self._operations[operation["tags"][0]].append((method.upper(), path, operation))

    def written(self) -> Iterator[str]:
        info = self._document["info"]
        server = next((it["url"] for it in self._document.get("servers", ())), SERVER)
        yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield f"<title>{escape(info['title'])} API</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        yield from self._contents()
        yield f'<main>\n<h1 id="top">{escape(info["title"])} API</h1>\n<p class="faint">{escape(info["version"])} · '
        yield '<a href="/openapi.json">openapi.json</a></p>\n'
        yield from _prose(info["description"])
        yield f"<pre>SERVER={escape(server)} TOKEN=jl_…</pre>\n"
        for tag in self._document["tags"]:
            name = tag["name"]
            yield f'<h2 class="tag" id="{_anchor(name)}">{escape(name)}</h2>\n'
            yield f'<p class="faint">{escape(tag["description"])}</p>\n'
            for method, path, operation in self._operations[name]:
                yield from self._operation(method, path, operation)
        yield '<h2 class="tag" id="documents">Documents</h2>\n'
        for name, schema in sorted(self._document["components"]["schemas"].items()):
            yield f'<section class="schema" id="schema-{escape(name)}">\n<h3>{escape(name)}</h3>\n'
            yield from self._shown(schema)
            yield "</section>\n"
        yield "</main>\n</body>\n</html>\n"

    def _contents(self) -> Iterator[str]:
        yield '<nav aria-label="Contents">\n<strong><a href="#top">Job Ledger</a></strong>\n'
        for tag, operations in self._operations.items():
            yield f'<h2><a href="#{_anchor(tag)}">{escape(tag)}</a></h2>\n<ul>\n'
            for method, path, operation in operations:
                short = path.removeprefix("/ledger/v1/{org}/")
                yield f'<li>{_method(method)}<a href="#{operation["operationId"]}">{escape(short)}</a></li>\n'
            yield "</ul>\n"
        yield '<h2><a href="#documents">Documents</a></h2>\n</nav>\n'

    def _operation(self, method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
        name = operation["operationId"]
        yield f'<section class="operation" id="{name}">\n'
        yield f'<h3>{_method(method)} <a href="#{name}"><code>{escape(path)}</code></a></h3>\n'
        yield f"<p>{_inline(operation['summary'])}</p>\n"
        yield from _prose(operation.get("description", ""))
        parameters = [self._target(it) for it in operation.get("parameters", ())]
        for where, heading in (("path", "Path"), ("query", "Query"), ("header", "Headers")):
            rows = [
                (
                    it["name"],
                    self._kind(it["schema"]),
                    _inline(it.get("description") or it["schema"].get("description", "")),
                )
                for it in parameters
                if it["in"] == where
            ]
            yield from _table(heading, rows)
        body = operation.get("requestBody")
        if body is not None:
            yield from self._body(body)
        yield from self._answers(operation["responses"])
        yield f"<pre>{escape(self._curl(method, path, operation))}</pre>\n</section>\n"

    def _body(self, body: Mapping[str, Any]) -> Iterator[str]:
        kinds: dict[bytes, tuple[Mapping[str, Any], list[str]]] = {}
        for media_type, it in body["content"].items():
            schema = {key: value for key, value in it["schema"].items() if key != "xml"}
            kinds.setdefault(orjson.dumps(schema), (schema, []))[1].append(media_type)
        for shown, media_types in kinds.values():
            needed = "" if body["required"] else ", may be absent"
            yield f'<h4>Body <span class="faint">{", ".join(map(escape, media_types))}{needed}</span></h4>\n'
            yield from self._shown(shown)

    def _answers(self, responses: Mapping[str, Any]) -> Iterator[str]:
        rows = []
        for status, response in responses.items():
            response = self._target(response)
            kinds: dict[str, list[str]] = {}
            for media_type, it in response.get("content", {}).items():
                kinds.setdefault(self._kind(it["schema"]), []).append(media_type)
            told = "; ".join(
                kind if status[0] != "2" else f'{kind} <span class="faint">{", ".join(map(escape, media_types))}</span>'
                for kind, media_types in kinds.items()
            )
            heads = [it for it in response.get("headers", {}) if it != "X-Request-Id"]
            with_heads = f' <span class="faint">with {", ".join(map(escape, heads))}</span>' if heads else ""
            rows.append((status, f"{_inline(response['description'])}{with_heads}", told))
        yield from _table("Answers", rows)

    def _shown(self, schema: Mapping[str, Any]) -> Iterator[str]:
        if "properties" not in schema:
            kind = self._kind(schema)
            yield f"<p>{kind}</p>\n"
            yield from _prose(schema.get("description", ""))
            return
        yield from _prose(schema.get("description", ""))
        needed = set(schema.get("required", ()))
        rows = [
            (
                name,
                self._kind(it) + ("" if name in needed else ' <span class="faint">may be absent</span>'),
                _inline(it.get("description", "")),
            )
            for name, it in schema["properties"].items()
        ]
        if rows:
            yield from _table("", rows)
        else:
            yield "<p>An object without members.</p>\n"

    def _target(self, it: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in it:
            return it
        target: Any = self._document
        for word in it["$ref"].removeprefix("#/").split("/"):
            target = target[word]
        return target  # type: ignore[no-any-return]  # the document is of plain values

    def _kind(self, schema: Mapping[str, Any]) -> str:
        """What a schema takes, in a few words of HTML."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(map(self._kind, schema["anyOf"])))
        types = schema.get("type", "anything")
        if isinstance(types, list):
            return " or ".join(self._kind({**schema, "type": it, "enum": [w for w in schema.get("enum", ()) if w is not None]})
                               if it != "null" else "null" for it in types)  # fmt: skip
        if schema.get("enum"):
            return " | ".join(f"<code>{escape(str(it))}</code>" for it in schema["enum"])
        match types:
            case "array":
                return f"list of {self._kind(schema['items'])}{_bounds(schema, 'minItems', 'maxItems', '')}"
            case "object" if "properties" in schema:
                members = (f"{escape(name)}: {self._kind(it)}" for name, it in schema["properties"].items())
                return f"{{ {', '.join(members)} }}"
            case "object" if isinstance(schema.get("additionalProperties"), Mapping):
                return (
                    f"object of {self._kind(schema['additionalProperties'])}{_bounds(schema, '', 'maxProperties', '')}"
                )
            case "string":
                kind = KINDS.get(schema.get("format", ""), "string")
                return f"{kind}{_bounds(schema, 'minLength', 'maxLength', ' characters')}"
            case "integer" | "number":
                return f"{types}{_bounds(schema, 'minimum', 'maximum', '')}"
        return str(types)

    def _curl(self, method: str, path: str, operation: Mapping[str, Any]) -> str:
        parameters = {it["name"]: it["schema"] for it in map(self._target, operation.get("parameters", ()))}
        for name in re.findall(r"\{(\w+)\}", path):
            path = path.replace(f"{{{name}}}", quote(str(self._example(name, parameters[name]))))
        words = ["curl", f'"$SERVER{path}"']
        if operation["security"]:
            scheme = self._document["components"]["securitySchemes"][next(iter(operation["security"][0]))]
            word = scheme.get("scheme", "bearer").capitalize()
            words.append(f"-H 'Authorization: {word} '\"$TOKEN\"")
        if (body := operation.get("requestBody")) is not None:
            media_type, it = next(iter(body["content"].items()))
            text = orjson.dumps(self._example("", it["schema"])).decode().replace("'", "'\\''")
            if media_type == "application/json":
                words.append(f"--json '{text}'" if body["required"] else "-X POST")
            else:
                words.append(f"-H 'Content-Type: {media_type}' --data-binary '{text.strip('[]')}'")
        elif method == "POST":
            words.append("-X POST")
        return " ".join(words)

    def _example(self, name: str, schema: Mapping[str, Any]) -> Any:
        schema = self._target(schema)
        if "examples" in schema:
            return schema["examples"][0]
        if name in EXAMPLE_OF:
            return EXAMPLE_OF[name]
        if "anyOf" in schema:
            return self._example(name, schema["anyOf"][0])
        if schema.get("enum"):
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                needed = schema.get("required", ())
                return {it: self._example(it, schema["properties"][it]) for it in needed}
            case "array":
                return [self._example(name, schema["items"])]
            case "integer" | "number":
                return max(schema.get("minimum", 1), 1)
        return EXAMPLES.get(schema.get("format", ""), name or "text")


def _bounds(schema: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    lowest, highest = schema.get(least), schema.get(most)
    if lowest is None and highest is None:
        return ""
    if lowest is None:
        return f", at most {highest}{unit}"
    return f", at least {lowest}{unit}" if highest is None else f", {lowest} to {highest}{unit}"


def _table(heading: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Of names, which are texts, and what is said of each, which is HTML."""
    listed = list(rows)
    if not listed:
        return
    yield f"<h4>{heading}</h4>\n<table>\n" if heading else "<table>\n"
    for name, kind, told in listed:
        yield f"<tr><td><code>{escape(name)}</code></td><td>{kind}{f'<br>{told}' if told else ''}</td></tr>\n"
    yield "</table>\n"


def _prose(text: str) -> Iterator[str]:
    for paragraph in filter(None, text.split("\n\n")):
        lines = paragraph.replace("\n  ", " ").split("\n")
        if lines[0].startswith("- "):
            yield "<ul>\n"
            yield from (f"<li>{_inline(it.removeprefix('- '))}</li>\n" for it in lines if it)
            yield "</ul>\n"
        else:
            yield f"<p>{_inline(paragraph)}</p>\n"


def _inline(text: str) -> str:
    return CODE.sub(r"<code>\1</code>", escape(text))


def _method(method: str) -> str:
    return f'<span class="method {method.lower()}">{method}</span>'


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name)
