"""Refusals in OpenAI's form: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mingtok_audio.core.errors import UserError, one_line


class ApiError(Exception):
    """A refusal. `status` is the HTTP status, `param` the field that is wrong."""

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers


class BusyError(ApiError):
    """The queue is full: come back later."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "the server is busy: too many requests wait",
            429,
            code="rate_limit_exceeded",
            headers={"Retry-After": str(seconds)},
        )


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(message: str, status: int, param: str | None, code: str | None) -> dict:
    """The body of a refusal."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def response(error: ApiError) -> JSONResponse:
    """A refusal as it is sent."""
    body = error_body(one_line(str(error)), error.status, error.param, error.code)
    return JSONResponse(body, error.status, headers=dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Give every error of the application this form."""

    @app.exception_handler(ApiError)
    async def _(_: Request, error: ApiError) -> JSONResponse:
        return response(error)

    @app.exception_handler(UserError)
    async def _(_: Request, error: UserError) -> JSONResponse:
        return response(ApiError(str(error)))

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> JSONResponse:
        made = ApiError(str(error.detail), error.status_code, headers=error.headers)
        return response(made)

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
        param = ".".join(path) or None
        return response(ApiError(f"{param or 'the request'}: {first['msg']}", 400, param=param))
