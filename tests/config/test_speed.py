from __future__ import annotations

from time import process_time

from webhook.config import parse_rules


def measure(count):
    """Return the CPU seconds that parsing a file of *count* rules takes."""
    rules = "".join(
        f"- match: docker.io/org{i}\n  mirrors: [harbor.example.com/org{i}]\n" for i in range(count)
    )
    text = 'rules:\n- {match: "*", mirrors: [cache.example.com/all]}\n' + rules
    start = process_time()
    configuration = parse_rules(text, "rules.yaml")
    spent = process_time() - start
    assert len(configuration.policies["default"].mirrors.rules) == count + 1
    return spent


def test_parsing_time_is_linear_in_the_number_of_rules():
    measure(100)

    assert measure(4000) < 25 * max(measure(500), 0.05)
