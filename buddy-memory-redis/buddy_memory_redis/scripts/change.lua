-- What the scripts that change rows share; put behind lib.lua.
--
-- What a script wrote before it failed is not taken back. So rights and the types of the keys are
-- looked at before the first write; a full server refuses the first write of a script only. Redis 6
-- cannot tell rights.

-- Rows that have expired and are removed by one write, at most.
local SWEPT = 20

local may_run = redis.acl_check_cmd

local function demand(name, ...)
  if may_run and not may_run(name, rows) then
    error({err = "NOPERM this user may not run the '" .. name .. "' command"}, 0)
  end
  if ... then demand(...) end
end

-- What a write may come to where rows expire.
local function demand_expiring(...)
  demand('ZREM', 'ZRANGE', 'ZSCORE', 'HGET', 'HLEN', 'PEXPIREAT', 'PERSIST', ...)
end

local function split(field)
  return string.match(field, '^(%Z*)%z(.*)$')
end

-- What the head of a stored text says: version, position, created, updated, stamp, and what follows;
-- nil when it is unreadable.
local function head_of(value)
  return string.match(value, '^(%d+) (%d+) (%S+) (%S+) (%d+) ([^\n]*)\n')
end

-- Fails where a key that all rows are in holds something else.
local function check_types()
  call('ZCARD', order)
  call('ZCARD', users)
  call('ZCARD', ids)
  if expiring then call('ZCARD', ends) end
end

-- A user without rows has no sum of stamps.
local function forget_if_empty(user)
  local low, high = of_user(user)
  if #call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, 1) == 0 then call('HDEL', marks, user) end
end

-- Remove a row with all that leads to it. A deletion must get through on a full server, so it begins
-- with a command that makes room.
local function remove(field, user, id, position, stamp)
  call('HDEL', rows, field)
  call('ZREM', order, field)
  call('ZREM', ids, id .. '\0' .. user)
  if position then call('ZREM', users, user .. '\0' .. padded(position) .. '\0' .. id) end
  local deadline = expiring and call('ZSCORE', deadlines, field)
  if deadline then
    call('ZREM', deadlines, field)
    call('ZREM', ends, user .. '\0' .. padded(deadline) .. '\0' .. id)
  end
  if not stamp then
    forget_if_empty(user)
  elseif call('HINCRBY', marks, user, '-' .. stamp) == 0 then
    call('HDEL', marks, user)
  end
end

local function remove_stored(field, user, id, value)
  local _, position, stamp
  if value then _, position, _, _, stamp = head_of(value) end
  remove(field, user, id, position or call('ZSCORE', order, field), stamp)
end

-- Remove up to so many rows that have expired; return how many these were.
local function sweep(limit)
  if not expiring then return 0 end
  local fields = call('ZRANGE', deadlines, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
  for _, field in ipairs(fields) do
    local user, id = split(field)
    remove_stored(field, user, id, call('HGET', rows, field))
  end
  return #fields
end

-- Let a row end at a time in ms, or never (nil). Called when it is stored.
local function set_deadline(field, user, id, deadline)
  local replaced = expiring and call('ZSCORE', deadlines, field)
  if replaced then call('ZREM', ends, user .. '\0' .. padded(replaced) .. '\0' .. id) end
  if deadline then
    call('ZADD', deadlines, text(deadline), field)
    call('ZADD', ends, 0, user .. '\0' .. padded(text(deadline)) .. '\0' .. id)
  elseif replaced then
    call('ZREM', deadlines, field)
  end
end

-- A time in ms as it stands in the head of a row.
local function head_time(ms)
  return text(math.floor(ms / 1000)) .. string.format('.%03d000', ms % 1000)
end

-- The ms in which a time of a head ends, or nil for '-'.
local function ms_of(time)
  local s, u = string.match(time, '^(%d+)%.(%d+)$')
  return s and s * 1000 + math.ceil(u / 1000)
end

-- Where every row expires, the keys go with the last of them, so that nothing stays behind when
-- nobody calls any more.
local function fit_lifetime()
  local passing = call('ZCARD', deadlines)
  local keys = {rows, order, users, ids, deadlines, ends, marks}
  if passing > 0 and passing == call('HLEN', rows) then
    local last = call('ZRANGE', deadlines, -1, -1, 'WITHSCORES')[2]
    for _, key in ipairs(keys) do call('PEXPIREAT', key, last) end
  else
    for _, key in ipairs(keys) do call('PERSIST', key) end
  end
end
