"""One page per Experiment: what it counted, judged by the same statistics as the operator's.

`analysis` makes numbers of what was counted, `charts` draws them, `html` writes the page. All are
functions of their arguments: the page of a running recorder and the report on disk are the same.
"""
