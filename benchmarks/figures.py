"""Write figures for the documentation: one for light pages and one for dark pages. They are equal to the byte if nothing has changed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["COLOURS", "markdown_picture", "note_of", "save_figure"]

# The colours of Okabe and Ito, without yellow and black. People with every kind of colour vision can tell them apart.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")

# The characters in a line of small print under a figure that is eight inches wide.
_NOTE_WIDTH = 150

_INK = {"light": "#24292f", "dark": "#d1d7e0"}


def save_figure(draw: Callable[[], Figure], path: Path, note: str) -> None:
    """Write the figure that `draw` returns as SVG, to ``path-light.svg`` and ``path-dark.svg``. The background is transparent.

    `note` is printed below in small print. It says where the figure was measured.
    """
    for theme, ink in _INK.items():
        inks = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), ink)
        # Without a salt, the names of elements differ from run to run. Text as paths would depend on the machine's fonts.
        fixed = {"svg.hashsalt": "model2vec-numba", "svg.fonttype": "none"}
        look = {
            "axes.facecolor": "none",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.2,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
        with mpl.rc_context({**inks, **fixed, **look, "legend.frameon": False, "font.size": 10}):
            figure = draw()
            figure.text(0.01, -0.01, "\n".join(textwrap.wrap(note, _NOTE_WIDTH)), fontsize=6, va="top")
            figure.savefig(path.with_name(f"{path.name}-{theme}.svg"), transparent=True, metadata={"Date": None}, bbox_inches="tight")


def note_of(name: str, machine: str) -> str:
    """Return the small print of a figure: the machine, and the number of threads."""
    return f"{machine} {'One thread to all.' if name == 'growth-threads' else 'One thread.'}"


def markdown_picture(path: str, text: str) -> str:
    """Return the lines of Markdown that show a figure, in the version that suits the page."""
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{path}-dark.svg">'
    return f'<picture>\n  {dark}\n  <img src="{path}-light.svg" alt="{text}">\n</picture>'
