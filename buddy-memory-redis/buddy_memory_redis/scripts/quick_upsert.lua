-- Insert one row whose id is nobody's yet, or update one of the user's.
local function upsert_one()
  local call = redis.call
  local user, expected, now_text, id, payload = ARGV[2], ARGV[4], ARGV[5], ARGV[7], ARGV[10]
  local rows, order, deadlines, _, meta, owners, index, limits = unpack(KEYS)
  local last = tonumber(call('GET', meta) or '0')
  if last < tonumber(ARGV[1])
    or call('EXISTS', deadlines, limits) > 0
    or (expected ~= '' and expected ~= '0') then return end

  local time = call('TIME')
  local drawn = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
  if call('HSETNX', owners, id, drawn .. ' ' .. user) == 0 then
    local value = expected == '' and owner_of(call('HGET', owners, id)) == user
      and call('HGET', rows, id)
    return value and update_quickly(rows, id, value, now_text, payload)
  end

  -- Returns the head that is then stored; nil where the shelf holds a row of that id.
  local function fill(header)
    if call('HSETNX', rows, id, header .. '\n' .. payload) == 0 then return end
    call('ZADD', order, drawn, id)
    call('ZADD', index, drawn, id)
    call('SET', meta, drawn)
    return header
  end

  -- Written without a look at each key before, which would cost as much as the writing. So it is
  -- taken back when a key is of another type, or the user may not run a command.
  local is_done, header = pcall(fill, '1 ' .. drawn .. ' ' .. now_text .. ' ' .. now_text)
  if is_done and header then return header end
  call('HDEL', owners, id)
  if is_done then return end
  redis.pcall('HDEL', rows, id)
  redis.pcall('ZREM', order, id)
  redis.pcall('ZREM', index, id)
  error(header, 0)
end

-- One row and nothing to settle; ttl, place, made.
if #ARGV == 10 and ARGV[3] == '0' and ARGV[8] == '' and ARGV[9] == '' then
  local written = upsert_one()
  if written then return written end
end
