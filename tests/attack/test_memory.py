"""Nothing that the author of a Pod sends can fill the memory of a replica."""

from __future__ import annotations

import itertools
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

from tests.attack.target import (
    attacked,
    connect,
    pod_of,
    resident_mebibytes,
    review_of_images,
    review_of_pod,
    send,
    watched,
)
from tests.tools.faults import faulty_proxy

ONE_RULE = "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"
LIMIT = 256  # of the chart, in MiB


def grown(webhook, bodies):
    """Send reviews, and return by how many MiB the process grew."""
    before = resident_mebibytes(webhook.process)
    assert {response.status_code for response in send(webhook, bodies)} == {200}
    return resident_mebibytes(webhook.process) - before


def anonymous(number, count=4000):
    """A Pod of containers that have nothing but an image, and differ a little each time."""
    containers = [{"image": "a"} for _ in range(count)]
    containers[number % count] = {"image": f"b{number}"}
    return review_of_pod({"metadata": {}, "spec": {"containers": containers}})


def test_pods_of_nameless_containers_do_not_fill_the_memory(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        size = grown(webhook, map(anonymous, range(200)))
        figure("1  200 Pods of 4,000 nameless containers: growth", size, 60, "MiB")


def test_pods_of_many_distinct_names_do_not_fill_the_memory(tmp_path, figure):
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    names = ["".join(pair) for pair in itertools.product(letters, repeat=2)]

    def bodies():
        for number in range(100):
            random.Random(number).shuffle(names)
            yield review_of_images(*names)

    with attacked(tmp_path, ONE_RULE) as webhook:
        figure("1  100 Pods of 1,296 valid names: growth", grown(webhook, bodies()), 60, "MiB")


def test_image_checks_do_not_keep_long_registry_names(tmp_path, figure):
    with faulty_proxy() as proxy:
        proxy.mode = "fails"
        rules = (
            f'rules: [{{match: "*", mirrors: ["{proxy.address}/c"], original: first}}]\n'
            f'availability: {{mode: check, plainHTTP: ["{proxy.address}"], timeout: 100ms,'
            " budget: 100ms}\n"
        )
        bodies = (
            review_of_images(*[f"{'a' * 60}{n}.{'b.' * 6000}example/{m}/x:1" for m in range(40)])
            for n in range(100)
        )
        with attacked(tmp_path, rules) as webhook:
            figure("3  4,000 checks of 12 KB names: growth", grown(webhook, bodies), 60, "MiB")


def test_unfinished_heads_do_not_fill_the_memory(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        before, held = resident_mebibytes(webhook.process), []
        with watched(webhook) as bystander:
            for number in range(1500):
                with suppress(OSError):
                    flood = connect(webhook, f"127.0.{1 + number % 4}.1")
                    flood.sendall(b"POST /mutate HTTP/1.1\r\nhost: x\r\na: " + b"x" * 15000)
                    held.append(flood)
            size = resident_mebibytes(webhook.process) - before
        for flood in held:
            flood.close()
        figure("6  1,500 unfinished heads: growth", size, 130, "MiB")
        assert bystander.failures == []


def test_lines_that_nobody_reads_do_not_fill_the_memory(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        webhook.pause_reading()
        try:
            bodies = (
                review_of_images(*[f"{'n' * 200}/{'x' * 40}{n}-{m}:1" for m in range(300)])
                for n in range(400)
            )
            size = grown(webhook, bodies)
        finally:
            webhook.resume_reading()
        figure("7  400 Pods of 300 images while nobody reads the log: growth", size, 60, "MiB")


def test_history_does_not_fill_the_memory(tmp_path, figure):
    bodies = (
        review_of_pod(
            pod_of(*[f"app{n}-{m}:{'t' * 100}" for m in range(100)], name=f"web-{n}"),
            namespace=f"namespace-{n}",
        )
        for n in range(1500)
    )
    with attacked(tmp_path, ONE_RULE) as webhook:
        figure(
            "1  1,500 Pods of 100 images in as many namespaces", grown(webhook, bodies), 60, "MiB"
        )


def test_idle_operations_connections_do_not_fill_the_memory(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        url = urlsplit(webhook.operations)
        before, held = resident_mebibytes(webhook.process), []
        for _ in range(1500):
            with suppress(OSError):
                one = socket.create_connection((url.hostname, url.port), timeout=5)
                one.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"x" * 15000)
                held.append(one)
        time.sleep(0.5)
        size = resident_mebibytes(webhook.process) - before
        for one in held:
            one.close()
        figure("6  1,500 unfinished heads at the operations port: growth", size, 130, "MiB")


def test_large_reviews_that_wait_for_a_mirror_do_not_fill_the_memory(tmp_path, figure):
    # A text with one wide character takes four bytes for each character.
    wide = {"note": "\U0001f600" + "x" * 2_900_000}
    bodies = [
        review_of_pod(pod_of(f"app{n}", annotations=wide), options={}).replace(
            b"\\ud83d\\ude00", "\U0001f600".encode()
        )
        for n in range(40)
    ]
    with faulty_proxy() as proxy:
        proxy.mode = "hangs"
        rules = (
            f'rules: [{{match: docker.io, mirrors: ["{proxy.address}/c"]}}]\n'
            f'availability: {{mode: check, plainHTTP: ["{proxy.address}"]}}\n'
        )
        with attacked(tmp_path, rules) as webhook, ThreadPoolExecutor(len(bodies)) as pool:
            sending = [pool.submit(send, webhook, [body]) for body in bodies]
            largest = 0.0
            while not all(each.done() for each in sending):
                largest = max(largest, resident_mebibytes(webhook.process))
                time.sleep(0.01)
            statuses = {each.result()[0].status_code for each in sending}
    assert statuses <= {200, 503}
    figure("1  40 large reviews at once while a mirror hangs", largest, LIMIT, "MiB")


def test_a_replica_outlives_all_of_it_within_its_limit(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        send(webhook, map(anonymous, range(50)))
        send(webhook, [review_of_pod(json.loads("[" * 900 + "]" * 900))])
        send(webhook, [review_of_images(*[f"a{n}" for n in range(60000)])])
        figure("1  all in one replica", resident_mebibytes(webhook.process), LIMIT, "MiB")
