-- Ready is Healthy, Stalled is Degraded, all else is on its way, but for what waits for people: a
-- pause, and an Experiment that measures the present model. Unknown conditions change nothing.
local waiting = { RolloutPaused = true, PinnedByExperiment = true }

local function condition(kind)
  if obj.status == nil or type(obj.status.conditions) ~= "table" then
    return {}
  end
  for _, found in ipairs(obj.status.conditions) do
    if type(found) == "table" and found.type == kind then
      return found
    end
  end
  return {}
end

local function says(status, message)
  return { status = status, message = message or "" }
end

if obj.status == nil or obj.status.observedGeneration == nil then
  return says("Progressing", "the operator has not looked at it yet")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return says("Progressing", "the operator has not looked at the present spec yet")
end

local ready = condition("Ready")
if condition("Stalled").status == "True" then
  return says("Degraded", ready.message)
end
if ready.status == "True" then
  return says("Healthy", ready.message)
end
if waiting[ready.reason or ""] then
  return says("Suspended", ready.message)
end
return says("Progressing", ready.message)
