-- Make a shard part of a store. KEYS: meta; then all other keys of the shard
-- ARGV: generation; number of shards; the generation that may be replaced, or ''
-- Returns the generation and the number of shards that then hold
local generation, shards = unpack(redis.call('HMGET', KEYS[1], 'generation', 'shards'))
if generation and generation ~= ARGV[3] then return {generation, shards} end
-- Rows of a store that had another number of shards are those of a writer that was late.
if shards and shards ~= ARGV[2] then redis.call('UNLINK', unpack(KEYS, 2)) end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'shards', ARGV[2])
return {ARGV[1], ARGV[2]}
