"""What the whole paper costs."""

import pandas as pd

from bnlib.report.analysis.tables import device_names, table
from bnlib.words import duration

AT_A_TIME = 8
UNKNOWN = "not measured"


def whole_cost(frame: pd.DataFrame):
    """The rows of `experiments.whole_cost` as a table to read; a GPU has a row also where none has been measured.

    Eight at a time take an eighth of the time, but not less than the longest training, which is trained by one.
    """
    rows = [
        {
            "machine": device,
            "runs it is reckoned from": str(row.known),
            "one at a time": duration(row.seconds),
            "eight such at a time": duration(max(row.seconds / AT_A_TIME, row.longest)),
            "the longest training": duration(row.longest),
        }
        for device, row in zip(device_names(frame.device), frame.itertuples(), strict=True)
    ]
    if not frame.gpu.any():
        names = ("runs it is reckoned from", "one at a time", "eight such at a time", "the longest training")
        rows.insert(0, {"machine": "a GPU", **dict.fromkeys(names, UNKNOWN), "runs it is reckoned from": "none"})
    return table(pd.DataFrame(rows))
