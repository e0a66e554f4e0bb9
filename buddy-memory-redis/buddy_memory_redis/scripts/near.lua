-- Tell whether the directory is on the server of a shelf. KEYS: the shelf's rows; the directory's meta.
-- ARGV: a number that the directory is known to have drawn
return (tonumber(redis.call('GET', KEYS[2])) or 0) >= tonumber(ARGV[1]) and 1 or 0
