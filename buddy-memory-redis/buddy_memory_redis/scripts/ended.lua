-- What has expired and is still stored. ARGV: generation
-- Returns the number of these rows, and the first deadline among them in ms, or ''
if not expiring then return {0, ''} end
local count = call('ZCOUNT', deadlines, '-inf', now)
return {count, count > 0 and call('ZRANGE', deadlines, 0, 0, 'WITHSCORES')[2] or ''}
