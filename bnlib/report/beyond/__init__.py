"""The chapters beyond the paper: of each its table, its figure and what it says. What all pages share lives in `report`."""
