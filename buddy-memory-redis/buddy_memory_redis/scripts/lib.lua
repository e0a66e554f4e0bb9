-- What all scripts share; put in front of each of them.
--
-- A script works on one shard of the store, and on memories or summaries. KEYS:
--
-- meta       hash  generation, shards, last: the last position given
-- rows       hash  user NUL id -> head, line break, vector and payload (see encoding.py)
-- order      zset  user NUL id, by position
-- users      zset  user NUL position NUL id, in lexical order
-- ids        zset  id NUL user, in lexical order
-- deadlines  zset  user NUL id of rows that expire, by the time when they do, in ms
-- ends       zset  user NUL deadline NUL id, in lexical order
-- marks      hash  user -> sum of the stamps of the user's rows
--
-- ARGV[1] is the generation that the client knows. A script returns false, which arrives as nil,
-- when that is not the generation of the shard: the client then looks at the store again.
--
-- Numbers are doubles here: microseconds since 1970 are exact until the year 2255. They are written
-- with %.0f, since Lua's own form of a large number is 1.7e+15.

local meta, rows, order, users, ids, deadlines, ends, marks = unpack(KEYS)
local call = redis.call
local known = call('HMGET', meta, 'generation', 'last')
if known[1] ~= ARGV[1] then return false end

local function text(number)
  return string.format('%.0f', number)
end

-- The text of a position or of a deadline, so that it sorts by its value.
local function padded(number)
  if #number == 16 then return number end
  return string.format('%016.0f', number)
end

local function microseconds()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Rows that last are the rule, and need no time.
local expiring = call('ZCARD', deadlines) > 0
local now = expiring and math.floor(microseconds() / 1000)

local function is_due(field)
  local deadline = expiring and call('ZSCORE', deadlines, field)
  return deadline and tonumber(deadline) <= now
end

-- The range of one user's rows in the index that is sorted by users.
local function of_user(user)
  return '[' .. user .. '\0', '(' .. user .. '\1'
end

-- How many rows of one user have expired and are still stored.
local function count_due(user)
  if not expiring then return 0 end
  return call('ZLEXCOUNT', ends, '[' .. user .. '\0', '(' .. user .. '\0' .. padded(text(now + 1)))
end

-- Whether each row is in each index. A key that was evicted, or deleted by hand, would hide rows.
-- Entries without a row are passed over.
local function is_indexed()
  local count = call('HLEN', rows)
  return call('ZCARD', order) >= count and call('ZCARD', users) >= count and call('ZCARD', ids) >= count
end

-- Fails where a listing would leave rows out, and a deletion leave some behind.
local function demand_indexes()
  if not is_indexed() then error({err = 'INDEXLOST an index of the store is lost'}, 0) end
end
