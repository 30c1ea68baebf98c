"""The picture of the dashboard can be taken again, and every panel shows something."""

from __future__ import annotations

import struct

import pytest

from tests.cluster.dashboard import PICTURE, draw_dashboard
from tests.site.dashboard import WIDTH, take_picture
from tests.tools.browser import CHROMIUM
from tests.tools.prometheus import PROMETHEUS
from tests.tools.registry import PROGRAM

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and PROMETHEUS and PROGRAM),
    reason="Debian has what it needs: apt-get install chromium docker-registry prometheus",
)
# Nothing failed in that way.
EMPTY = {"Pods refused"}
# They depend on faults that may be over before the first scrape, when the run is short.
SHORT = {"Pods admitted without an answer", "Failed image checks by mirror"}


def test_every_panel_of_the_dashboard_shows_a_cluster_under_load(plane, space, tmp_path):
    panels = draw_dashboard(plane, space, tmp_path, seconds=30)
    drawn = {panel.title: panel for panel in panels if panel.kind != "row"}
    empty = {
        title
        for title, panel in drawn.items()
        if panel.text == "No data" or (panel.plot and not panel.plot.curves)
    }
    assert EMPTY <= empty <= EMPTY | SHORT
    assert drawn["Replicas"].text == "2"
    legend = {curve.name for curve in drawn["Images by outcome"].plot.curves}
    assert {"rewritten", "unavailable", "kept", "unmatched"} <= legend

    picture = tmp_path / "dashboard.png"
    take_picture(panels, picture, tmp_path)

    png = picture.read_bytes()
    assert struct.unpack(">I", png[16:20]) == (WIDTH,)
    # A blank page compresses to a few kilobytes.
    assert len(png) > 50_000
    assert png[16:24] == PICTURE.read_bytes()[16:24]
