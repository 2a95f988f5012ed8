"""One function per figure: DataFrame in, matplotlib Figure out. The house style. Reads no file, shows nothing."""

from bnlib.figures.ablations import random_parameters, variants
from bnlib.figures.accuracy import fig1_affine, fig2_depth, fig2_width, fig3_depth_or_width, vgg
from bnlib.figures.curves import curve, curves
from bnlib.figures.gamma import fig4_gamma, fig5_thresholds, gamma_layers
from bnlib.figures.parameters import table1
from bnlib.figures.probes import clamping_or_chance, fig6_clamping, fig7_relu, relu_layers
from bnlib.figures.speed import scaling, steps

__all__ = [
    "clamping_or_chance",
    "curve",
    "curves",
    "fig1_affine",
    "fig2_depth",
    "fig2_width",
    "fig3_depth_or_width",
    "fig4_gamma",
    "fig5_thresholds",
    "fig6_clamping",
    "fig7_relu",
    "gamma_layers",
    "random_parameters",
    "relu_layers",
    "scaling",
    "steps",
    "table1",
    "variants",
    "vgg",
]
