-- Remove what the first shard says of a store that was dropped. KEYS: meta
-- ARGV: its generation; what it has as its generation since
local found, dropped = unpack(redis.call('HMGET', KEYS[1], 'generation', 'dropped'))
if found == ARGV[2] and dropped == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 1
