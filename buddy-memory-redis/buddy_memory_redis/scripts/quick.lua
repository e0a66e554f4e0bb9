-- Insert one row that is nobody's yet in a store where nothing expires: what most calls of upsert.lua
-- want, at a third of its price. Put in front of it; where anything is different, it goes on there.
local function insert_one()
  local user, now_text, id, place, payload = ARGV[2], ARGV[5], ARGV[7], ARGV[8], ARGV[10]
  local rows, order, deadlines, _, meta, owners, index, limits = unpack(KEYS)
  local last = tonumber(redis.call('GET', meta) or '0')
  if last < tonumber(ARGV[1]) or redis.call('EXISTS', deadlines, limits) > 0
    or redis.call('HEXISTS', owners, id) == 1 or redis.call('HEXISTS', rows, id) == 1 then return end

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

-- One row and nothing to settle; ttl, version expected, place, made.
if #ARGV == 10 and ARGV[3] == '0' and (ARGV[4] == '' or ARGV[4] == '0') and ARGV[8] == ''
  and ARGV[9] == '' then
  local inserted = insert_one()
  if inserted then return inserted end
end
