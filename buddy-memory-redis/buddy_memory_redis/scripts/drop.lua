-- Remove a shard of a store. KEYS: meta; then all other keys of the shard
-- ARGV: generation; what the first shard has as its generation until the others are removed, or '';
--       the number of shards
local found = redis.call('HGET', KEYS[1], 'generation')
if ARGV[2] == '' then
  if found == ARGV[1] then redis.call('UNLINK', unpack(KEYS)) end
elseif found == ARGV[1] or not found then
  redis.call('UNLINK', unpack(KEYS, 2))
  redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'shards', ARGV[3], 'dropped', ARGV[1])
end
return 1
