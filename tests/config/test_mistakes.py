from __future__ import annotations

from operator import itemgetter
from pathlib import Path

import pytest
import yaml

MISTAKES = yaml.load(Path(__file__).with_name("mistakes.yaml").read_text(), Loader=yaml.CSafeLoader)


@pytest.mark.parametrize("mistake", MISTAKES, ids=itemgetter("problem"))
def test_problem_is_reported_with_its_location(refused, mistake):
    assert refused(mistake["file"]) == [f"rules.yaml:{mistake['problem']}"]
