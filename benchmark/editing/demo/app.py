"""The demo's web application: a page, the pictures to choose from, uploads, edits.

It is for one person on one machine: requests that name another host, or come from another page, are refused, so that a
page of the network cannot reach it through the browser (DNS rebinding). Nothing that is uploaded is written to a disk.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from benchmark.core.errors import UserError
from benchmark.editing.demo.models import GuideRequest, Models
from benchmark.editing.demo.sources import LARGEST_UPLOAD, Face, NoPicture, Uploads
from benchmark.editing.guides import prototype_units
from benchmark.protocol import ACTION_UNIT_MAX, ACTION_UNITS, EXPRESSIONS

FILES = {
    "": ("demo.html", "text/html; charset=utf-8"),
    "demo.js": ("demo.js", "text/javascript; charset=utf-8"),
    "demo.css": ("demo.css", "text/css; charset=utf-8"),
}
UNIT_WORDS = (
    "inner brow raiser", "outer brow raiser", "brow lowerer", "upper lid raiser", "cheek raiser", "lid tightener",
    "nose wrinkler", "upper lip raiser", "lip corner puller", "dimpler", "lip corner depressor", "chin raiser",
    "lip stretcher", "lip tightener", "lips part", "jaw drop", "blink",
)  # fmt: skip
"""Ekman and Friesen's names of `ACTION_UNITS`."""
HOSTS = frozenset({"127.0.0.1", "localhost"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Intensity = Annotated[float, Field(ge=0, le=ACTION_UNIT_MAX, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=100)]


class EditForm(BaseModel):
    """The request for an edit: one of target, reference and units."""

    model_config = ConfigDict(extra="forbid")

    model: Name
    source: Name
    target: Name = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    reference: Name = ""
    units: Annotated[list[Intensity], Field(min_length=len(ACTION_UNITS), max_length=len(ACTION_UNITS))] | None = None


def make_app(models: Models, rendered: dict[str, Face], uploads: Uploads) -> FastAPI:
    """Return the application."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    def face_of(name: str) -> Face:
        face = rendered.get(name) or uploads.get(name)
        if face is None:
            raise UserError("This picture is no longer in memory: choose it again.")
        return face

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = (
            _refused("This page is for this machine alone.") if _is_foreign(request) else await call_next(request)
        )
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(UserError)
    async def user_error(_: Request, error: UserError) -> Response:
        return _refused(str(error), 422)

    @app.exception_handler(RequestValidationError)
    async def wrong_form(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _refused(f"{'.'.join(map(str, first['loc'][1:])) or 'the request'}: {first['msg']}", 422)

    @app.get("/state")
    def state() -> dict[str, Any]:
        return {
            "models": [
                {"name": model.name, "takes": model.takes, "size": model.editor.size}
                for model in models.models.values()
            ],
            "expressions": EXPRESSIONS,
            "units": [
                {"name": name.removesuffix("_r"), "words": words}
                for name, words in zip(ACTION_UNITS, UNIT_WORDS, strict=True)
            ],
            "prototypes": {name: prototype_units(name).tolist() for name in EXPRESSIONS},
            "faces": [
                {"name": name, "expression": face.expression, "identity": face.identity}
                for name, face in rendered.items()
            ],
            "judge": sorted(models.judges),
            "identity": models.identity is not None,
            "finds_faces": uploads.finds_faces,
            "largest_upload": LARGEST_UPLOAD,
        }

    @app.get("/faces/{name}")
    def picture(name: str) -> Response:
        return Response(_png(np.asarray(face_of(name).picture)), media_type="image/png")

    @app.post("/uploads")
    async def upload(request: Request) -> dict[str, str]:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_UPLOAD:
                raise NoPicture(f"This file is too large: at most {LARGEST_UPLOAD >> 20} MB.")
        return {"name": await run_in_threadpool(uploads.add, bytes(content))}

    @app.post("/edits")
    def edit(form: EditForm) -> dict[str, Any]:
        if form.model not in models.models:
            raise UserError("This model is not loaded.")
        if (bool(form.target) + bool(form.reference) + (form.units is not None)) != 1:
            raise UserError("Choose one of an expression, a reference and action units.")
        if form.target and form.target not in EXPRESSIONS:
            raise UserError("This expression is not known.")
        edited = models.edit(
            form.model,
            face_of(form.source),
            GuideRequest(
                form.target,
                form.seed,
                face_of(form.reference) if form.reference else None,
                None if form.units is None else np.array(form.units),
            ),
        )
        return {
            "edit": _data_uri(edited.image),
            "source": _data_uri(edited.source),
            "judge": edited.judge,
            "identity": edited.identity,
            "seconds": edited.seconds,
        }

    @app.get("/{name}")
    def page(name: str) -> Response:
        if name not in FILES:
            return _refused("There is no such page.", 404)
        file, kind = FILES[name]
        return Response((Path(__file__).parent / file).read_bytes(), headers={"Content-Type": kind})

    app.add_api_route("/", lambda: page(""), methods=["GET"])
    return app


def _is_foreign(request: Request) -> bool:
    """Return whether a request names another host, or was sent by a page of another origin."""
    host = request.headers.get("host", "")
    if host.partition(":")[0] not in HOSTS:
        return True
    origin = request.headers.get("origin")
    return origin is not None and (urlsplit(origin).scheme, urlsplit(origin).netloc) != ("http", host)


def _refused(text: str, status: int = 403) -> Response:
    return JSONResponse({"error": text}, status)


def _png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def _data_uri(image: np.ndarray) -> str:
    return f"data:image/png;base64,{base64.b64encode(_png(image)).decode()}"
