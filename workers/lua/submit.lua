-- submit.lua: store one new ticket with its payload, put it in its lane, and call it if its turn is now.
-- KEYS[1]  prefix (see lane.lua)
-- ARGV[1]  ticket id
-- ARGV[2]  lane
-- ARGV[3]  group     leads | control
-- ARGV[4]  class     0 urgent, 1 normal, 2 bulk
-- ARGV[5]  kind      import, or other (an update or removal: a barrier that later imports do not pass)
-- ARGV[6]  payload   packed leads
-- ARGV[7]  codes     outcome codes of leads decided by the producer already; '' if none are
-- ARGV[8]  why       JSON object, lead index -> reason; '' if none
-- ARGV[9]  1 if the ticket may be called in this script (the caller publishes it), else 0
-- ARGV[10] lane address for people: JSON {campaign, provider, base_url}
-- ARGV[11..] ticket fields and values; job, n, acct and op among them; of a command about a campaign's state also
--            seq (its place among such commands, or 0) and perhaps after (a job whose end it waits for); front if it
--            goes before all others; unturned, a scope, if it is an opt-out: no leads lane of that scope is called
--            until it is over
-- Returns {'new', call row or false}, or {'same', false} if the ticket is known already.
local id, lane, group, class, kind = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if redis.call('EXISTS', ticket_key(id)) == 1 then return { 'same', false } end

local fields = {}
for i = 11, #ARGV, 2 do fields[ARGV[i]] = ARGV[i + 1] end
local job, n = fields.job, tonumber(fields.n)

local l = get(lane_key(lane), 'state', 'epoch', 'kind', 'seq')
if not l.state then redis.call('HSET', lane_key(lane), 'state', 'idle', 'group', group, 'address', ARGV[10]) end
local place
if fields.front then
  place = redis.call('HINCRBY', lane_key(lane), 'front', 1) - SEQ
else
  local epoch, seq = num(l.epoch), num(l.seq) + 1
  if l.kind and l.kind ~= kind then epoch = epoch + 1 end
  if kind ~= 'import' then class = 0 end
  if redis.call('EXISTS', P .. ':wait:' .. lane) == 0 and (l.state or 'idle') == 'idle' then epoch, seq = 0, 1 end
  redis.call('HSET', lane_key(lane), 'epoch', epoch, 'kind', kind, 'seq', seq)
  place = (epoch * 3 + class) * SEQ + seq
end
if fields.unturned then
  redis.call('SADD', P .. ':unturned:' .. fields.unturned, id)
  redis.call('SADD', P .. ':scopes', fields.unturned)
end

redis.call('HSET', ticket_key(id), 'v', 1, 'state', 'waiting', 'lane', lane, 'place', place, 'created', now, unpack(ARGV, 11))
if fields.expires_in then
  local expires, first = now + tonumber(fields.expires_in), num(redis.call('HGET', P .. ':job:' .. job, 'expires'))
  redis.call('HSET', ticket_key(id), 'expires', expires)
  if first == 0 or expires < first then redis.call('HSET', P .. ':job:' .. job, 'expires', expires) end
end
redis.call('SET', P .. ':pay:' .. id, ARGV[6])
redis.call('HINCRBY', P .. ':job:' .. job, 'leads', n)
redis.call('HINCRBY', P .. ':job:' .. job, 'batches', 1)
redis.call('HSET', P .. ':job:' .. job, 'seen', now)
if redis.call('HDEL', P .. ':job:' .. job, 'ended') == 1 then       -- more for a job that was over
  redis.call('PERSIST', P .. ':job:' .. job)
  redis.call('PERSIST', P .. ':batches:' .. job)
  redis.call('PERSIST', P .. ':key:' .. (redis.call('HGET', P .. ':job:' .. job, 'key') or ''))
end
redis.call('RPUSH', P .. ':batches:' .. job, id)
if ARGV[7] ~= '' then record(id, job, n, ARGV[7], ARGV[8] ~= '' and cjson.decode(ARGV[8]) or nil) end

if fields.seq then
  redis.call('HSET', ticket_key(id), 'seq', sequence(lane, tonumber(fields.seq)))
  if fields.after and redis.call('EXISTS', P .. ':job:' .. fields.after) == 1
    and redis.call('HEXISTS', P .. ':job:' .. fields.after, 'ended') == 0 then
    redis.call('HSET', ticket_key(id), 'state', 'kept')
    redis.call('SADD', P .. ':kept:' .. lane, id)
    redis.call('RPUSH', P .. ':then:' .. fields.after, id)
    return { 'new', false }
  end
  intend(lane, id)
  return { 'new', ARGV[9] == '1' and try_call(lane) or false }
end
if pending_of(redis.call('GET', P .. ':out:' .. id) or string.rep('.', n)) == 0 then
  set_done(id, job, 'ok')                   -- nothing to send: every lead was decided by the producer
  return { 'new', false }
end
wait_again(lane, id, place)
rescore(lane)
return { 'new', ARGV[9] == '1' and try_call(lane) or false }
