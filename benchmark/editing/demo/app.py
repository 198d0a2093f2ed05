"""The demo's web application: its page, faces to choose from, uploads and edits.

It serves one user on one machine. Requests that name another host or come from another origin are refused, so that no
website can reach it through the browser (DNS rebinding). Uploads are kept in memory and never written to disk.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
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


def make_app(models: Models, rendered: Mapping[str, Face], uploads: Uploads) -> FastAPI:
    """Build the web application. rendered: the faces to choose from, by name."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    demo = Demo(models, rendered, uploads)
    app.middleware("http")(_guard)
    app.exception_handler(UserError)(_user_error)
    app.exception_handler(RequestValidationError)(_invalid_form)
    app.add_api_route("/state", demo.state, methods=["GET"])
    app.add_api_route("/faces/{name}", demo.picture, methods=["GET"])
    app.add_api_route("/uploads", demo.upload, methods=["POST"])
    app.add_api_route("/edits", demo.edit, methods=["POST"])
    app.add_api_route("/{name}", _page, methods=["GET"])
    app.add_api_route("/", lambda: _page(""), methods=["GET"])
    return app


@dataclass(frozen=True)
class Demo:
    """The demo's data, and one method for each of its routes."""

    models: Models
    rendered: Mapping[str, Face]
    uploads: Uploads

    def state(self) -> dict[str, Any]:
        """Return what the page offers: models, expressions, action units and their prototypes, faces, limits."""
        return {
            "models": [
                {"name": model.name, "takes": model.takes, "size": model.editor.size}
                for model in self.models.models.values()
            ],
            "expressions": EXPRESSIONS,
            "units": [
                {"name": name.removesuffix("_r"), "words": words}
                for name, words in zip(ACTION_UNITS, UNIT_WORDS, strict=True)
            ],
            "prototypes": {name: prototype_units(name).tolist() for name in EXPRESSIONS},
            "faces": [
                {"name": name, "expression": face.expression, "identity": face.identity}
                for name, face in self.rendered.items()
            ],
            "judge": sorted(self.models.judges),
            "identity": self.models.identity is not None,
            "finds_faces": self.uploads.finds_faces,
            "largest_upload": LARGEST_UPLOAD,
        }

    def picture(self, name: str) -> Response:
        """Return a rendered or uploaded face as PNG. Raises UserError for one that is not in memory."""
        return Response(_png(np.asarray(self._face(name).picture)), media_type="image/png")

    async def upload(self, request: Request) -> dict[str, str]:
        """Keep an uploaded picture in memory and return its name. Raises NoPicture, a UserError."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_UPLOAD:
                raise NoPicture(f"This file is too large: at most {LARGEST_UPLOAD >> 20} MB.")
        return {"name": await run_in_threadpool(self.uploads.add, bytes(content))}

    def edit(self, form: EditForm) -> dict[str, Any]:
        """Edit a face and return both pictures with the scores of the edit. Raises UserError."""
        self._check(form)
        edited = self.models.edit(
            form.model,
            self._face(form.source),
            GuideRequest(
                form.target,
                form.seed,
                self._face(form.reference) if form.reference else None,
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

    def _check(self, form: EditForm) -> None:
        """Raise UserError for an unknown model or expression, and for no guide or several."""
        if form.model not in self.models.models:
            raise UserError("This model is not loaded.")
        if (bool(form.target) + bool(form.reference) + (form.units is not None)) != 1:
            raise UserError("Choose one of an expression, a reference and action units.")
        if form.target and form.target not in EXPRESSIONS:
            raise UserError("This expression is not known.")

    def _face(self, name: str) -> Face:
        face = self.rendered.get(name) or self.uploads.get(name)
        if face is None:
            raise UserError("This picture is no longer in memory: choose it again.")
        return face


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse requests from elsewhere and add the security headers to every response."""
    foreign = _is_foreign(request)
    response = _refused("This page is for this machine alone.") if foreign else await call_next(request)
    response.headers.update(HEADERS)
    return response


async def _user_error(_: Request, error: UserError) -> Response:
    return _refused(str(error), 422)


async def _invalid_form(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return _refused(f"{'.'.join(map(str, first['loc'][1:])) or 'the request'}: {first['msg']}", 422)


def _page(name: str) -> Response:
    """Return a static file of the page; "" is the page itself."""
    if name not in FILES:
        return _refused("There is no such page.", 404)
    file, kind = FILES[name]
    return Response((Path(__file__).parent / file).read_bytes(), headers={"Content-Type": kind})


def _is_foreign(request: Request) -> bool:
    """Return whether a request names another host or was sent by a page of another origin."""
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
