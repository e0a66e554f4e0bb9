-- Write rows: the second step of a write, and the first attempt at an update.
-- ARGV: the time as seconds.microseconds; the deadline in ms or 0; whether rows that expire are left
--       to the longer way ('1'); then (id, expected version or '', token or '', open, created,
--       updated, payload)s. Only a token allows to insert; where open is '1', an earlier deed on
--       this id is shut out by a fence
-- Returns for each the head that is now stored, or "missing", "fenced", "conflict version"
local now_s, now_u = string.match(ARGV[1], '^(-?%d+)%.(%d+)$')
local deadline, lasting_only = ARGV[2], ARGV[3] == '1'

-- What is to be written: for the index, for the rows, and the ids; and the fences to be raised.
local places, texts, written, fences = {}, {}, {}, {}

-- The time of the update, which moves on even when the clock does not.
local function moved(updated)
  local s, u = string.match(updated or '', '^(-?%d+)%.(%d+)$')
  if not s or tonumber(s) < tonumber(now_s) or (tonumber(s) == tonumber(now_s) and u < now_u) then
    return ARGV[1]
  end
  if u == '999999' then return text(tonumber(s) + 1) .. '.000000' end
  return s .. string.format('.%06d', tonumber(u) + 1)
end

local function write(id, header, payload)
  texts[#texts + 1] = id
  texts[#texts + 1] = header .. '\n' .. payload
  written[#written + 1] = id
  return header
end

local function insert(id, token, created, updated, payload)
  if token == '' then return 'missing' end
  if is_late(token) then return 'fenced' end
  places[#places + 1] = token
  places[#places + 1] = id
  return write(id, '1 ' .. token .. ' ' .. created .. ' ' .. updated, payload)
end

local function update(id, value, created, payload)
  local version, position, was_created, was_updated = head(id, value)
  local header = text(version + 1) .. ' ' .. position .. ' ' .. (was_created or created) .. ' '
  return write(id, header .. moved(was_updated), payload)
end

local function put(value, id, expected, token, open, created, updated, payload)
  if not value and token == '' then return 'missing' end
  if value and lasting_only and had_deadlines and redis.call('ZSCORE', deadlines, id) then
    return 'missing'
  end
  if expected ~= '' then
    local version = text(value and head(id, value) or 0)
    if expected ~= version then return 'conflict ' .. version end
  end
  if open == '1' then fences[#fences + 1] = token end
  if value then return update(id, value, created, payload) end
  return insert(id, token, created, updated, payload)
end

local function set_deadlines()
  for _, id in ipairs(written) do
    if deadline ~= '0' then
      redis.call('ZADD', deadlines, deadline, id)
    else
      redis.call('ZREM', deadlines, id)
    end
  end
end

drop_due()
local ids, replies = {}, {}
for i = 4, #ARGV, 7 do ids[#ids + 1] = ARGV[i] end
for n, value in ipairs(live_all(ids)) do
  local i = 7 * n - 3
  replies[n] = put(value, unpack(ARGV, i, i + 6))
end
if #places > 0 then redis.call('ZADD', index, unpack(places)) end
if #texts > 0 then redis.call('HSET', rows, unpack(texts)) end
for _, token in ipairs(fences) do raise_fence(token) end
if deadline ~= '0' or had_deadlines then
  set_deadlines()
  finish(true)
end
return replies
