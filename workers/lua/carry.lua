-- carry.lua: a call that is being built carries these numbers: note that, and say whether opt-outs hold for its lane.
-- needs: optouts
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  lane
-- ARGV[2]  account
-- ARGV[3]  month     the number of the month whose string they go to
-- ARGV[4]  numbers   the first bytes of each, hidden; '' if the lane gets none (a removal)
-- ARGV[5]  kept_s    from now until the string expires; 0 if that has been said lately
-- Returns 'pending' while opt-outs of a scope of the lane are being taken in, 'some' if such a scope has any, or 'none'.
-- Noted first: an opt-out that comes now is either seen here, or finds that the campaign has the number.
local lane, had = ARGV[1], P .. ':had:' .. ARGV[1] .. ':' .. ARGV[3]
if ARGV[4] ~= '' then redis.call('APPEND', had, ARGV[4]) end
if num(ARGV[5]) > 0 then
  redis.call('EXPIRE', had, ARGV[5])
  redis.call('HSET', P .. ':reached', lane, ARGV[2])
end
if hushed_by(lane) then return 'pending' end
for _, scope in ipairs(scopes_of(lane)) do
  if redis.call('EXISTS', P .. ':optout:' .. scope) == 1 then return 'some' end
end
return 'none'
