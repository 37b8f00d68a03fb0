"""One look for every figure: colours that mean things, number formats, and ``show`` with alt text.

``custkit.plots`` gives all of this out again; import it from there.

Sources: blue and orange of Okabe and Ito (2008), "Color Universal Design", the others chosen so that all
lines differ under simulated deuteranopia, protanopia and in greyscale (tested); relative luminance of
WCAG 2.1 for the colour of text on a shaded cell.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from custkit.errors import DataError, ParameterError

COLOURS: dict[str, str] = {
    "actual": "#222222",  # what happened
    "model": "#0072B2",  # the model of the lesson
    "model_2": "#E69F00",  # its rival
    "model_3": "#7FC8F0",  # a third model
    "rule": "#882E72",  # the manager's rule of thumb (RFM)
    "baseline": "#8C8C8C",  # chance, or the simplest forecast
    "boundary": "#555555",  # end of calibration, observation end
    "good": "#2BA889",
    "bad": "#A63A00",
    "muted": "#C4C8CC",  # context, not the point of the figure
    "customers": "#7F8A94",
    "money": "#1B6F8F",
    # RFM segments: blue = valuable and here, green = growing, orange = slipping away, grey = gone
    "Champions": "#08457E",
    "Loyal": "#1F6DB0",
    "Potential loyalists": "#2BA889",
    "New customers": "#8FD6B8",
    "Need attention": "#F0E08A",
    "About to sleep": "#FDC98A",
    "Cannot lose them": "#A63A00",
    "At risk": "#E6762B",
    "Hibernating": "#A7ADB3",
    "Lost": "#6B7278",
    # stages of the lifecycle: ever darker; violet = no customer yet, green, blue = customer, wine = silent
    "attract": "#E3DCF3",
    "acquire": "#BBA9DD",
    "convert": "#5AA98C",
    "retain": "#3F79AE",
    "develop": "#264A77",
    "reacquire": "#5E1F2B",
}
"""Meaning -> colour. A colour is asked for by what it stands for, never by its name."""

ROLES: dict[str, str] = {
    "BG/NBD": "model",
    "Pareto/NBD": "model_2",
    "MBG/NBD": "model_3",
    "NBD": "baseline",
    "RFM": "rule",
    "RFM score": "rule",
    "CLV": "model",
    "random": "baseline",
}
"""Column label -> meaning, for the names most figures use; pass ``roles=`` for others."""

DASHES: dict[str, object] = {
    "model_2": (0, (5, 2)),
    "model_3": (0, (8, 2, 2, 2)),
    "rule": (0, (3, 1.5, 1, 1.5)),
    "baseline": (0, (1, 1.5)),
}
"""Line pattern beside the colour, so that lines differ in greyscale too (solid where not named)."""

HEAT = LinearSegmentedColormap.from_list(
    "custkit_heat", ["#F5F8FA", "#9CC3DC", "#2F7FB5", "#08355F"], bad="#E3E3E3"
)
"""Light to dark in one hue, so that it reads the same in greyscale."""

_CJK = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "SimHei")
_STYLE = {
    "figure.figsize": (8, 4.2),
    "figure.dpi": 100,  # 8 inches wide = 800 pixels
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "savefig.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.prop_cycle": mpl.cycler(color=[COLOURS[k] for k in ("model", "model_2", "model_3", "rule", "bad")]),
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "hatch.linewidth": 0.6,
}


def use_style() -> None:
    """Set matplotlib to the house style. Helpers that make their own figure do it themselves."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    # an absent family would be complained about for every text, so only what is there is listed
    fallback = [name for name in _CJK if name in installed][:1]
    mpl.rcParams.update({**_STYLE, "font.family": ["DejaVu Sans", *fallback]})


def new_axes(ax: Axes | None, height: float = 4.2, width: float = 8.0) -> Axes:
    """The Axes given, or those of a new figure in the house style (inches; 100 pixels an inch)."""
    if ax is not None:
        return ax
    use_style()
    return plt.subplots(figsize=(width, height))[1]


