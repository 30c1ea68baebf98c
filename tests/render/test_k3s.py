from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from webhook.render.k3s import make_exclusion_pattern

parts = st.sampled_from(["a", "b", "ab", "a-b", "library", "lib", "a.b", "0"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@given(st.sets(paths, min_size=1, max_size=5), paths)
def test_exclusion_pattern_matches_all_names_except_other_paths(others, name):
    is_other = any(name == path or name.startswith(f"{path}/") for path in others)
    assert bool(re.fullmatch(make_exclusion_pattern(others), name)) is not is_other
