"""One function per figure: DataFrame in, matplotlib Figure out. The house style. Reads no file, shows nothing."""

from bnlib.figures.accuracy import curve, fig2_depth
from bnlib.figures.gamma import fig4_gamma, fig5_thresholds
from bnlib.figures.parameters import table1
from bnlib.figures.speed import scaling, steps

__all__ = ["curve", "fig2_depth", "fig4_gamma", "fig5_thresholds", "scaling", "steps", "table1"]
