"""One function per figure, in the house style: DataFrame in, matplotlib Figure out. What the numbers say lives in `analysis`.

Reads no file. `show` puts a figure into a page: with a caption, right in light and dark, and with words for who cannot see it,
which each function makes of its data (`figure.alt`).
"""

from bnlib.report.figures.ablations import random_parameters, variants
from bnlib.report.figures.accuracy import (
    fig1_affine,
    fig2_depth,
    fig2_width,
    fig3_depth_or_width,
    front,
    vgg,
)
from bnlib.report.figures.curves import curve, curves
from bnlib.report.figures.gamma import fig4_gamma, fig5_thresholds, gamma_layers
from bnlib.report.figures.off import why_off
from bnlib.report.figures.parameters import table1
from bnlib.report.figures.photographs import blog_keras, fig2_imagenet
from bnlib.report.figures.probes import clamping_or_chance, fig6_clamping, fig7_relu, relu_layers
from bnlib.report.figures.show import Shown, show
from bnlib.report.figures.speed import scaling, steps

__all__ = [
    "Shown",
    "blog_keras",
    "clamping_or_chance",
    "curve",
    "curves",
    "fig1_affine",
    "fig2_depth",
    "fig2_imagenet",
    "fig2_width",
    "fig3_depth_or_width",
    "fig4_gamma",
    "fig5_thresholds",
    "fig6_clamping",
    "fig7_relu",
    "front",
    "gamma_layers",
    "random_parameters",
    "relu_layers",
    "scaling",
    "show",
    "steps",
    "table1",
    "variants",
    "vgg",
    "why_off",
]
