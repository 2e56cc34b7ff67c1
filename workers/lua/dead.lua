-- dead.lua: a person has a dead ticket tried again, or gives it up.
-- needs: tickets, revival
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket
-- ARGV[2]  retry | discard
-- Discarded, its unsent leads are failed, those of an attempt without answer uncertain.
-- Returns {'settled', number of its leads that were pending}; or nothing has changed: {'alive', 0} (it is not dead),
-- {'lost', 0} (its payload is gone, there is nothing to try), {'unknown', 0}.
local id, act = ARGV[1], ARGV[2]
local t = get(ticket_key(id), 'state', 'pending')
if not t.state then return { 'unknown', 0 } end
if t.state ~= 'dead' then return { 'alive', 0 } end
if act == 'discard' then end_unsent(id, 'f', 'discarded')
elseif redis.call('EXISTS', P .. ':pay:' .. id) == 0 then return { 'lost', 0 }
else revive(id) end
return { 'settled', num(t.pending) }
