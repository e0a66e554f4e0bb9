-- Let rows of a user end at another time.
-- ARGV: generation; user; ttl in ms, or 0 for never; then for each row its id and its new stamp
-- Returns how many of the rows were there
local user, ttl = ARGV[2], tonumber(ARGV[3])
demand('HSET', 'HINCRBY')
if expiring or ttl > 0 then demand_expiring('ZADD', 'HDEL') end
check_types()

local deadline = ttl > 0 and math.floor(microseconds() / 1000) + ttl or nil
local expires, count = deadline and head_time(deadline) or '-', 0
for i = 4, #ARGV, 2 do
  local id, stamp = ARGV[i], ARGV[i + 1]
  local field = user .. '\0' .. id
  local value = not is_due(field) and call('HGET', rows, field)
  local version, position, created, updated, replaced, tail
  if value then version, position, created, updated, replaced, tail = head_of(value) end
  if version then
    tail = expires .. string.match(tail, ' .*$')
    local head = table.concat({version, position, created, updated, stamp, tail}, ' ')
    call('HINCRBY', marks, user, text(stamp - replaced))
    call('HSET', rows, field, head .. string.match(value, '\n.*$'))
    set_deadline(field, user, id, deadline)
    count = count + 1
  end
end
if expiring or deadline then fit_lifetime() end
return count
