"""The soak test itself: that it finds growth, that its picture is whole, and that it runs."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from tests.soak.__main__ import draw_soak, run_soak
from tests.soak.picture import Line, Panel, draw, find_step
from tests.soak.samples import BOUNDS, Sample, find_growth

STEADY = Sample(
    minute=0,
    memory=90,
    descriptors=30,
    to_mirror=9,
    threads=7,
    median=1.5,
    worst=20,
    rate=40,
    cost=900,
)
# Of each bound: what grows, and by how much within the hour.
GROWTH = {
    "memory": ("memory", 30),
    "file descriptors, others": ("descriptors", 20),
    "connections to the mirror": ("to_mirror", 80),
    "threads": ("threads", 6),
    "processor for each review": ("cost", 900),
    "latency, 50 %": ("median", 10),
    "latency, 99 %": ("worst", 400),
}


def sample_hour(**grows):
    """An hour of samples, some of whose values grow steadily, and all of which vary a little."""
    for minute in range(61):
        values = {name: getattr(STEADY, name) + by * minute / 60 for name, by in grows.items()}
        sample = replace(STEADY, minute=minute, **values)
        yield replace(sample, memory=sample.memory + minute % 2, worst=sample.worst + minute % 7)


def test_steady_process_is_within_all_bounds():
    assert all(growth.holds for growth in find_growth([*sample_hour()]))


@pytest.mark.parametrize("bound", [bound.name for bound in BOUNDS])
def test_growth_of_each_kind_is_found_and_no_other_is_reported(bound):
    name, by = GROWTH[bound]
    found = find_growth([*sample_hour(**{name: by})])
    assert [growth.bound.name for growth in found if not growth.holds] == [bound]


def test_growth_in_the_warm_up_is_none():
    """Caches fill in the first quarter of an hour."""
    samples = [replace(sample, memory=min(60 + 3 * sample.minute, 100)) for sample in sample_hour()]
    assert all(growth.holds for growth in find_growth(samples))


def test_single_peak_is_no_growth():
    samples = [*sample_hour()]
    samples[-1] = replace(samples[-1], memory=900, worst=9000)
    assert all(growth.holds for growth in find_growth(samples))


def test_few_samples_are_not_judged():
    with pytest.raises(ValueError, match="too few"):
        [*find_growth([STEADY, replace(STEADY, minute=1)])]


def test_picture_stays_within_its_frame_and_follows_the_mode_of_its_reader():
    points = [(minute, 100 * (minute % 3)) for minute in range(61)]
    text = draw("A <picture>", [Panel("One & two", [Line("a", points), Line("b", points)])], [30])
    picture = ET.fromstring(text)
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    for x, y in re.findall(r"([\d.-]+),([\d.-]+)", " ".join(line.get("points") for line in lines)):
        assert 0 <= float(x) <= width
        assert 0 <= float(y) <= height
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("highest", [0.02, 0.5, 1, 3, 7, 42, 60, 99, 100, 1234])
def test_grid_lines_are_few_and_round(highest):
    step = find_step(highest)
    assert 1 <= highest / step <= 5.000001
    assert float(f"{step:.0e}") == pytest.approx(step)


def test_soak_of_seconds_answers_all_reviews_and_draws_them(tmp_path):
    soak = run_soak(tmp_path, 3)
    assert soak.problems == []
    assert soak.reviews > 0
    assert all(sample.memory > 10 and sample.descriptors > 3 for sample in soak.samples)
    ET.fromstring(draw_soak(soak))
