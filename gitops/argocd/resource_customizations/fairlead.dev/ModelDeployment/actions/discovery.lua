-- What can be said to the rollout that is under way; see docs/rollouts.md.
local rollout = {}
if obj.status ~= nil and type(obj.status.rollout) == "table" then
  rollout = obj.status.rollout
end
local phase = rollout.phase
local paused = rollout.paused == true
local named = rollout.hash ~= nil
local on_its_way = named and (phase == "Validating" or phase == "Starting" or phase == "Shadow"
  or phase == "Step" or phase == "Promoting")
local promotable = named and (phase == "Starting" or phase == "Shadow" or phase == "Step")
local failed = named and (phase == "RolledBack" or (phase == "Validating" and rollout.retryAt ~= nil))

return {
  promote = { disabled = not promotable, displayName = "Promote", iconClass = "fa fa-fw fa-forward" },
  pause = { disabled = not on_its_way or paused, displayName = "Pause", iconClass = "fa fa-fw fa-pause" },
  resume = { disabled = not paused, displayName = "Resume", iconClass = "fa fa-fw fa-play" },
  abort = { disabled = not on_its_way, displayName = "Abort", iconClass = "fa fa-fw fa-undo" },
  retry = { disabled = not failed, displayName = "Retry", iconClass = "fa fa-fw fa-redo" },
}
