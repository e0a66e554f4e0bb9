-- Write rows.
-- ARGV: generation; time as seconds.microseconds; version expected, or '' for any; ttl in ms, or 0;
--       'keep' where a row that is there keeps its end, 'new' where it is left alone, or '';
--       number of shards; number of this one; a position to stay behind; then for each row
--       user, id, stamp, position or '' to draw one, "version created updated" or '' for version 1
--       and the time, "expires vector", and vector and payload
-- Returns for one row the head that is now stored, or "conflict version"; for several rows the first
-- position drawn, the deadline or '', and then for each row that was there already its number, from
-- 1, and the head that is now stored. The others have the positions that follow, in steps of the
-- number of shards
local time, expected, ttl, keep = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == 'keep'
local new_only = ARGV[5] == 'new'
local shards, shard, floor = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local FIRST, EACH = 9, 7
local count = (#ARGV - FIRST + 1) / EACH

demand('HSET')

-- The next position: above all that this shard or the client has seen, whatever the clocks do, and
-- in no other shard.
local first = math.max(tonumber(known[2] or 0) + 1, microseconds(), floor + 1)
first = first + (shard - first) % shards
local last = nil

local deadline = ttl > 0 and math.floor(microseconds() / 1000) + ttl
local expires = deadline and head_time(deadline)

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
-- When rows end, by their numbers, and whether any does.
local due, any_due = {}, false
local replies = count > 1 and {text(first), expires or ''}

local function add(list, first_of_two, second)
  local size = #list
  list[size + 1], list[size + 2] = first_of_two, second
end

local function write(n)
  local i, field, value = FIRST + EACH * (n - 1), fields[n], stored[n]
  local user, id, stamp, place, made, tail = unpack(ARGV, i, i + 5)
  if value and is_due(field) then
    ended[#ended + 1] = field
    value = false
  end
  if value and new_only then
    fields[n] = false
    if count > 1 then add(replies, n, '') else replies = '' end
    return
  end
  local version, position, created, updated, replaced, stored_tail = 0, nil, nil, nil, 0, nil
  if value then
    version, position, created, updated, replaced, stored_tail = head_of(value)
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
  local ends_at = expires
  if keep and stored_tail then ends_at = string.match(stored_tail, '^%S+') end
  if ends_at then tail = ends_at .. string.match(tail, ' .*$') end
  due[n] = ms_of(string.match(tail, '^%S+'))
  any_due = any_due or due[n] ~= nil
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

for n = 1, count do
  local conflict = write(n)
  if conflict then return conflict end
end
if #texts == 0 then return replies end

if #places > 0 then
  demand('ZADD')
  check_types()
end
if expiring or any_due then
  demand_expiring('ZADD', 'HDEL')
  call('ZCARD', ends)
end
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

if expiring or any_due then
  for n, field in ipairs(fields) do
    local i = FIRST + EACH * (n - 1)
    if field then set_deadline(field, ARGV[i], ARGV[i + 1], due[n]) end
  end
  sweep(SWEPT)
  fit_lifetime()
end
return replies
