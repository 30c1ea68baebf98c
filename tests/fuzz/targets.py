"""What is fuzzed: functions of some bytes that fail only if the package has a fault.

Each holds the package against something independent of it: another engine of regular
expressions, another JSON or YAML reader, its own answer without a cache, or its own output read
again.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import httpx
import jsonpatch
import re2

from tests.reviews import Results, answer, patch_of
from webhook.admission import InvalidReviewError, Policy
from webhook.config import ConfigurationError, parse_rules
from webhook.core import (
    Availability,
    InvalidReferenceError,
    MirrorMap,
    Rule,
    parse_platform,
    parse_reference,
)
from webhook.imports import FORMATS, RuleSet, UnreadableFileError, format_rules
from webhook.manifests import rewrite_manifests
from webhook.registry.auth import is_allowed_url, parse_challenges, select_challenge
from webhook.registry.client import RegistryClient
from webhook.registry.credential_helpers import CredentialHelpers, find_expiry
from webhook.registry.credentials import (
    CredentialStore,
    HelperLogin,
    InvalidCredentialsError,
    parse_credentials,
)
from webhook.registry.proxies import Proxies, read_proxies
from webhook.registry.responses import CheckStatus, RegistryError

__all__ = ["CORPUS", "SEEDS", "TARGETS"]

CORPUS = Path(__file__).parent / "corpus"
CASES = Path(__file__).parents[1] / "cases"

# The grammar as the distribution project writes it, for RE2, and not as the parser does.
ALNUM = "[a-z0-9]+"
COMPONENT = f"{ALNUM}(?:(?:[._]|__|[-]+){ALNUM})*"
LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = rf"(?:{LABEL}(?:\.{LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
REMOTE = f"{COMPONENT}(?:/{COMPONENT})*"
TAG = r"[\w][\w.-]{0,127}"
DIGEST = "(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})"
REFERENCE = re2.compile(f"({DOMAIN})/({REMOTE})(?::({TAG}))?(?:@({DIGEST}))?")
IDENTIFIER = re2.compile("[a-f0-9]{64}")


def split_by_grammar(text):
    """Return host, path, tag and digest of an image name by RE2 alone; None if it is none."""
    if IDENTIFIER.fullmatch(text):
        return None
    first, slash, rest = text.partition("/")
    if not slash or not (
        "." in first or ":" in first or first == "localhost" or first.lower() != first
    ):
        first, rest = "docker.io", text
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    found = REFERENCE.fullmatch(f"{first}/{rest}")
    if found is None or found[1] != first or len(found[2]) > 255:
        return None
    return found.groups()


def fuzz_reference(data):
    """The parser agrees with the grammar, and its normal form is the same image."""
    text = data.decode("utf-8", "replace")
    expected = split_by_grammar(text)
    try:
        found = parse_reference(text)
    except InvalidReferenceError as error:
        assert expected is None, (text, expected)
        problem = error.problem
        assert problem.isprintable(), text
        return
    assert found[:4] == expected, (text, found, expected)
    again = parse_reference(str(found))
    assert again == found, (text, found, again)
    assert str(again) == str(found), (text, found, again)


IMAGES = ("nginx", "a/b:1", "gcr.io/p/a", "quay.io/x@sha256:" + "a" * 64, "m.example/hub/nginx:1")


def fuzz_rules(data):
    """A rules file is refused with its line, or decides, and decides the same of its result."""
    try:
        configuration = parse_rules(data, "rules.yaml")
    except ConfigurationError as error:
        problem = str(error)
        assert problem.replace("\n", "").isprintable(), data
        return
    for policy in configuration.policies.values():
        for image in IMAGES:
            new = policy.mirrors.decide(image).image
            parse_reference(new)
            assert policy.mirrors.decide(new).image == new, (data, image, new)


RULES = MirrorMap([Rule("docker.io", ["m.example/hub"]), Rule("quay.io/our-team", keep=True)])
POLICY = Policy("default", RULES.decide)
IMAGE_KEYS = {"image", "reference", "mirrorhook.io/original-images"}


class Strict(Results):
    """A recorder for which an internal error is a fault."""

    def record_error(self, policy, request, error):
        raise AssertionError("an internal error") from error

    def record_review(self, policy, request, result):
        pass


class InternalFault(BaseException):
    """An internal error, which `review` itself would turn into an answer."""


class Raising(Strict):
    """Raises errors past `review`, which suppresses what recorders raise."""

    def record_error(self, policy, request, error):
        raise InternalFault from error


def fuzz_review(data):
    """A review is refused, or answered alike with and without what was cached."""
    try:
        found = answer(data, POLICY, Raising())
    except InvalidReviewError:
        return
    assert found == answer(data, Policy("default", RULES.decide), Raising()), data
    response = json.loads(found)["response"]
    assert response["allowed"] is True
    patch = patch_of(response)
    assert all(each["op"] in ("add", "replace") for each in patch), patch
    if patch:
        given = json.loads(data)["request"]["object"]
        after = jsonpatch.apply_patch(given, patch)
        assert remove_images(after) == remove_images(given), (data, patch)


def remove_images(value):
    """Return an object without its images, and without annotations that are empty then."""
    if isinstance(value, list):
        return [remove_images(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: remove_images(each) for key, each in value.items() if key not in IMAGE_KEYS}
    return {key: each for key, each in kept.items() if key != "annotations" or each}


def fuzz_manifest(data):
    """A manifest keeps its bytes where no image changes, and does not change again."""
    result = rewrite_manifests(data, RULES.decide)
    for problem in result.problems:
        assert problem.text.replace("\n", "").isprintable(), data
    if not any(image.changes for image in result.images):
        assert result.content == data, (data, result.content)
        return
    again = rewrite_manifests(result.content, RULES.decide)
    assert again.content == result.content, (data, result.content, again.content)
    for image in result.images:
        assert image.line > 0


def fuzz_challenge(data):
    """A header of a registry is parsed in linear time into challenges."""
    text = data.decode("latin-1")
    begin = time.process_time()
    challenges = parse_challenges([text])
    assert time.process_time() - begin < 1.0, "it takes long"
    chosen = select_challenge(challenges)
    assert chosen is None or chosen.scheme in ("bearer", "basic")
    for each in challenges:
        assert each.scheme
        try:
            url = httpx.URL(each.realm)
        except httpx.InvalidURL:
            continue
        is_allowed_url(url, frozenset({"m.example"}))


LOOP = asyncio.new_event_loop()
SECRET = "s3cr3t-p4ss"
LOGINS = json.dumps(
    {"auths": {"m.example": {"username": "robot", "password": SECRET}}},
).encode()
PLATFORMS = (parse_platform("linux/amd64"),)
STATUSES = (200, 401, 302, 404, 200, 403, 429, 500, 204, 400)
FIELDS = ("Content-Type", "WWW-Authenticate", "Location", "Docker-Content-Digest")


def fuzz_answer(data):
    """A registry that sends anything gives a result, which holds nothing of a password."""
    parts = iter(data.split(b"\0"))

    def respond(_request):
        head, _, body = next(parts, b"").partition(b"\n\n")
        code, *values = head.split(b"\n") if head else [b"0"]
        status = STATUSES[code[0] % len(STATUSES)] if code else 200
        headers = [
            (name, bytes(each for each in value if 32 <= each < 127))
            for name, value in zip(FIELDS, values, strict=False)
            if value
        ]
        return httpx.Response(status, headers=headers, content=body)

    async def check():
        store = CredentialStore(
            ["x"], read=lambda _: LOGINS, clock=time.monotonic, report=lambda _: None
        )
        client = RegistryClient(
            Availability(timeout=10.0, platforms=PLATFORMS if data[:1] == b"\1" else ()),
            store,
            CredentialHelpers(time.monotonic, time.time, refuse, 1.0),
            Proxies(),
            time.monotonic,
            lambda *_: httpx.MockTransport(respond),
        )
        try:
            return await client.check_image(parse_reference("m.example/a:1"))
        finally:
            await client.close()

    result = LOOP.run_until_complete(check())
    assert result.status in CheckStatus
    assert result.reason.isprintable()
    assert SECRET not in result.reason


async def refuse(_login):
    """Know no login."""


def fuzz_logins(data):
    """A file with logins is refused, or gives logins, of which nothing is shown."""
    text = data.decode("utf-8", "replace")
    find_expiry(text)
    try:
        proxies = read_proxies({"HTTPS_PROXY": "proxy:1", "HTTP_PROXY": text, "NO_PROXY": text})
        for url in ("https://a.example", "http://10.1.2.3:5000", "https://[fd00::1]/"):
            proxies.find(httpx.URL(url))
    except RegistryError as error:
        problem = str(error)
        assert len(text) < 8 or text not in problem
    try:
        config = parse_credentials(data)
    except InvalidCredentialsError as error:
        problem = str(error)
        assert problem.isprintable()
        return
    store = CredentialStore(["x"], read=lambda _: data, clock=lambda: 0.0, report=print)
    for host, _ in config.helpers:
        assert isinstance(store.find(host, "a"), HelperLogin)
    for each in config.credentials:
        for secret in (each.password, each.refresh_token, each.registry_token):
            assert (
                len(secret) < 8 or secret in f"{each.host}{each.path}" or secret not in repr(each)
            )
        if "*" not in each.host and each.host:
            assert store.find(each.host, each.path or "a") is not None


def fuzz_import(data):
    """A file of another tool is refused, or becomes rules that are a valid file."""
    head, _, text = data.decode("utf-8", "replace").partition("\0")
    name = head if head in FORMATS else [*FORMATS][len(head) % len(FORMATS)]
    rule_set = RuleSet("file")
    try:
        FORMATS[name](text, rule_set)
    except UnreadableFileError as error:
        problem = str(error)
        assert problem
        return
    written = format_rules(rule_set.rules, "test")
    again = parse_rules(written, "rules.yaml").policies["default"].mirrors
    assert list(map(describe, again.rules)) == list(map(describe, rule_set.rules)), (data, written)
    for warning in rule_set.warnings:
        assert warning.message
        assert warning.line >= 0


def describe(rule):
    """Return what matters of a rule; one that keeps its images does not ask for any."""
    return rule.match, rule.regex, rule.mirrors, rule.keep, rule.keep or rule.original


TARGETS = {
    "reference": fuzz_reference,
    "rules": fuzz_rules,
    "review": fuzz_review,
    "manifest": fuzz_manifest,
    "challenge": fuzz_challenge,
    "answer": fuzz_answer,
    "logins": fuzz_logins,
    "import": fuzz_import,
}
# Further seeds of a target, besides its folder of the corpus.
SEEDS = {"review": [CASES / "admissionreview"], "manifest": [CASES / "pods"]}
