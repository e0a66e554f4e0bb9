-- Delete all rows of the shard. Returns how many there were that had not expired
local count = call('HLEN', rows)
if expiring then count = count - call('ZCOUNT', deadlines, '-inf', now) end
call('UNLINK', rows, order, users, ids, deadlines, ends, marks)
return count
