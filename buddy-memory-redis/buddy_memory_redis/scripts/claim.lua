-- Claim ids for their users, the first step of a write.
-- ARGV: ttl in ms or 0; whether to declare an intent also for ids that are owned already;
--       the version expected, or ''; n; n times (id, token, position) to settle; then (id, user)s
-- Returns the deadline in ms or 0, then for each id
--   "new token"         claimed          "own token open"     this user's, the intent is declared
--   "own"               this user's      "other token user"   another's
--   "none"              is free, and was left so because another version than 0 is expected
-- where open is 1 when an earlier intent may still be under way
local ttl, touch, expected, settled = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local deadline = ttl > 0 and text(now + ttl) or '0'
local replies = {deadline}

-- What is to be written: for the index, for the owners, and the ids.
local places, entries, intents = {}, {}, {}

local function intend(id, user)
  local token = draw()
  entries[#entries + 1] = id
  entries[#entries + 1] = token .. ' ' .. user
  intents[#intents + 1] = id
  return token
end

local function claim(id, user, value)
  local token, owner = parse(id, value)
  if not token then
    if expected ~= '' and expected ~= '0' then return 'none' end
    token = intend(id, user)
    places[#places + 1] = token
    places[#places + 1] = id
    return 'new ' .. token
  elseif owner ~= user then
    return 'other ' .. token .. ' ' .. owner
  elseif touch or ttl > 0 or (had_deadlines and redis.call('ZSCORE', deadlines, id)) then
    local open = redis.call('SISMEMBER', pending, id)
    return 'own ' .. intend(id, user) .. ' ' .. text(open)
  end
  return 'own'
end

local function set_deadlines()
  for _, id in ipairs(intents) do
    if ttl > 0 then
      redis.call('ZADD', deadlines, deadline, id)
    elseif had_deadlines then
      redis.call('ZREM', deadlines, id)
    end
  end
end

local function write()
  redis.call('SCARD', pending)
  if #places > 0 then redis.call('ZADD', index, unpack(places)) end
  redis.call('HSET', owners, unpack(entries))
  redis.call('SADD', pending, unpack(intents))
  if ttl > 0 or had_deadlines then set_deadlines() end
end

forget_due()
local first = 5 + 3 * settled
settle(ARGV, 5, first - 1)
local ids = {}
for i = first, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
for i, value in ipairs(redis.call('HMGET', owners, unpack(ids))) do
  replies[#replies + 1] = claim(ids[i], ARGV[first + 2 * i - 1], value)
end
if #intents > 0 then write() end
finish(ttl > 0)
return replies
