"""Where the kernels find what: columns of their tables, rows of their work space, phases of their search."""

from __future__ import annotations

EXACT, TWO_MOMENT, METRIC = 0, 1, 2
SPANS = 128
# Rows of the work space of one level of the tree.
THINNED, OWN, AT, SEEN, PMF, CDF, LOSS, SPREAD, MISSED, BACK, CROSS, LATES, LAW, SCRATCH, SPARE = range(15)
WORK_ROWS = 15
# Columns of a row: figures (F, see `pipelines.Pipelines`) and whole numbers (N). One array each, because a
# call with a score of arrays costs more than the pricing of a small site.
(
    MEAN,
    EXCESS,
    SHARE,
    TIED,
    AHEAD,
    LUMP,
    COST,
    WORTH,
    CHANCE,
    LATENESS,
    LATE_MEAN,
    LATE_EXCESS,
    LATE_TIED,
) = range(13)
STOP, LOW, HIGH, STOCK, UP = range(5)
FIGURES, WHOLES = LATE_TIED + 1, UP + 1
# What is asked: the certain minimum, the measures of given levels, a quick walk without certainty.
SEARCH, WRITE, QUICK = 0, 1, 2
FIRST, WALK, DOWN, FREE, SPAN, STEP = 0, 1, 2, 3, 4, 5
ROW, STOCKED, LENGTH = range(3)
# Columns of what is told of a row: the first three always, the others where levels are given (WRITE).
(
    TOLD_EBO,
    TOLD_MISS,
    TOLD_LATE,
    TOLD_OVER,
    TOLD_UNDER,
    TOLD_AT,
    TOLD_BELOW,
    TOLD_LATE_AT,
    TOLD_LATE_BELOW,
) = range(9)
TOLD_ALWAYS = 3
# Entries of the thinned laws that are carried from stock to stock.
KNOWN = 12
AT_STOCK, NOT_LAID, TOO_FEW = 3 * KNOWN, -1.0, -2.0
# Whole laws of leaves with more pieces on order, carried from stock to stock: for which stock, and how far
# they reach (on order, and of those the ones still to come when the window closes).
WHOLE_AT, WHOLE_END, WHOLE_LATE_END = AT_STOCK + 1, AT_STOCK + 2, AT_STOCK + 3
LAWS_WIDTH = WHOLE_LATE_END + 1
# Rows of them: while the site above is short, and without anything from there; the same two, still to come.
SHORT, ALONE, LATE_SHORT, LATE_ALONE = range(4)
WHOLE_ROWS = 4
