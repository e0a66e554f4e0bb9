-- Put rows into the indexes that lead to them. ARGV: generation; then fields, user NUL id.
-- Returns how many rows were not there before
demand('ZADD', 'HINCRBY', 'ZRANGE', 'PEXPIREAT', 'PERSIST')
local first = math.max(tonumber(known[2] or 0) + 1, microseconds())
local count, last = 0, nil
for i = 2, #ARGV do
  local field = ARGV[i]
  local user, id = split(field)
  local value = call('HGET', rows, field)
  if value then
    local version, position, _, _, stamp, tail = head_of(value)
    if not version then
      -- An unreadable row stands behind all others.
      last = (last or first) + 1
      position = text(last)
    end
    if call('ZADD', order, 'NX', position, field) == 1 then
      count = count + 1
      call('ZADD', users, 0, user .. '\0' .. padded(position) .. '\0' .. id)
      call('ZADD', ids, 0, id .. '\0' .. user)
      if version then
        call('HINCRBY', marks, user, stamp)
        set_deadline(field, user, id, ms_of(string.match(tail, '^%S+')))
      end
    end
  end
end
if last then call('HSET', meta, 'last', text(last)) end
fit_lifetime()
return count
