-- note.lua: write a call that was made in no lane, such as a look-up, into the call ledger.
-- needs: made
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  JSON {lane (its campaign), acct, token, worker, call as `note` in lane.lua takes it, seq or absent}
even_if_full()
local doc = cjson.decode(ARGV[1])
note(doc.lane, doc.acct, doc.token, doc.worker, doc.call, doc.seq)
