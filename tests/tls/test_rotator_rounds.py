"""Replicas racing, step by step, over a cluster in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from tests.tls.memory_cluster import MANAGED, Group, MemoryCluster, MemoryLog
from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import SECRET_TYPE, CASecret, encode_bundle, parse_bundle
from webhook.tls.rotation import Rotation
from webhook.tls.rotator import Rotator

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ROTATION = Rotation()
# Which of three replicas takes the next step.
ORDERS = st.lists(st.integers(0, 2), max_size=40)


class World:
    """A cluster, some replicas, and one time for all of them."""

    def __init__(self, count=3, bundles=(("a", b""), ("b", b""))):
        self.now = START
        self.seconds = 0.0
        self.notes = MemoryLog()
        self.cluster = MemoryCluster()
        if bundles:
            self.cluster.put_bundles(dict(bundles))
        self.certificates = []
        self.group = Group(self.replica, self.cluster, count)

    def replica(self, cluster):
        return Rotator(
            MANAGED,
            cluster,
            clock=lambda: self.now,
            stopwatch=lambda: self.seconds,
            rotation=ROTATION,
            on_certificate=self.certificates.append,
            on_status=lambda _: None,
            log=self.notes,
        )

    def advance(self, time):
        self.now += time
        self.seconds += max(time.total_seconds(), 0)

    def settle(self, times=4):
        self.group.settle(times)

    def bundles(self):
        return [
            parse_bundle(bundle) for bundle in self.cluster.configuration_now.ca_bundles.values()
        ]

    def distrusted(self):
        """Certificates in use that the API server would not accept."""
        return [
            replica
            for replica in self.group.replicas
            if replica.current
            and replica.current.certificate.problem_at(self.now) is None
            and not all(
                is_signed_by(replica.current.certificate, trusted) for trusted in self.bundles()
            )
        ]

    def ready(self):
        return [replica.get_status(()).ready for replica in self.group.replicas]

    def stored(self):
        return CASecret.parse(self.cluster.secret_now.data)


def is_signed_by(certificate, authorities):
    return any(signed(certificate.chain, authority) for authority in authorities)


@cache  # time and again the same few are asked about
def signed(pem, authority):
    try:
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def everything_is_well(world):
    assert world.ready() == [True] * len(world.group.replicas)
    assert world.distrusted() == []
    assert [set(each) for each in world.bundles()] == [set(world.stored().certificates)] * 2
    assert world.cluster.configuration_now.field_managers == ()


def test_new_cluster_gets_one_ca_and_each_replica_a_certificate():
    world = World()
    world.settle()
    everything_is_well(world)
    assert world.cluster.writes == ["create Secret", "patch configuration"]
    assert len(world.certificates) == 3
    assert world.certificates[0].names == (
        "mirrorhook.mirrorhook.svc",
        "mirrorhook.mirrorhook.svc.cluster.local",
        "mirrorhook.mirrorhook",
    )


@given(ORDERS)
def test_racing_first_start_creates_one_ca(order):
    world = World()
    for index in order:
        world.group.step(index)
    world.settle()
    everything_is_well(world)
    assert world.cluster.writes == ["create Secret", "patch configuration"]


@given(ORDERS)
def test_race_for_an_empty_secret_creates_one_ca(order):
    world = World()
    world.cluster.put_secret(SECRET_TYPE, {})
    for index in order:
        world.group.step(index)
    world.settle()
    everything_is_well(world)
    assert world.cluster.writes == ["patch Secret", "patch configuration"]


@given(ORDERS, ORDERS, ORDERS)
def test_racing_rotation_creates_one_new_ca(first, second, third):
    world = World()
    world.settle()
    world.advance(243 * DAY)
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    writes = len(world.cluster.writes)
    for pause, order in (
        (DAY, first),
        (timedelta(minutes=2), second),
        (timedelta(hours=2), ()),
        (6 * DAY, ()),
        (6 * DAY, ()),
        (2 * DAY, third),
    ):
        world.advance(pause)
        for index in order:
            world.group.step(index)
            assert_trusted(world)
        world.settle()
        everything_is_well(world)
    assert world.cluster.writes[writes:] == ["patch Secret", "patch configuration"] * 2
    assert len(world.stored().certificates) == 1


@pytest.mark.parametrize("steps", range(1, 6))
def test_delayed_replica_never_publishes_an_older_bundle(steps):
    world = World()
    world.settle()
    world.advance(243 * DAY)
    world.settle()
    writes = len(world.cluster.writes)
    for pause in (DAY, timedelta(hours=2), 6 * DAY, 6 * DAY, 2 * DAY):
        world.advance(pause)
        for _ in range(steps):
            world.group.step(0)
        for index in (1, 2, 1, 2):
            world.group.finish(index)
        world.settle()
        everything_is_well(world)
    assert world.cluster.writes[writes:] == ["patch Secret", "patch configuration"] * 2


def test_empty_secret_of_the_chart_is_filled():
    world = World()
    world.cluster.denied.add("create Secret")
    world.cluster.put_secret(SECRET_TYPE, {})
    world.settle()
    everything_is_well(world)
    assert world.cluster.writes[0] == "patch Secret"


def test_ca_that_something_else_sets_is_left_as_it_is():
    world = World()
    world.settle()
    theirs = create_ca("existing", START - DAY, 90 * DAY)
    bundle = encode_bundle([theirs.certificate])
    configuration = world.cluster.configuration_now
    world.cluster.configuration_now = replace(
        configuration,
        ca_bundles=dict.fromkeys(configuration.ca_bundles, bundle),
        has_external_ca=True,
    )
    writes = len(world.cluster.writes)
    world.settle()
    assert "patch configuration" not in world.cluster.writes[writes:]
    assert set(world.cluster.configuration_now.ca_bundles.values()) == {bundle}
    problem = "something else sets the CA of MutatingWebhookConfiguration mirrorhook"
    assert world.group.outcomes[0].problems[0].startswith(problem)
    world.cluster.configuration_now = configuration
    world.settle()
    everything_is_well(world)


def test_replicas_are_ready_without_a_configuration_and_wait_for_trust_with_one():
    world = World(bundles=())
    world.settle()
    assert world.ready() == [True] * 3
    world.cluster.put_bundles({"a": b"", "b": b""})
    world.group.step(0)
    world.group.step(0)
    assert world.group.replicas[0].get_status(()).reason == (
        "MutatingWebhookConfiguration mirrorhook does not trust its certificate yet"
    )
    world.settle()
    everything_is_well(world)


def test_configuration_without_webhooks_counts_as_missing():
    world = World(bundles=())
    world.cluster.put_bundles({})
    world.settle()
    assert world.ready() == [True] * 3


def test_bundle_reset_by_an_upgrade_is_restored():
    world = World()
    world.settle()
    world.cluster.put_bundles({"a": b"", "b": b"", "c": b"\n"})
    world.group.finish(0)
    assert len(world.cluster.configuration_now.ca_bundles) == 3
    assert world.distrusted() == []
    assert world.cluster.writes[-1] == "patch configuration"


@given(
    st.lists(
        st.one_of(
            st.integers(0, 2),  # a step of one replica
            st.tuples(st.just("restart"), st.integers(0, 2)),
            st.tuples(st.just("advance"), st.sampled_from([0.01, 0.5, 5.0, 60.0])),
        ),
        max_size=60,
    )
)
def test_rotation_never_leaves_a_certificate_untrusted(events):
    """Whoever overtakes whom, and however fast time goes for a while."""
    world = World()
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    for event in events:
        match event:
            case int():
                world.group.step(event)
            case ("restart", index):
                world.group.restart(index)
            case ("advance", days):
                # A replica looks every half a minute: no round spans days.
                world.settle()
                world.advance(days * DAY)
                world.settle()
        assert_trusted(world)
    world.advance(timedelta(minutes=2))
    world.settle()
    everything_is_well(world)


def assert_trusted(world):
    assert world.distrusted() == []


def test_ca_is_replaced_on_schedule_over_two_years():
    world = World()
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    sizes = []
    for _ in range(2 * 365 - 2):
        world.advance(DAY)
        world.settle(2)
        everything_is_well(world)
        sizes.append(len(world.stored().certificates))
    assert set(sizes) == {1, 2}
    assert sizes.count(2) == pytest.approx(2 * 14, abs=2)
    assert world.notes.events().count("CA added to the Secret") == 2
    assert world.notes.events().count("CAs of the Secret changed") == 2
    # Each replica has a new one every five days, as it looks once a day, and at each CA.
    assert len(world.certificates) / 3 == pytest.approx(2 * 365 / 5, abs=5)


def test_deleted_secret_is_created_again_and_the_old_ca_stays_trusted():
    world = World()
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    old = world.stored().certificates
    world.advance(DAY)
    world.cluster.secret_now = None
    world.settle()
    everything_is_well(world)
    assert len(world.stored().certificates) == 2
    assert set(old) < set(world.stored().certificates)
    assert len(world.stored().authorities) == 1
    assert len(world.certificates) == 3
    world.advance(timedelta(minutes=2))
    world.settle()
    everything_is_well(world)
    assert len(world.certificates) == 6
    world.advance(15 * DAY)
    world.settle()
    everything_is_well(world)
    assert len(world.stored().certificates) == 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"ca.crt": b"", "ca.key": b""},
        {"ca.crt": b"garbage", "ca.key": b"\xff"},
        {"tls.crt": b"x"},
    ],
)
def test_damaged_secret_gets_a_new_ca_and_the_old_ca_stays_trusted(data):
    world = World()
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    world.cluster.put_secret(SECRET_TYPE, data)
    world.settle()
    everything_is_well(world)
    assert len(world.stored().certificates) == 2
    assert world.notes.lines[-2][1]["reason"] == "it contains no CA that can sign now"


def test_lost_key_is_replaced():
    world = World()
    world.settle()
    world.cluster.put_secret(SECRET_TYPE, {**world.cluster.secret_now.data, "ca.key": b""})
    world.settle()
    everything_is_well(world)
    assert len(world.stored().certificates) == 2


def test_restored_old_secret_leaves_certificates_in_use_trusted():
    world = World()
    world.settle()
    backup = world.cluster.secret_now.data
    world.advance(250 * DAY)
    world.settle()
    world.advance(timedelta(minutes=2))
    world.settle()
    world.advance(20 * DAY)
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    world.cluster.put_secret(SECRET_TYPE, backup)
    world.settle()
    world.advance(timedelta(minutes=2))
    world.settle()
    everything_is_well(world)


def test_ca_of_another_issuer_stays_trusted_for_the_overlap():
    other = create_ca("cert-manager", START - DAY, 90 * DAY)
    world = World(bundles=(("a", other.pem), ("b", other.pem)))
    world.settle()
    everything_is_well(world)
    assert other.certificate in world.stored().certificates
    world.advance(15 * DAY)
    world.settle()
    everything_is_well(world)
    assert other.certificate not in world.stored().certificates


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/tls", ""])
def test_secret_of_another_type_is_never_written(kind):
    world = World()
    world.cluster.put_secret(kind, {"ca.crt": b"theirs"})
    (problem,) = world.group.finish(0).problems
    assert problem == (
        f"Secret mirrorhook/mirrorhook-ca has the type {kind}, not mirrorhook.io/ca: "
        "delete it, or use another name"
    )
    assert world.cluster.writes == []
    assert world.group.replicas[0].get_status(()).reason == "it has no certificate yet"


@pytest.mark.parametrize("kind", ["Opaque", SECRET_TYPE])
def test_reset_bundle_is_restored_while_the_secret_is_unusable(kind):
    world = World()
    world.settle()
    world.cluster.put_secret(kind, {})
    world.cluster.denied.add("patch Secret")
    world.cluster.put_bundles({"a": b"", "b": b""})
    world.settle()
    assert world.ready() == [True] * 3
    assert world.distrusted() == []


def test_new_replica_signs_with_a_ca_that_it_cannot_replace():
    world = World()
    world.settle()
    world.advance(250 * DAY)
    world.cluster.denied.add("patch Secret")
    world.group.restart(0)
    world.settle()
    assert world.ready() == [True] * 3
    assert world.distrusted() == []


def test_replicas_stay_ready_when_the_secret_gets_another_type():
    world = World()
    world.settle()
    world.cluster.put_secret("Opaque", {"ca.crt": b"theirs"})
    for _ in range(20):
        world.advance(DAY)
        world.settle(1)
        assert world.distrusted() == []
    assert world.ready() == [True] * 3
    assert world.cluster.writes == ["create Secret", "patch configuration"]


@pytest.mark.parametrize(
    "method", ["get Secret", "create Secret", "get configuration", "patch configuration"]
)
def test_missing_permission_is_named_and_replicas_recover_once_granted(method):
    world = World()
    world.cluster.denied.add(method)
    world.settle()
    assert world.ready() == [False] * 3
    assert world.group.outcomes[0].problems == (f"cannot {method}: denied",)
    assert not world.group.outcomes[0].unavailable
    world.cluster.denied.clear()
    world.settle()
    everything_is_well(world)


@pytest.mark.parametrize(
    "denied",
    [
        {"patch Secret"},
        {"patch configuration"},
        {"get configuration"},
        {"get Secret"},
        {"patch Secret", "patch configuration", "get configuration", "get Secret"},
    ],
)
def test_replicas_stay_ready_without_permission_while_the_ca_lasts(denied):
    world = World()
    world.settle()
    world.cluster.published = lambda: assert_trusted(world)
    world.cluster.denied |= denied
    for _ in range(364 // 2):
        world.advance(2 * DAY)
        world.settle(1)
        assert world.distrusted() == []
        assert world.ready() == [True] * 3
    assert all(each.problems for each in world.group.outcomes)
    assert len(world.certificates) < 300
    world.cluster.denied.clear()
    world.settle()
    world.advance(timedelta(minutes=2))
    world.settle()
    everything_is_well(world)


def test_replicas_stay_ready_when_a_lost_secret_cannot_be_created():
    world = World()
    world.settle()
    world.cluster.secret_now = None
    world.cluster.denied.add("create Secret")
    for _ in range(30):
        world.advance(DAY)
        world.settle(1)
        assert world.distrusted() == []
        assert world.ready() == [True] * 3


def test_replicas_stay_ready_without_the_api_server():
    world = World()
    world.settle()
    world.cluster.away = True
    for _ in range(300):
        world.advance(DAY)
        world.settle(1)
        assert world.ready() == [True] * 3
        assert world.distrusted() == []
    assert world.group.outcomes[0].unavailable
    world.cluster.away = False
    world.settle()
    world.advance(timedelta(minutes=2))
    world.settle()
    everything_is_well(world)


def test_first_start_without_the_api_server_has_no_certificate():
    world = World()
    world.cluster.away = True
    world.settle()
    assert world.certificates == []
    assert world.ready() == [False] * 3
    world.cluster.away = False
    world.settle()
    everything_is_well(world)


def test_replica_that_cannot_read_the_configuration_is_not_ready():
    world = World()
    world.cluster.denied.add("get configuration")
    world.settle()
    assert world.group.replicas[0].get_status(()).reason == (
        "it could not find out yet whether the API server trusts its certificate"
    )


@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, 6 * DAY, 8 * DAY, 260 * DAY, 1000 * DAY])
def test_clock_that_jumps_and_returns_does_no_harm(jump):
    world = World()
    world.settle()
    for change in (jump, timedelta(minutes=2), -jump, timedelta(minutes=2)):
        world.advance(change)
        world.settle()
        everything_is_well(world)


@pytest.mark.parametrize("hours", [-400 * 24, -2, 2, 260 * 24, 1000 * 24])
def test_wrong_clock_of_one_replica_does_no_harm_to_others(hours):
    world = World(count=2)
    wrong = Rotator(
        MANAGED,
        world.cluster,
        clock=lambda: world.now + timedelta(hours=hours),
        stopwatch=lambda: world.seconds,
        rotation=ROTATION,
        on_certificate=lambda _: None,
        on_status=lambda _: None,
        log=MemoryLog(),
    )
    world.settle()
    group = Group(lambda _: wrong, world.cluster, 1)
    # For longer: after a fortnight it takes what the others use for out of use.
    for _ in range(13):
        world.advance(DAY)
        group.finish(0)
        assert world.distrusted() == []
        world.settle(2)
        assert world.distrusted() == []
        assert world.ready() == [True] * 2
    assert len(world.stored().certificates) <= 3


@pytest.mark.parametrize("days", [260, 1000])
def test_clock_far_ahead_for_months_does_no_harm(days):
    world = World(count=2)
    ahead = Rotator(
        MANAGED,
        world.cluster,
        clock=lambda: world.now + days * DAY,
        stopwatch=lambda: world.seconds,
        rotation=ROTATION,
        on_certificate=lambda _: None,
        on_status=lambda _: None,
        log=MemoryLog(),
    )
    group = Group(lambda _: ahead, world.cluster, 1)
    for _ in range(60):
        world.advance(DAY)
        group.finish(0)
        world.settle(3)
        assert world.distrusted() == []
        assert world.ready() == [True] * 2


def test_replica_with_an_expired_certificate_is_not_ready():
    world = World()
    world.settle()
    replica = world.group.replicas[0]
    world.advance(8 * DAY)
    assert replica.get_status(()).reason == "its certificate expired on 2026-12-02 12:00:00 UTC"


def test_repeated_changes_of_the_bundle_are_reported():
    world = World(count=1)
    for _ in range(5):
        world.settle()
        assert not world.group.outcomes[0].disputed
        world.cluster.put_bundles({"a": b""})
        world.advance(timedelta(seconds=20))
    outcome = world.group.finish(0)
    assert outcome.disputed
    (problem,) = outcome.problems
    assert problem == (
        "the caBundle of MutatingWebhookConfiguration mirrorhook was changed back 5 times "
        "within 300 seconds: something else sets it too, such as GitOps or cert-manager's "
        "cainjector"
    )
    world.advance(timedelta(minutes=5))
    world.settle()
    assert not world.group.finish(0).disputed


def test_status_has_the_expiry_of_the_ca():
    world = World()
    assert world.group.replicas[0].get_status(()).ca_expires_at is None
    world.settle()
    status = world.group.replicas[0].get_status(("something",))
    assert status.ca_expires_at == START + 365 * DAY
    assert status.problems == ("something",)
    assert status.reason == ""


def test_other_keys_of_the_secret_are_kept():
    world = World()
    old = create_ca("x", START - 20 * DAY, 365 * DAY)
    world.cluster.put_secret(
        SECRET_TYPE, {**CASecret().merge(authorities=[old]).encode(), "note": b"mine"}
    )
    world.settle()
    everything_is_well(world)
    assert world.stored().authorities[0].certificate == old.certificate
    assert world.cluster.secret_now.data["note"] == b"mine"
