"""What is said to registries, by registries that can do more, and worse, than a real one here."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.transfer.scripted import INDEX, FakeRegistry, Pair, digest_of
from webhook.core import parse_platform
from webhook.transfer.errors import TransferError
from webhook.transfer.uploading import CHUNK

LARGE = bytes(range(256)) * (CHUNK * 5 // 2 // 256)
RESET = httpx.ReadError("reset")
BUSY = httpx.Response(429, headers={"Retry-After": "7"})


def test_referrers_come_from_the_api_page_by_page():
    pair = Pair()
    subject = pair.up.image("1")
    about = [pair.up.image(layers=[text], subject=subject) for text in (b"a", b"b", b"c")]

    copied = pair.copy()

    assert copied.referrers == 3
    assert all(each["digest"] in pair.down.manifests for each in about)
    assert not [path for _, path in pair.down.calls if "manifests/sha256-" in path]


@pytest.mark.parametrize(("up", "down"), [(True, False), (False, True)])
def test_referrers_go_from_the_api_to_tags_and_back(up, down):
    pair = Pair(up=FakeRegistry(has_referrers=up), down=FakeRegistry(has_referrers=down))
    subject = pair.up.image("1")
    sbom = pair.up.image(subject=subject, artifactType="text/sbom", annotations={"a": "b"})
    tag = subject["digest"].replace(":", "-")
    if not up:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [sbom]}
        pair.up.keep(json.dumps(index).encode(), tag)

    assert pair.copy().referrers == 1
    if down:
        assert tag not in pair.down.manifests
    else:
        (listed,) = json.loads(pair.down.manifests[tag])["manifests"]
        assert listed == sbom | {"artifactType": "text/sbom", "annotations": {"a": "b"}}


def test_a_large_blob_goes_in_chunks():
    pair = Pair()
    pair.up.image("1", layers=[LARGE])

    copied = pair.copy()

    assert pair.down.chunks == [CHUNK, CHUNK, len(LARGE) - 2 * CHUNK]
    assert pair.down.blobs[digest_of(LARGE)] == LARGE
    assert pair.watching.total == pair.watching.came == copied.size


def test_a_registry_says_how_small_a_chunk_may_be():
    pair = Pair(down=FakeRegistry(least=str(CHUNK + 1024)))
    pair.up.image("1", layers=[LARGE])
    pair.copy()

    assert pair.down.chunks[0] == CHUNK + 1024


def test_a_registry_that_takes_no_chunks_gets_a_blob_as_a_whole():
    pair = Pair()
    pair.up.image("1", layers=[LARGE])
    pair.down.faults["PATCH"] = [httpx.Response(405)]

    copied = pair.copy()

    assert pair.down.chunks == []
    assert pair.down.blobs[digest_of(LARGE)] == LARGE
    assert pair.watching.total == pair.watching.came == copied.size


def test_a_wrong_blob_that_goes_as_a_whole_is_refused_too():
    pair = Pair()
    pair.up.image("1", layers=[LARGE])
    pair.up.blobs[digest_of(LARGE)] = LARGE[::-1]
    pair.down.faults["PATCH"] = [httpx.Response(501)]

    with pytest.raises(TransferError, match=digest_of(LARGE)):
        pair.copy()

    assert digest_of(LARGE) not in pair.down.blobs


@pytest.mark.parametrize("fault", [RESET, httpx.Response(503), httpx.Response(416)])
def test_a_chunk_that_is_lost_is_sent_again_and_no_other(fault):
    pair = Pair()
    pair.up.image("1", layers=[LARGE])
    pair.down.faults["PATCH"] = [None, fault]

    pair.copy()

    assert pair.down.chunks == [CHUNK, CHUNK, len(LARGE) - 2 * CHUNK]
    assert pair.down.blobs[digest_of(LARGE)] == LARGE
    assert pair.watching.total == pair.watching.came


def test_an_upload_that_is_lost_begins_anew():
    pair = Pair()
    pair.up.image("1", layers=[LARGE])
    pair.down.faults = {"PATCH": [None, RESET], "GET": [httpx.Response(404)]}

    pair.copy()

    assert pair.down.chunks == [CHUNK, CHUNK, CHUNK, len(LARGE) - 2 * CHUNK]
    assert pair.down.blobs[digest_of(LARGE)] == LARGE
    assert pair.watching.total == pair.watching.came


def test_a_blob_may_be_elsewhere_and_no_token_goes_there():
    seen = []

    class Redirecting(FakeRegistry):
        def blob(self, request, name):
            if request.method == "GET":
                to = f"https://cdn.example/v2/a/blobs/{name}?signature=x"
                return httpx.Response(307, headers={"Location": to})
            return super().blob(request, name)

    class Three(Pair):
        def __call__(self, request):
            token = request.headers.get("Authorization", "")
            seen.append((request.url.host, token))
            if request.url.host == "login.example":
                return httpx.Response(200, json={"token": "t0ken"})
            if request.url.host == "cdn.example":
                return FakeRegistry.blob(self.up, request, request.url.path.split("/")[-1])
            if request.url.host == "up.example" and not token:
                challenge = 'Bearer realm="https://login.example/token",service="up"'
                return httpx.Response(401, headers={"WWW-Authenticate": challenge})
            return super().__call__(request)

    pair = Three(up=Redirecting())
    pair.up.image("1")
    pair.copy()

    assert ("cdn.example", "") in seen
    assert {host for host, token in seen if token} == {"up.example"}


def test_a_token_for_a_mount_is_for_both_repositories():
    scopes = []

    class Locked(Pair):
        def __call__(self, request):
            if request.url.host == "login.example":
                scopes.append(request.url.params.get_list("scope"))
                return httpx.Response(200, json={"token": "t0ken"})
            if request.method == "POST" and "Authorization" not in request.headers:
                challenge = (
                    'Bearer realm="https://login.example/token",service="down",'
                    'scope="repository:a:pull,push"'
                )
                return httpx.Response(401, headers={"WWW-Authenticate": challenge})
            return super().__call__(request)

    pair = Locked()
    pair.up.image("1")
    pair.homes = {("down.example", digest_of(b"layer")): "other/repository"}
    pair.copy()

    assert ["repository:a:pull,push", "repository:other/repository:pull"] in scopes


def test_a_registry_that_limits_the_rate_is_waited_for():
    pair = Pair()
    pair.up.image("1")
    pair.up.faults["HEAD"] = [BUSY]

    pair.copy()

    assert pair.pauses == [7.0]


@pytest.mark.parametrize(
    ("method", "status", "words"),
    [
        ("POST", 401, "requires authentication"),
        (
            "POST",
            403,
            "does not take it (HTTP 403): its login has to be one that may write",
        ),
        ("POST", 405, "does not take it (HTTP 405)"),
        ("POST", 404, "the repository may have to be made there first"),
        ("PUT", 413, "HTTP 413"),
    ],
)
def test_what_a_mirror_refuses_is_told_and_not_tried_again(method, status, words):
    pair = Pair()
    pair.up.image("1")
    pair.down.faults[method] = [httpx.Response(status) for _ in range(9)]

    with pytest.raises(TransferError, match=r"down\.example") as caught:
        pair.copy()

    assert words in str(caught.value)
    assert pair.pauses == []


@pytest.mark.parametrize("wrong", [b"LAYER", b"layer and more", b"lay"])
def test_a_blob_that_is_not_what_its_digest_says_is_refused(wrong):
    pair = Pair()
    pair.up.image("1")
    digest = digest_of(b"layer")
    pair.up.blobs[digest] = wrong

    with pytest.raises(TransferError, match=digest):
        pair.copy()

    assert digest not in pair.down.blobs
    assert "1" not in pair.down.manifests
    assert len(wrong) < 5 or pair.down.uploads == {}


def test_a_manifest_that_is_not_what_its_digest_says_is_refused():
    pair = Pair()
    wanted = pair.up.image("1")["digest"]
    pair.up.manifests[wanted] = pair.up.manifests["1"] + b" "

    with pytest.raises(TransferError, match="do not use it"):
        pair.copy(wanted, wanted)

    assert pair.down.manifests == {}


def test_a_mirror_that_keeps_another_manifest_is_found_out():
    pair = Pair()
    pair.up.image("1")
    pair.down.keep = lambda *_: {}

    with pytest.raises(TransferError, match="has nothing under 1"):
        pair.copy()


def index_of(pair, *platforms):
    """Keep an index with an image for each platform, and an attestation about each."""
    listed = []
    for text in platforms:
        system, architecture = text.split("/")
        platform = {"os": system, "architecture": architecture}
        image = pair.up.image(layers=[text.encode()])
        about = {"vnd.docker.reference.digest": image["digest"]}
        attestation = pair.up.image(layers=[b"about " + text.encode()])
        unknown = {"os": "unknown", "architecture": "unknown"}
        listed.append(image | {"platform": platform})
        listed.append(attestation | {"platform": unknown, "annotations": about})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    return pair.up.keep(json.dumps(index).encode(), "1"), listed


@pytest.mark.parametrize("takes_sparse", [True, False])
def test_an_index_keeps_its_digest_where_the_mirror_lets_it(takes_sparse):
    pair = Pair(down=FakeRegistry(takes_sparse=takes_sparse))
    index, listed = index_of(pair, "linux/amd64", "linux/arm64")

    copied = pair.copy(platforms=[parse_platform("linux/arm64")])
    kept = json.loads(pair.down.manifests["1"])["manifests"]

    assert (copied.digest == index["digest"]) is takes_sparse
    assert kept == (listed if takes_sparse else listed[2:])
    assert bool(copied.notes) is not takes_sparse
    assert listed[0]["digest"] not in pair.down.manifests
    assert {each["digest"] for each in listed[2:]} <= pair.down.manifests.keys()


def test_a_platform_that_is_not_there_beside_one_that_is_is_told():
    pair = Pair()
    index_of(pair, "linux/amd64")
    wanted = [parse_platform("linux/amd64"), parse_platform("linux/s390x")]

    assert pair.copy(platforms=wanted).notes == ("it is not for linux/s390x",)


def test_a_layer_that_may_not_be_distributed_stays_where_it_is():
    pair = Pair()
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest_of(b"foreign"),
        "size": 7,
        "urls": ["https://example.com/layer"],
    }
    manifest = json.loads(pair.up.manifests[pair.up.image()["digest"]])
    manifest["layers"].append(foreign)
    pair.up.keep(json.dumps(manifest).encode(), "1")

    assert pair.copy().size == len(b"{}layer")
