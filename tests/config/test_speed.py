from __future__ import annotations

from time import process_time

from webhook.config import parse_rules


def seconds(count):
    """Seconds of this process that a file of *count* rules takes."""
    rules = "".join(
        f"- match: docker.io/org{i}\n  mirrors: [harbor.example.com/org{i}]\n" for i in range(count)
    )
    text = 'rules:\n- {match: "*", mirrors: [cache.example.com/all]}\n' + rules
    start = process_time()
    configuration = parse_rules(text, "rules.yaml")
    spent = process_time() - start
    assert len(configuration.policies["default"].mirrors.rules) == count + 1
    return spent


def test_the_cost_of_a_file_grows_with_its_rules_and_no_faster():
    seconds(100)

    assert seconds(4000) < 25 * max(seconds(500), 0.05)
