-- The directory: who owns which id, and the order of all rows. Put in front of its scripts. Its keys
-- are the last five.
--
-- owners     hash   id -> "token user"; the token is that of the last intent
-- index      zset   id -> position
-- deadlines  zset   id -> when the entry expires, in ms
-- pending    set    ids of intents that are not known to have ended: only these may lack a row

local meta, owners, index, deadlines, pending = unpack(KEYS, #KEYS - 4)
local lifetimes = {owners, index, deadlines, pending}

-- Time is asked for where it is needed: without deadlines, which is the rule, for new numbers only.
local had_deadlines = redis.call('ZCARD', deadlines) > 0
local now = had_deadlines and milliseconds() or 0
local now_us, drawn, is_new = nil, nil, false

local function last_drawn()
  drawn = drawn or tonumber(redis.call('GET', meta) or '0')
  return drawn
end

-- A number greater than all before it, also when the clock stepped back or another node's is behind.
local function draw()
  now_us = now_us or microseconds()
  drawn, is_new = math.max(last_drawn() + 1, now_us), true
  return text(drawn)
end

local function keep_drawn()
  if is_new then redis.call('SET', meta, text(drawn)) end
end

local function forget(id)
  redis.call('ZREM', index, id)
  redis.call('HDEL', owners, id)
  if had_deadlines then redis.call('ZREM', deadlines, id) end
  redis.call('SREM', pending, id)
end

local function forget_due()
  if had_deadlines then
    for _, id in ipairs(due(deadlines, now)) do forget(id) end
  end
end

-- The token and the owner in the text stored for an id; nil when the id is free.
local function parse(id, value)
  if not value or (had_deadlines and is_due(deadlines, id, now)) then return nil end
  return string.match(value, '^(%d+) (.*)$')
end

local function entry(id)
  return parse(id, redis.call('HGET', owners, id))
end

local function is_passing(id)
  return had_deadlines and redis.call('ZSCORE', deadlines, id)
end

-- A full server refuses only what a script writes first. Deletions must get through, since they make
-- room; so they begin with one that deletes nothing, as no id is empty.
local function go_on_when_full()
  redis.call('HDEL', owners, '')
end

-- End intents, given as id, token, position in `list` from `first` to `last`: the row is at
-- `position`, or gone when that is ''. When somebody else's intent came later, only that one may say
-- how it ended.
local function settle(list, first, last)
  local ids, ended, found = {}, {}, {}
  for i = first, last, 3 do ids[#ids + 1] = list[i] end
  if #ids == 0 then return end
  for i, value in ipairs(redis.call('HMGET', owners, unpack(ids))) do
    local id, token, position = ids[i], list[first + 3 * i - 2], list[first + 3 * i - 1]
    local is_last = value and string.match(value, '^%d+') == token
    if is_last and position == '' then
      forget(id)
    elseif is_last then
      ended[#ended + 1] = id
      -- It need not be where the claim put it: that may have been one of a client that died.
      found[#found + 1] = position
      found[#found + 1] = id
    end
  end
  if #ended > 0 then
    redis.call('ZADD', index, unpack(found))
    redis.call('SREM', pending, unpack(ended))
  end
end

local function finish_directory(expiring)
  keep_drawn()
  if expiring or had_deadlines then fit_lifetime(owners, deadlines, lifetimes) end
end
