"""What becomes of an Experiment: a pure decision over a snapshot and `now`.

`facts` is what a pass knows, `memory` what status remembers between passes. `checks` say what a
start waits for, `arranging` makes arms, tables and epochs, `results`, `ratio` and `guardrails`
judge what was counted (`judging` does all of it), `ending` says whether that is an end. `decide` is
the whole decision, `status` and `recommend` write it in words for people. `target` is the other
side: what the passes of ModelDeployments take from the Experiments beside them.
"""
