-- One row that lasts and of which any version may be there.
if #ARGV == 10 and ARGV[3] == '1' and ARGV[4] == '' then
  local value = redis.call('HGET', KEYS[1], ARGV[5])
  local header = value and update_quickly(KEYS[1], ARGV[5], value, ARGV[1], ARGV[10])
  if header then return {header} end
end
