"""What goes back to the browser: compressed, and not at all where it has the same already."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from typing import Any

from werkzeug import wrappers

from tbgrad.plugin import answer

METHODS = ("GET", "HEAD")

ASK_AGAIN = "no-cache, must-revalidate"
"""The browser keeps an answer, and asks whether it still holds each time."""

FOR_GOOD = "public, max-age=31536000, immutable"
"""Of addresses that name what is in them."""

COMPRESSION = 3
"""As TensorBoard's own; higher levels take twice the time for a tenth of the size."""

SMALL = 200
"""Bytes that are not worth compressing."""


def etag_of(parts: Iterable[object]) -> str:
    """A tag that changes with any of these."""
    told = "\0".join(part if isinstance(part, str) else repr(part) for part in parts)
    return hashlib.blake2s(told.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def unchanged(request: Any, etag: str) -> Any:
    """The answer to who has what this tag stands for; None for all others."""
    if not request.if_none_match.contains_weak(etag):
        return None
    return wrappers.Response(status=304, headers=_headers(etag, ASK_AGAIN))


def respond(
    request: Any,
    content: bytes,
    content_type: str,
    *,
    code: int = 200,
    etag: str = "",
    caching: str = ASK_AGAIN,
    gzipped: bool = False,
) -> Any:
    """A response; `content` is compressed already where it is `gzipped`."""
    headers = [("Content-Type", content_type), *_headers(etag, caching)]
    accepted = request.accept_encodings["gzip"] > 0
    if gzipped and not accepted:
        content = gzip.decompress(content)
    elif accepted and not gzipped and len(content) > SMALL:
        content, gzipped = gzip.compress(content, COMPRESSION, mtime=0), True
    if gzipped and accepted:
        headers.append(("Content-Encoding", "gzip"))
    headers.append(("Content-Length", str(len(content))))
    return wrappers.Response([content], code, headers)


def respond_whole(request: Any, body: bytes, content_type: str, etag: str | None) -> Any:
    """A response to who may have it already; without an `etag` its content is its tag."""
    if etag is None:
        etag = hashlib.blake2s(body, digest_size=16).hexdigest()
        if (same := unchanged(request, etag)) is not None:
            return same
    return respond(request, body, content_type, etag=etag)


def respond_json(request: Any, content: Any, code: int) -> Any:
    """A JSON response that is not kept, as it tells of an error."""
    return respond(request, answer.as_json(content).encode(), "application/json", code=code)


def refused(request: Any) -> Any:
    """The answer to a method that no address has; None for those that all have."""
    if request.method in METHODS:
        return None
    said = {"error": f"this address answers {' and '.join(METHODS)} only"}
    response = respond_json(request, said, 405)
    response.headers["Allow"] = ", ".join(METHODS)
    return response


def _headers(etag: str, caching: str) -> list[tuple[str, str]]:
    headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", caching),
        ("Vary", "Accept-Encoding"),
    ]
    return [*headers, ("ETag", f'W/"{etag}"')] if etag else headers
