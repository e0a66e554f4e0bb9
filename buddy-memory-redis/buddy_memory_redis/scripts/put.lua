-- Write rows.
-- ARGV: generation; time as seconds.microseconds; version expected, or '' for any; ttl in ms, or 0;
--       number of shards; number of this one; a position to stay behind; then for each row
--       user, id, stamp, position or '' to draw one, "version created updated" or '' for version 1
--       and the time, "expires vector", and vector and payload
-- Returns for one row the head that is now stored, or "conflict version"; for several rows the first
-- position drawn, the deadline or '', and then for each row that was there already its number, from
-- 1, and the head that is now stored. The others have the positions that follow, in steps of the
-- number of shards
local time, expected, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local shards, shard, floor = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local FIRST, EACH = 8, 7
local count = (#ARGV - FIRST + 1) / EACH

demand('HSET')
if expiring or ttl > 0 then demand_expiring('ZADD', 'HDEL') end

-- The next position: above all that this shard or the client has seen, whatever the clocks do, and
-- in no other shard.
local first = math.max(tonumber(known[2] or 0) + 1, microseconds(), floor + 1)
first = first + (shard - first) % shards
local last = nil

local deadline = ttl > 0 and math.floor(microseconds() / 1000) + ttl
local expires = deadline and text(math.floor(deadline / 1000)) .. string.format('.%03d000', deadline % 1000)

-- The time of an update, which moves on even when the clock does not.
local function moved(updated)
  local s, u = string.match(updated, '^(-?%d+)%.(%d+)$')
  local now_s, now_u = string.match(time, '^(-?%d+)%.(%d+)$')
  if not s or tonumber(s) < tonumber(now_s) or (tonumber(s) == tonumber(now_s) and u < now_u) then
    return time
  end
  if u == '999999' then return text(tonumber(s) + 1) .. '.000000' end
  return s .. string.format('.%06d', tonumber(u) + 1)
end

local fields, stored = {}, nil
for n = 1, count do
  local i = FIRST + EACH * (n - 1)
  fields[n] = ARGV[i] .. '\0' .. ARGV[i + 1]
end
if count == 1 then
  stored = {call('HGET', rows, fields[1])}
else
  stored = call('HMGET', rows, unpack(fields))
end

-- What is to be written: arguments for each key, the change of each user's sum, rows that have
-- expired, and the reply.
local texts, places, members, owners, sums, ended = {}, {}, {}, {}, {}, {}
local replies = count > 1 and {text(first), expires or ''}

local function add(list, first_of_two, second)
  local size = #list
  list[size + 1], list[size + 2] = first_of_two, second
end

for n = 1, count do
  local i, field, value = FIRST + EACH * (n - 1), fields[n], stored[n]
  local user, id, stamp, place, made, tail = unpack(ARGV, i, i + 5)
  if value and is_due(field) then
    ended[#ended + 1] = field
    value = false
  end
  local version, position, created, updated, replaced = 0, nil, nil, nil, 0
  if value then
    version, position, created, updated, replaced = head_of(value)
    -- An unreadable row counts as version 0 and keeps its place.
    if not version then version, position, replaced = 0, call('ZSCORE', order, field), 0 end
  end
  if expected ~= '' and tonumber(expected) ~= tonumber(version) then
    return 'conflict ' .. version
  end
  local is_new = not position
  if is_new then
    position = place
    if position == '' then
      last = first + (n - 1) * shards
      position = text(last)
    end
    add(places, position, field)
    add(members, 0, user .. '\0' .. padded(position) .. '\0' .. id)
    add(owners, 0, id .. '\0' .. user)
  end
  if expires then tail = expires .. string.match(tail, ' .*$') end
  local head
  if is_new and made ~= '' then
    head = string.gsub(made, ' ', ' ' .. position .. ' ', 1)
  else
    local times = (created or time) .. ' ' .. (updated and moved(updated) or time)
    head = text(version + 1) .. ' ' .. position .. ' ' .. times
  end
  head = head .. ' ' .. stamp .. ' ' .. tail
  add(texts, field, head .. '\n' .. ARGV[i + 6])
  sums[user] = (sums[user] or 0) + stamp - replaced
  if count == 1 then
    replies = head
  elseif not is_new then
    add(replies, n, head)
  end
end

if #places > 0 then
  demand('ZADD')
  check_types()
end
if expiring or deadline then call('ZCARD', ends) end
-- The first command that writes fails where its key holds something else.
for user, change in pairs(sums) do call('HINCRBY', marks, user, text(change)) end
for _, field in ipairs(ended) do
  local user, id = split(field)
  remove_stored(field, user, id, call('HGET', rows, field))
end
call('HSET', rows, unpack(texts))
if #places > 0 then
  call('ZADD', order, unpack(places))
  call('ZADD', users, unpack(members))
  call('ZADD', ids, unpack(owners))
end
if last then call('HSET', meta, 'last', text(last)) end

local function set_deadline(field)
  local user, id = split(field)
  local replaced = expiring and call('ZSCORE', deadlines, field)
  if replaced then call('ZREM', ends, user .. '\0' .. padded(replaced) .. '\0' .. id) end
  if deadline then
    call('ZADD', deadlines, text(deadline), field)
    call('ZADD', ends, 0, user .. '\0' .. padded(text(deadline)) .. '\0' .. id)
  elseif replaced then
    call('ZREM', deadlines, field)
  end
end

if expiring or deadline then
  for _, field in ipairs(fields) do set_deadline(field) end
  sweep()
  fit_lifetime()
end
return replies
