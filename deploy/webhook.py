"""The admission webhook, run as `python -m bluecode.deploy.webhook`: puts BlueCode beside pods.

A review that cannot be read gets HTTP 400 and changes nothing; the configuration's `failurePolicy`
then says whether the pod may start. A pod that asks for a sidecar and cannot have it is denied with
the reason. No part of a pod is logged but its namespace and name.
"""

import argparse
import base64
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bluecode.deploy.injection import PodMalformed, PodRefused, patch_for
from bluecode.deploy.sidecar import Sidecar, SidecarError

log = logging.getLogger("bluecode.webhook")

VERSION: Final = "admission.k8s.io/v1"
LARGEST: Final = 4 * 1024**2
"""Bytes of a review; the API server's own objects are smaller."""
RENEWAL: Final = 60.0
"""Seconds between two looks at the certificate."""


class ReviewError(Exception):
    """A body that is no review of this version."""


def create_webhook(sidecar: Sidecar) -> Starlette:
    """The service: `POST /mutate`, and `/healthz` for probes."""
    return Starlette(
        routes=[
            Route("/mutate", _mutate(sidecar), methods=["POST"]),
            Route("/healthz", lambda request: PlainTextResponse("The webhook is running.\n")),
        ]
    )


def _mutate(sidecar: Sidecar) -> Callable[[Request], Awaitable[Response]]:
    async def mutate(request: Request) -> Response:
        try:
            return JSONResponse(reviewed(await _body(request), sidecar))
        except ReviewError as error:
            log.warning("A review was refused: %s", error)
            return JSONResponse({"error": str(error)}, 400)

    return mutate


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ReviewError(f"The review has more than {LARGEST} bytes.")
    return b"".join(parts)


def reviewed(body: bytes, sidecar: Sidecar) -> dict[str, Any]:
    """The answer to a review. Raises `ReviewError`."""
    asked = _request(body)
    answer: dict[str, Any] = {"uid": asked["uid"], "allowed": True}
    try:
        patch = patch_for(asked["object"], sidecar)
    except PodRefused as error:
        answer |= {"allowed": False, "status": {"code": 422, "message": f"bluecode: {error}"}}
    except PodMalformed as error:
        raise ReviewError(str(error)) from error
    else:
        if patch:
            text = json.dumps(patch, separators=(",", ":"))
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(text.encode()).decode()}
    log.info("%s: %s", _name(asked), "denied" if not answer["allowed"] else "answered")
    return {"apiVersion": VERSION, "kind": "AdmissionReview", "response": answer}


def _request(body: bytes) -> dict[str, Any]:
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReviewError("The body is no JSON.") from error
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise ReviewError("The body is no AdmissionReview.")
    if review.get("apiVersion") != VERSION:
        raise ReviewError(f"The review is not of `{VERSION}`.")
    asked = review.get("request")
    if not isinstance(asked, dict) or not isinstance(asked.get("uid"), str) or not asked["uid"]:
        raise ReviewError("The review has no request with a `uid`.")
    if not isinstance(asked.get("object"), dict):
        raise ReviewError("The request has no object.")
    if asked["object"].get("kind", "Pod") != "Pod":
        raise ReviewError("The object is no Pod.")
    return asked


def _name(asked: dict[str, Any]) -> str:
    metadata = asked["object"].get("metadata") or {}
    name = metadata.get("name") or metadata.get("generateName") or "a pod"
    return f"{asked.get('namespace', '-')}/{name}"


async def serve(sidecar: Sidecar, host: str, port: int, cert: Path, key: Path) -> None:
    """Serve over TLS until told to stop; a renewed certificate is taken up while serving."""
    settings = uvicorn.Config(
        create_webhook(sidecar),
        host=host,
        port=port,
        ssl_certfile=str(cert),
        ssl_keyfile=str(key),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    settings.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(renew, settings, cert, key)
        await uvicorn.Server(settings).serve()
        tasks.cancel_scope.cancel()


async def renew(settings: uvicorn.Config, cert: Path, key: Path, pause: float = RENEWAL) -> None:
    """New handshakes get the certificate that lies there now."""
    seen = await anyio.Path(cert).read_bytes()
    while True:
        await anyio.sleep(pause)
        try:
            there = await anyio.Path(cert).read_bytes()
            if there != seen and settings.ssl is not None:
                settings.ssl.load_cert_chain(cert, key)
                seen = there
                log.info("The certificate was renewed.")
        except OSError as error:  # half written: the next look finds it whole
            log.warning("The certificate cannot be taken up yet: %s", error.strerror)


def main(arguments: list[str]) -> int:
    line = argparse.ArgumentParser(prog="python -m bluecode.deploy.webhook")
    line.add_argument("--sidecar", type=Path, required=True, help="what is injected, as JSON")
    line.add_argument("--cert", type=Path, default=Path("/tls/tls.crt"))
    line.add_argument("--key", type=Path, default=Path("/tls/tls.key"))
    line.add_argument("--host", default="0.0.0.0")
    line.add_argument("--port", type=int, default=8443)
    given = line.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s")
    try:
        sidecar = Sidecar.load(given.sidecar)
    except SidecarError as error:
        print(f"bluecode: {error}", file=sys.stderr)
        return 2
    anyio.run(serve, sidecar, given.host, given.port, given.cert, given.key)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
