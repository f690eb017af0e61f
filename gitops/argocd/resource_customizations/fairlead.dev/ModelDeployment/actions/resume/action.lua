-- The operator acts once on each value, and only for the revision that it names. The resource's version
-- makes a value that has not been said before.
local rollout = obj.status ~= nil and obj.status.rollout or nil
if type(rollout) ~= "table" or rollout.hash == nil then
  error("there is nothing to resume: no revision is under way", 0)
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["fairlead.dev/resume"] = rollout.hash .. "/" .. obj.metadata.resourceVersion
return obj
