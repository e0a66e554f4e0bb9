-- Count the rows of one user that have not expired
local count = redis.call('HLEN', rows)
if had_deadlines then count = count - redis.call('ZCOUNT', deadlines, '-inf', text(now)) end
return count
