"""Values on the picture of the dashboard are written as Grafana writes them."""

from __future__ import annotations

import pytest

from tests.site.dashboard import Curve, PanelPicture, Plot, choose_step, format_value, take_picture
from tests.tools.browser import CHROMIUM


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "ops", "0 ops/s"),
        (0.0125, "s", "12.5 ms"),
        (0.00002, "s", "20 µs"),
        (604_800, "s", "7 days"),
        (75 * 1024**2, "bytes", "75 MiB"),
        (2, "none", "2"),
    ],
)
def test_value_has_its_unit(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize(("highest", "step"), [(0, 1), (8, 2), (9, 5), (0.03, 0.01), (100, 50)])
def test_ticks_of_an_axis_are_round_numbers(highest, step):
    assert choose_step(highest) == pytest.approx(step)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium (Debian: chromium) is not here")
def test_texts_of_a_panel_are_no_markup(tmp_path):
    plot = Plot(70, 30, 300, 150, [(150, "0")], [], [Curve("</svg><b>", "#fff", "0,0 9,9", "0,0")])
    panel = PanelPicture("timeseries", "<i>a</i>", 0, 0, 400, 200, plot=plot)
    take_picture([panel], tmp_path / "a.png", tmp_path)
    page = (tmp_path / "dashboard.html").read_text()
    assert "&lt;i&gt;a" in page
    assert "&lt;/svg&gt;" in page
