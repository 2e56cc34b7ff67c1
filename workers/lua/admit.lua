-- admit.lua: take a slot of an account's rate limit for one more call inside a turn.
-- needs: accounts
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  account
-- Returns 0 if the slot is taken, else ms until one is free.
local at = math.max(now, quiet)        -- a server that came back may have forgotten which slots are taken
each_window(ARGV[1], redis.call('HGET', acct_key(ARGV[1]), 'gcra'), function(_, tat, _, slack) at = math.max(at, math.ceil(tat - slack)) end)
if at <= now then take_slot(ARGV[1]) end
return at - now
