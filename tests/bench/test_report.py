"""How a run of `./dev bench` is judged and told. What it measures is no test: times depend on the machine."""
import json
import os
import sys
import xml.dom.minidom

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bench"))

import report  # noqa: E402
from measure import Row, cpu_seconds, process_tree  # noqa: E402

ROWS = [Row("fast", "at least", "a peer", 1.0, "x", [0.9, 1.3, 1.1]), Row("slow", "at most <so>", "a peer", 20, "ms", [25.0, 30.0], is_least=False),
        Row("bare", "no budget", "nothing", None, "/s", [12345.6])]


def test_the_median_of_the_rounds_is_judged():
    assert [row.is_reached for row in ROWS] == [True, False, None]
    assert ROWS[0].median == 1.1
    assert not Row("edge", "", "", 1.0, "x", [0.9, 1.3, 0.95]).is_reached


def test_the_table_names_what_was_missed_and_the_spread():
    lines = report.table(ROWS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "reached" in lines[2] and "0.90 .. 1.30 x" in lines[2] and ">= 1.00 x" in lines[2]
    assert "MISSED" in lines[3] and "<= 20.0 ms" in lines[3]
    assert "12,346/s" in lines[4]


def test_a_run_is_written_as_json_table_and_plot(tmp_path):
    paths = report.write(str(tmp_path), ROWS, {"rounds": 3})
    with open(paths["result.json"]) as file:
        result = json.load(file)
    assert [row["reached"] for row in result["rows"]] == [True, False, None]
    assert result["rows"][0]["rounds"] == [0.9, 1.3, 1.1] and result["about"] == {"rounds": 3}
    plot = xml.dom.minidom.parse(paths["result.svg"])
    assert len(plot.getElementsByTagName("rect")) == 3  # the ground, and a bar for each row with a budget


def test_the_time_of_children_counts():
    assert os.getpid() in process_tree(os.getpid())
    assert cpu_seconds(os.getpid()) > 0
