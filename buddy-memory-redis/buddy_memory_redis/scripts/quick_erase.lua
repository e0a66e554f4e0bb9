-- Delete a row of the user, whatever its version.
local function erase_one()
  local user, id = ARGV[2], ARGV[5]
  local rows, order, deadlines, _, meta, owners, index, limits, pending = unpack(KEYS)
  if tonumber(redis.call('GET', meta) or '0') < tonumber(ARGV[1])
    or redis.call('EXISTS', deadlines, limits) > 0
    or owner_of(redis.call('HGET', owners, id)) ~= user
    or redis.call('SISMEMBER', pending, id) == 1
    or redis.call('HEXISTS', rows, id) == 0
    or (redis.acl_check_cmd and not redis.acl_check_cmd('HDEL', rows)) then return end

  redis.call('ZCARD', index)
  redis.call('ZREM', order, id)
  redis.call('ZREM', index, id)
  redis.call('HDEL', owners, id)
  redis.call('HDEL', rows, id)
  return 'gone'
end

-- Nothing to settle; the version expected.
if #ARGV == 5 and ARGV[3] == '' then
  local outcome = erase_one()
  if outcome then return outcome end
end
