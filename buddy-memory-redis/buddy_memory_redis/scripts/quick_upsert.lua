-- Insert one row that is nobody's yet, or update one of the user's.
local function upsert_one()
  local user, expected, now_text, id, payload = ARGV[2], ARGV[4], ARGV[5], ARGV[7], ARGV[10]
  local rows, order, deadlines, _, meta, owners, index, limits = unpack(KEYS)
  local last = tonumber(redis.call('GET', meta) or '0')
  if last < tonumber(ARGV[1]) or redis.call('EXISTS', deadlines, limits) > 0 then return end

  local owned, value = redis.call('HGET', owners, id), redis.call('HGET', rows, id)
  if value and expected == '' and owner_of(owned) == user then
    return update_quickly(rows, id, value, now_text, payload)
  elseif value or owned or (expected ~= '' and expected ~= '0') then
    return
  end

  local time = redis.call('TIME')
  local drawn = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
  local header = '1 ' .. drawn .. ' ' .. now_text .. ' ' .. now_text
  redis.call('ZCARD', index)
  redis.call('ZADD', order, drawn, id)
  redis.call('ZADD', index, drawn, id)
  redis.call('HSET', owners, id, drawn .. ' ' .. user)
  redis.call('HSET', rows, id, header .. '\n' .. payload)
  redis.call('SET', meta, drawn)
  return header
end

-- One row and nothing to settle; ttl, place, made.
if #ARGV == 10 and ARGV[3] == '0' and ARGV[8] == '' and ARGV[9] == '' then
  local written = upsert_one()
  if written then return written end
end
