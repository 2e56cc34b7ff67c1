-- optouts.lua: lanes keep still while opt-outs of their scope are taken in.

-- The scopes that a lane lies in (workers/optouts.py has the same); none of one that carries no leads.
local function scopes_of(lane)
  local rest = string.match(lane, '^leads/(.+)$')
  if not rest then return {} end
  return { 'campaign/' .. rest, 'account/' .. (string.match(rest, '^[^/]*/[^/]*') or rest), 'all' }
end

-- A scope that the lane lies in and that has opt-outs which are not yet kept from calls, or nil.
local function hushed_by(lane)
  local scopes = scopes_of(lane)
  if not scopes[1] then return nil end
  local key = P .. ':unturned:'
  if redis.call('EXISTS', key .. scopes[1], key .. scopes[2], key .. scopes[3]) == 0 then return nil end
  for _, scope in ipairs(scopes) do if redis.call('EXISTS', key .. scope) == 1 then return scope end end
end
