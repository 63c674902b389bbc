"""Charts as pictures."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from motionlift.bench.report.charts import charts
from motionlift.bench.report.drawing import ACCENT, CHART, HEADLINE, SCALE, save_chart
from motionlift.bench.report.summary import sections
from tests.bench.made_records import error_records, record


def test_points_lie_where_the_page_has_them(tmp_path: Path):
    (section,) = sections(error_records({"none": [0.3, 0.5], "smm": [0.1, 0.1]}))
    chart, _ = charts(section)
    path = tmp_path / "chart.png"
    save_chart(chart, path)
    assert CHART.wrote(path)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    accent = ImageColor.getrgb(ACCENT)
    for point in chart.points:
        across, down = round(point.x.mean * SCALE), round((point.y.mean + 2 * HEADLINE) * SCALE)
        assert tuple(pixels[down, across]) == accent
    assert 500 < (pixels == accent).all(-1).sum() < 2000, "nothing else has that colour"


def test_what_is_known_in_part_is_hollow(tmp_path: Path):
    cached = record("smm", 0, {"aligned_error": 0.2}, lifted_from_cache=True)
    (cost,) = charts(sections([cached])[0])
    path = tmp_path / "chart.png"
    save_chart(cost, path)
    (point,) = cost.points
    with Image.open(path) as picture:
        middle = picture.getpixel((round((point.x.mean + 1) * SCALE), round((point.y.mean + 2 * HEADLINE + 1) * SCALE)))
    assert middle == (255, 255, 255)
