-- lane.lua: the keys, and what every lane script begins with; the loader puts it before each of them, and after it the
-- parts that the script needs (parts/*.lua; "needs" stands in the second line of each, with the needs of its needs).
-- KEYS[1]  the prefix P, of which every key is built (one primary, no cluster):
--   P:clock            hash  run_id of the server, quiet (ms until which no turn is given), lost (ms),
--                            retention (ms), clean (the last worker has left in peace), ledger (entries of P:made),
--                            heard (ms until which some worker counts as alive),
--                            sealed (names of the keys of payloads, workers/vault.py), unsaid (P:states holds what
--                            no dispatcher has said), said (the last it did), hushed (the end of the quiet time is to
--                            be said), offset (ms; model test only)
--   P:t:<ticket>       hash  a ticket; expires `retention` after its final state, like its three next:
--   P:pay:<ticket>     string  payload: the leads, packed
--   P:out:<ticket>     string  one outcome code per lead; absent while all are unsent
--   P:why:<ticket>     hash  lead index, or outcome code, -> reason; of a command also facts by name
--   P:lane:<lane>      hash  state idle|called|held and what belongs to it
--                            (of a state lane also want, the newest command, want_seq, last_seq given, hurry: a pause
--                            or stop waits, and unsure:<operation>: ms until which a lost one may still run)
--   P:kept:<lane>      set   commands that wait for the end of a job; P:then:<job> list of those that wait for it
--   P:wait:<lane>      zset  waiting and called tickets by place: (epoch * 3 + class) * 2^30 + number;
--                            those at the very front have -2^30 + number
--   P:aboard:<lane>    list  tickets of the turn, holder first
--   P:due:<account>:<group>   zset  free lane with work -> ms of its next turn; group is control or leads
--   P:timers           zset  called or held lane -> ms when its call is overdue, its turn over
--   P:held:<account>:<op>     zset  lanes whose head may not go on while the operation is held
--   P:accounts         zset  account -> ms when one of its lanes is due; one on hold is not in it
--   P:freed            zset  keys as P:held and P:hushed whose lanes go on by and by -> ms of the last (free_lanes)
--   P:holds            set   lanes on hold, by an operator or because their campaign takes no leads
--   P:names            set   accounts that workers have published
--   P:acct:<account>   hash  public facts, hold, hold:<op>, cool-down, probe, tat<i> of the rate limit; throttles is
--                            there from a 429, trips from the opening of the breaker, both until a call succeeds;
--                            max_waiting, max_waiting_per_campaign: the most leads of P:load that may wait; full: all,
--                            or a lane, since a producer was refused;
--                            call_ms, how long a leads call takes
--   P:load:<account>   hash  leads of it that wait or are in a turn: all, and per leads lane that has such
--   P:called:<account> zset  tickets called and not yet come;  P:calls:<queue> the same per queue, by call number
--   P:flight:<account> set   lanes held by a turn
--   P:came:<queue>     int   highest call number that has come; P:callno:<queue> the last one given
--   P:workers          zset  worker -> ms until which it counts as alive; P:slots:<queue> hash worker -> slots, and sum
--   P:back:<task>      int   how often the message of a task came back that had gone down with its worker; for a day
--   P:told:<ticket>    string  somebody is telling the end of this ticket to tasks that wait for it; expires in 30 s
--   P:finish           zset  ended tickets whose Celery result is still to be written -> ms when a dispatcher may
--   P:pieces:<ticket>  int   pieces still on their way of a task that was cut (its last piece is the ticket)
--   P:unturned:<scope> set   opt-out tickets of the scope that are not in its entries yet: none of its lanes is called
--   P:hushed:<scope>   zset  lanes that wait for that -> ms of their turn;  P:scopes set of scopes in which anybody opted out
--   P:optout:<scope>   hash  hidden number -> ms and source of its opt-out (workers/optouts.py, like the next two)
--   P:had:<lane>:<month>  string  six bytes of each hidden number called in; expires 100 days after the last call
--   P:reached          hash  lane that has such strings -> account that called last
--   P:hashkey          string  key of hidden numbers, if workers were given none; P:hashprint what tells it from others
--   P:made             stream  the call ledger: one entry per call to a dialer, some `ledger` of them (see note)
--   P:states           stream  states that began or ended: an account held, its breaker open ...; some 1000 (see say)
--   P:changes          hash  <state>:begins|ends:<account> -> how often
--   P:dead             zset  dead tickets -> ms of death
--   P:uncertain        zset  tickets with leads of which nobody knows whether they arrived -> ms of the first of them;
--                            those that have expired meanwhile are swept
--   P:job:<job>        hash  counters; P:batches:<job> list of its tickets;
--   P:key:<key>        string  idempotency key -> job; these three expire `retention` after the job's end,
--                            while no ticket of it is dead
local P = KEYS[1]
local CALL_MS, IN_VAIN, BULK_TURN, SEQ, NOBODY, MOMENT_MS = 5000, 3, 10, 2 ^ 30, '*', 3000

local clock = redis.call('HMGET', P .. ':clock', 'offset', 'quiet', 'retention', 'ledger', 'unsaid', 'run_id', 'heard', 'lost')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + (tonumber(clock[1]) or 0)
local quiet = tonumber(clock[2]) or 0
local retention = tonumber(clock[3]) or 604800000

-- No worker has reached this server for so long that none counts as alive, and turns are under way: those who were cut
-- off may have answers in hand. They have a moment to tell them before what they had is given to others.
if now > (tonumber(clock[7]) or math.huge) then
  redis.call('HDEL', P .. ':clock', 'heard')
  if redis.call('EXISTS', P .. ':timers') == 1 then
    quiet = math.max(quiet, now + math.min(MOMENT_MS, tonumber(clock[8]) or 0))
    redis.call('HSET', P .. ':clock', 'quiet', quiet)
  end
end

-- A full server refuses a script at its first write, if that may take memory, and never later. What ends work or tells
-- what has been done begins with a write that takes none.
local function even_if_full() redis.call('DEL', P .. ':nothing') end

local function num(x) return tonumber(x) or 0 end
local function ticket_key(id) return P .. ':t:' .. id end
local function lane_key(lane) return P .. ':lane:' .. lane end
local function acct_key(acct) return P .. ':acct:' .. acct end
local function due_key(acct, group) return P .. ':due:' .. acct .. ':' .. group end
local function queue_of(group) return group == 'control' and 'control' or 'turns' end

local function get(key, ...)
  local values, out = redis.call('HMGET', key, ...), {}
  for i, field in ipairs({ ... }) do out[field] = values[i] or nil end
  return out
end
