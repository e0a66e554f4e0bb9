-- Remove a key of older software that still holds what was read. ARGV: its text
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
