"""Statistics of rollouts and experiments: pure functions of sums that add up.

An *aggregate* is what is counted (`aggregates`, `histogram`). An *estimate* is a number with its
standard error. For people there are fixed-sample methods (`proportions`, `means`, `bayes`, the
chi-squared half of `ratio`): right once, at the end. A controller looks at every pass, so it
decides by the anytime-valid ones (`sequential`, `eprocess`, the other half of `ratio`), which hold
however often and whenever one looks. `epochs` joins what was counted under different weights,
`multiplicity` pays for several arms, `power` says how long it will take.

`docs/statistics.md` lists each method with its formula, source and place of use.
"""
