"""Charts as pictures, for papers and slides."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from motionlift.bench.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Point, keyed
from motionlift.video.marks import drawn, exif_of

CHART = drawn("chart", ".png")
"""The file."""
SCALE = 3
"""Pixels for each unit of a chart (ours: 200 a centimetre in a column of a paper)."""
SMOOTH = 2
"""By how much it is drawn larger, so that lines are smooth (ours)."""
INK, QUIET, LINE, ACCENT, GROUND = "#1d1f21", "#62676c", "#c9c9c4", "#b83d15", "#ffffff"
"""Colours, as the page has them in daylight."""
TEXT, HEADLINE, ROW = 12, 14, 18
"""Sizes of text and the height of a line of the key, in the chart's units (ours)."""
RADIUS = 5
"""Of a point, likewise."""


def save_chart(chart: Chart, path: Path) -> None:
    """Write a chart with its title above and its key below, as a PNG.

    Raises:
        OSError: it cannot be written.
    """
    height = HEADLINE * 2 + HEIGHT + ROW * (len(chart.points) + 1)
    size = (WIDTH * SCALE, height * SCALE)
    canvas = _Canvas(Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), GROUND))
    canvas.text(LEFT, HEADLINE, chart.title, INK, "lm", HEADLINE)
    canvas.down = HEADLINE * 2
    _draw_axes(canvas, chart)
    for point in chart.points:
        _draw_point(canvas, point)
    for place, point in enumerate(chart.points):
        canvas.text(*point.label, str(point.number), INK, "ls")
        canvas.text(LEFT, HEIGHT + ROW * (place + 0.5), f"{point.number}  {keyed(point)}", INK, "lm")
    canvas.image.resize(size, Image.Resampling.LANCZOS).save(path, "PNG", exif=exif_of(CHART))


class _Canvas:
    """A picture that is drawn on in a chart's units."""

    def __init__(self, image: Image.Image):
        self.image, self.down = image, 0.0
        self._draw = ImageDraw.Draw(image)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float = 1) -> None:
        self._draw.line([self._place(*start), self._place(*end)], colour, round(width * SCALE * SMOOTH))

    def circle(self, x: float, y: float, colour: str, is_full: bool) -> None:
        radius = RADIUS * SCALE * SMOOTH
        fill, width = (colour, 0) if is_full else (GROUND, 2 * SCALE * SMOOTH)
        self._draw.circle(self._place(x, y), radius, fill, colour, width)

    def text(self, x: float, y: float, words: str, colour: str, anchor: str, size: float = TEXT) -> None:
        self._draw.text(self._place(x, y), words, colour, _font(size), anchor)

    def upright(self, x: float, y: float, words: str, colour: str) -> None:
        """Text from below to above, its middle at a place."""
        *_, right, bottom = _font(TEXT).getbbox(words, anchor="la")
        strip = Image.new("RGB", (round(right), round(bottom)), GROUND)
        ImageDraw.Draw(strip).text((0, 0), words, colour, _font(TEXT), "la")
        turned = strip.transpose(Image.Transpose.ROTATE_90)
        across, down = self._place(x, y)
        self.image.paste(turned, (round(across - turned.width / 2), round(down - turned.height / 2)))

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return x * SCALE * SMOOTH, (y + self.down) * SCALE * SMOOTH


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE * SMOOTH)


def _draw_axes(canvas: _Canvas, chart: Chart) -> None:
    """Axes with ticks, their labels and titles, as the page has them."""
    low, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in chart.x_ticks:
        canvas.line((tick.place, TOP), (tick.place, low), LINE, 0.5)
        canvas.text(tick.place, low + 16, tick.label, QUIET, "ms")
    for tick in chart.y_ticks:
        canvas.line((LEFT, tick.place), (right, tick.place), LINE, 0.5)
        canvas.text(LEFT - 6, tick.place, tick.label, QUIET, "rm")
    canvas.line((LEFT, low), (right, low), INK)
    canvas.line((LEFT, TOP), (LEFT, low), INK)
    canvas.text((LEFT + right) / 2, HEIGHT - 12, chart.x_title, INK, "ms")
    canvas.upright(12, (TOP + low) / 2, chart.y_title, INK)


def _draw_point(canvas: _Canvas, point: Point) -> None:
    x, y = point.x, point.y
    canvas.line((x.low, y.mean), (x.high, y.mean), QUIET, 1.5)
    canvas.line((x.mean, y.low), (x.mean, y.high), QUIET, 1.5)
    canvas.circle(x.mean, y.mean, ACCENT, point.is_whole)
