-- What the scripts share; it is put in front of each of them.
--
-- Numbers are doubles here: microseconds since 1970 are exact until the year 2255. They are written
-- with %.0f, since Lua's own form of a large number is 1.7e+15.

local function text(number)
  return string.format('%.0f', number)
end

local function microseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function milliseconds()
  return math.floor(microseconds() / 1000)
end

-- What a script wrote before it failed is not taken back. So every script reads from all its keys,
-- or writes first to the one that it does not read: a key of a wrong type, or a full server, then
-- fails it while nothing is written. And whoever writes asks first whether the user may run all
-- that it may come to. Redis 6 cannot tell.

local function demand(...)
  for _, name in ipairs(redis.acl_check_cmd and {...} or {}) do
    if not redis.acl_check_cmd(name, KEYS[1]) then
      error({err = "NOPERM this user may not run the '" .. name .. "' command"}, 0)
    end
  end
end

local function demand_writing(expiring)
  demand('HSET', 'HDEL', 'ZADD', 'ZREM', 'SADD', 'SREM', 'SET')
  if expiring then demand('HLEN', 'ZRANGE', 'PEXPIREAT', 'PERSIST') end
end

local function is_due(deadlines, id, now)
  local deadline = redis.call('ZSCORE', deadlines, id)
  return deadline and tonumber(deadline) <= now
end

local function due(deadlines, now)
  return redis.call('ZRANGE', deadlines, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, 100)
end

-- Where every entry of `hash` has a deadline, the keys go as a whole with the last of them, so that
-- nothing stays behind when nobody calls any more.
local function fit_lifetime(hash, deadlines, keys)
  local expiring = redis.call('ZCARD', deadlines)
  if expiring > 0 and expiring == redis.call('HLEN', hash) then
    local last = redis.call('ZRANGE', deadlines, -1, -1, 'WITHSCORES')[2]
    for _, key in ipairs(keys) do redis.call('PEXPIREAT', key, last) end
  else
    for _, key in ipairs(keys) do redis.call('PERSIST', key) end
  end
end

-- Take an id out after a read. Who may only read still gets an answer: pcall, because tidying up is
-- not what was asked.
local function tidy(hashes, zsets, id)
  for _, key in ipairs(hashes) do redis.pcall('HDEL', key, id) end
  for _, key in ipairs(zsets) do redis.pcall('ZREM', key, id) end
end

-- Ids of an index in order of writing, at most `count` after the position `after`, with positions.
local function range(index, newest_first, after, count)
  if newest_first then
    local from = after == '' and '+inf' or '(' .. after
    return redis.call('ZRANGE', index, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, count, 'WITHSCORES')
  end
  local from = after == '' and '-inf' or '(' .. after
  return redis.call('ZRANGE', index, from, '+inf', 'BYSCORE', 'LIMIT', 0, count, 'WITHSCORES')
end
