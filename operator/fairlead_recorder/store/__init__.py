"""Events and sums of experiments in a database; what is acknowledged is durable.

`database` hides which database it is. The rest are functions of a session inside a transaction:
`experiments` (what is known of an experiment), `exposures`, `outcomes`, `departures`, `forgetting`
change rows and, by increments, the sums; `summary` reads the sums, `recount` compares them with the
events. `writer` runs changes in a thread of its own, many in one transaction.
"""
