"""Registries that are a function, over HTTP without a network."""

from __future__ import annotations

import json

import httpx

from tests.registry.virtual_clock import now, run
from webhook.core import Availability, parse_reference
from webhook.registry.client import RegistryClient
from webhook.registry.credential_helpers import CredentialHelpers, HelperError
from webhook.registry.credentials import CredentialStore
from webhook.registry.proxies import Proxies

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
PASSWORD = "s3cr3t-p4ss"


def manifest(digest=DIGEST, kind=MANIFEST, body=None):
    """The answer of a registry that has the image."""
    headers = {"Content-Type": kind, "Docker-Content-Digest": digest}
    content = json.dumps(body).encode() if body is not None else b""
    return httpx.Response(200, headers=headers, content=content)


def answer(status, **headers):
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def secret(*auths):
    """A dockerconfigjson of entries (place, user, password)."""
    entries = {place: {"username": user, "password": password} for place, user, password in auths}
    return json.dumps({"auths": entries}).encode()


OURS = secret(("m.example", "robot", PASSWORD))


async def no_helper(login):
    raise HelperError(f"its credential helper {login.program} is not in the PATH")


def client_of(handler, *, credentials=b"", helper=no_helper, proxies=None, **settings):
    """A client for which every host is *handler*, and every credential helper is *helper*."""
    settings = Availability(**settings)
    store = CredentialStore(
        ["config.json"] if credentials else [],
        read=lambda _: credentials,
        clock=now,
        report=print,
    )
    transport = httpx.MockTransport(handler)
    helpers = CredentialHelpers(now, lambda: 1e9 + now(), helper, settings.timeout / 2)
    return RegistryClient(settings, store, helpers, proxies or Proxies(), now, lambda *_: transport)


async def check_async(handler, image, *, is_named=True, **options):
    client = client_of(handler, **options)
    try:
        return await client.check_image(parse_reference(image), is_named=is_named)
    finally:
        await client.close()


def check(handler, image="m.example/hub/nginx:1", **options):
    return run(check_async(handler, image, **options))
