"""The service as OpenAPI 3.1 describes it, for those who build one: from the very types that are read and written."""

from __future__ import annotations

from typing import Any

import msgspec

from kahea.modules.http_router.answer import Answer
from kahea.modules.http_router.question import VERSION, Question

_CACHING = (
    "How long the answer holds for calls that have the same `cache_key`: `max-age` or `s-maxage`, and with"
    " `stale-if-error` how much longer it may do if the service fails. Without it, each call is asked about."
)


def description(path: str = "/route") -> dict[str, Any]:
    """The OpenAPI document of a service that answers POST at `path`."""
    (question, answer), schemas = msgspec.json.schema_components(
        [Question, Answer], ref_template="#/components/schemas/{name}"
    )
    responses = {
        "200": {
            "description": "Where the call goes, or how it is refused.",
            "headers": {"Cache-Control": {"description": _CACHING, "schema": {"type": "string"}}},
            "content": {"application/json": {"schema": answer}},
        },
        "4XX": {"description": "The question is not understood; the fallback is used and it is not asked again."},
        "5XX": {"description": "The service fails; 502, 503 and 504 are asked again, as 429 is."},
    }
    headers = {
        "traceparent": "The call's place in a distributed trace (W3C Trace Context).",
        "tracestate": "What comes with it, where the caller sent it.",
        "Idempotency-Key": "The same in each attempt at one question.",
    }
    post = {
        "operationId": "route",
        "summary": "Say where a call goes",
        "parameters": [
            {"name": n, "in": "header", "required": n != "tracestate", "description": d, "schema": {"type": "string"}}
            for n, d in headers.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": question}}},
        "responses": responses,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Call routing for Kahea's http_router", "version": VERSION},
        "paths": {path: {"post": post}},
        "components": {"schemas": schemas},
    }