def show(drawing: Figure | Axes, alt: str) -> None:
    """Display a figure as PNG with its alt text, then close it.

    Parameters
    ----------
    drawing : Figure or Axes
        What to show (anything with a ``figure``, so seaborn's grids too).
    alt : str
        One or two sentences for a reader who does not see the picture: what is drawn and how. Stored as
        ``metadata["image/png"]["alt"]`` of the output and as its plain text.

    Raises
    ------
    ParameterError
        If ``alt`` is empty.

    Notes
    -----
    The same figure gives the same bytes: no time stamp or version is written. Outside IPython the figure
    is drawn, so that faults appear, and closed.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ParameterError('show needs alt="…": one sentence that says what the figure draws')
    figure = getattr(drawing, "figure", drawing).get_figure(root=True)
    png = png_bytes(figure)
    plt.close(figure)
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is not None:
        from IPython.display import display

        bundle = {"image/png": base64.b64encode(png).decode(), "text/plain": alt.strip()}
        display(bundle, raw=True, metadata={"image/png": {"alt": alt.strip()}})


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG: 100 pixels an inch, at most 256 colours (a third of the size), no time stamp."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(100)
    canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()  # the pixels of savefig, which lays the figure out twice
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture = pixels.quantize(256, dither=Image.Dither.NONE)
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def money(value: float, currency: str = "", *, short: bool = False) -> str:
    """A sum of money as text: ``money(1234.5, "$")`` is ``$1,234`` or, short, ``$1.2k``.

    ``currency`` is a sign put in front, or a code such as ``USD``, put in front with a space.
    """
    if pd.isna(value):
        return "–"
    size, tail = abs(float(value)), ""
    if short:
        for limit, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
            if size >= limit * 0.9995:
                size, tail = size / limit, letter
                break
    digits = 1 if tail and size < 99.95 else 2 if not tail and 0 < size < 10 else 0
    text = f"{size:,.{digits}f}"
    text = text.removesuffix(".0") if digits == 1 else text.removesuffix(".00")
    gap = "\N{NO-BREAK SPACE}" if len(currency) > 1 else ""
    return f"{'−' if value < 0 else ''}{currency}{gap}{text}{tail}"


def percent(share: float, digits: int = 0) -> str:
    """A share as text: ``percent(0.123)`` is ``12%``; above nothing but below half a per cent, ``<1%``."""
    if digits == 0 and 0 < share < 0.005:
        return "<1%"
    return "–" if pd.isna(share) else f"{share:.{digits}%}".replace("-", "−")


def count(number: float) -> str:
    """A number of things as text, with thousands separators."""
    return "–" if pd.isna(number) else f"{number:,.0f}".replace("-", "−")


def format_axis(axis, kind: str = "count", *, bins: int = 6) -> None:
    """Write the ticks of an axis: ``count`` (at most ``bins`` steps), ``percent`` or ``money`` (no sign)."""
    text = {"count": count, "percent": percent, "money": money}[kind]
    if kind == "count":
        axis.set_major_locator(MaxNLocator(integer=True, nbins=bins, steps=[1, 2, 2.5, 5, 10]))

    def write(value: float, _: int) -> str:
        thousands = kind == "money" and np.abs(axis.get_view_interval()).max() >= 10_000
        return money(value, short=True) if thousands else text(value)

    axis.set_major_formatter(FuncFormatter(write))


def money_label(what: str, currency: str) -> str:
    """An axis label with its unit: ``money_label("CLV", "$")`` is ``CLV ($)``."""
    return f"{what} ({currency})" if currency else what


def text_colour(background) -> str:
    """Black or white, whichever stands out more from the background colour."""
    rgb = np.asarray(to_rgb(background))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    with_white, with_black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.06
    return "#FFFFFF" if with_white > with_black else "#1A1A1A"


def segment_colour(name: str) -> str:
    """The fixed colour of a segment; muted for a name that is not the house's."""
    return COLOURS.get(str(name), COLOURS["muted"])


def line_looks(labels: Iterable[str], roles: Mapping[str, str] | None = None) -> dict[str, dict]:
    """Colour and line pattern for each label: by its role, else by the first role still free."""
    labels, known = list(labels), {**ROLES, **(roles or {})}
    wrong = sorted({role for role in (roles or {}).values() if role not in COLOURS})
    if wrong:
        raise ParameterError(f"roles: {', '.join(wrong)} not in COLOURS; known are {', '.join(COLOURS)}")
    taken = {known[label] for label in labels if label in known}
    free = [role for role in ("model", "model_2", "model_3", "rule", "bad", "money") if role not in taken]
    chosen = {label: known.get(label) or (free.pop(0) if free else "muted") for label in labels}
    return {
        label: {"color": COLOURS[role], "linestyle": DASHES.get(role, "-")} for label, role in chosen.items()
    }


def need(frame: pd.DataFrame, columns: Iterable[str], caller: str) -> None:
    """Raise DataError naming every column the figure needs and the frame lacks, or that it is empty."""
    there = ", ".join(map(str, frame.columns))
    faults = [f"{caller} needs a column {c!r}; there are: {there}" for c in columns if c not in frame]
    if not faults and frame.empty:
        faults = [f"{caller}: the table has no rows, so there is nothing to draw"]
    if faults:
        raise DataError(faults)


BESIDE = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
"""How a number is written beside the end of its bar."""


def whiskers(middle: pd.Series, low: pd.Series, high: pd.Series) -> np.ndarray:
    """Lengths below and above for errorbar; an end on the wrong side has length 0."""
    return np.clip(np.array([middle - low, high - middle], dtype=float), 0, None)


def name_rows(ax: Axes, names: Iterable[str]) -> None:
    """Names on the y axis, first row on top, no tick marks."""
    names = list(names)
    ax.set_yticks(np.arange(len(names)), names)
    ax.tick_params(axis="y", length=0)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()


def no_frame(ax: Axes) -> None:
    """No frame and no tick marks, for shaded cells."""
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def sentence(label: str) -> str:
    """The start of a title from a label: up to its first comma, with a capital."""
    start = label.split(",")[0]
    return start[:1].upper() + start[1:]
