-- The shelf of one user: the rows and their order. Put in front of its scripts. Its keys are the
-- first four.
--
-- rows       hash    id -> "version position created updated\n" and the payload as JSON; where the
--                    row expires, the line ends with its deadline, so that who reads it by id knows
-- index      zset    id -> position
-- deadlines  zset    id -> when the row expires, in ms
-- fence      string  a token: inserts and deletions on this intent or an earlier one come too late

local rows, index, deadlines, fence = unpack(KEYS, 1, 4)
local lifetimes = {rows, index, deadlines}

-- Without deadlines, which is the rule, the time is not needed.
local had_deadlines = redis.call('ZCARD', deadlines) > 0
local now = had_deadlines and milliseconds() or 0

local function drop(id)
  redis.call('ZREM', index, id)
  redis.call('HDEL', rows, id)
  if had_deadlines then redis.call('ZREM', deadlines, id) end
end

local function drop_due()
  if had_deadlines then
    for _, id in ipairs(due(deadlines, now)) do drop(id) end
  end
end

-- The stored text of a row that has not expired, or nil.
local function live(id)
  local value = redis.call('HGET', rows, id)
  if not value or (had_deadlines and is_due(deadlines, id, now)) then return nil end
  return value
end

-- The stored texts of rows that have not expired, in the order of their ids; false where none is.
local function live_all(ids)
  local values = redis.call('HMGET', rows, unpack(ids))
  if had_deadlines then
    for i, deadline in ipairs(redis.call('ZMSCORE', deadlines, unpack(ids))) do
      if deadline and tonumber(deadline) <= now then values[i] = false end
    end
  end
  return values
end

-- The head of a stored text: version, position, created, updated. A row whose head is unreadable counts as version 0.
local function head(id, value)
  local version, position, created, updated = string.match(value, '^(%d+) (%d+) (%S+) (%S+)[^\n]*\n')
  if version then return tonumber(version), position, created, updated end
  return 0, redis.call('ZSCORE', index, id) or '0', nil, nil
end

-- "conflict version" when another version is stored than is expected ('': any).
local function conflict(expected, id, value)
  if expected == '' then return nil end
  local version = text(value and head(id, value) or 0)
  return expected ~= version and 'conflict ' .. version or nil
end

-- Read when it is needed first; where one is to be raised, before anything is written.
local fenced_until = nil

local function is_late(token)
  fenced_until = fenced_until or tonumber(redis.call('GET', fence) or '0')
  return tonumber(token) <= fenced_until
end

-- Who is shut out begins anew. Ten minutes are far more than what lies between the steps of a write.
local function raise_fence(token)
  if not is_late(token) then
    fenced_until = tonumber(token)
    -- A full server refuses only what a script writes first, and this is to make room.
    redis.call('HDEL', rows, '')
    redis.call('SET', fence, token, 'EX', 600)
  end
end

local function finish_shelf(expiring)
  if expiring or had_deadlines then fit_lifetime(rows, deadlines, lifetimes) end
end
