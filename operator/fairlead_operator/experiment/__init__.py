"""What becomes of an Experiment: a pure decision over a snapshot and `now`.

`facts` is what a pass knows, `memory` what status remembers between passes, `table` the slot table
with the epoch of each run. `results`, `ratio` and `guardrails` judge what was counted, `decide` is
the whole decision, `status` writes it in words for people. `target` is the other side: what the
passes of ModelDeployments take from the Experiments beside them.
"""
