-- Count the rows that have not expired: all, or those of a range of users.
-- ARGV: generation; the range in the index that is sorted by users, or nothing; where to go on
-- Returns the count, and where the next call has to begin, or '' at the end. A later call takes off
-- what has expired only
local STEPS = 2000
local low, high, from = ARGV[2], ARGV[3], ARGV[4]
if not low then
  local count = call('HLEN', rows)
  if expiring then count = count - call('ZCOUNT', deadlines, '-inf', now) end
  return {count, ''}
end

demand_indexes()
local count = from == low and call('ZLEXCOUNT', users, low, high) or 0
if not expiring then return {count, ''} end
for _ = 1, STEPS do
  local first = call('ZRANGE', ends, from, high, 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then return {count, ''} end
  local user = string.match(first, '^%Z*')
  count = count - count_due(user)
  from = '[' .. user .. '\1'
end
return {count, from}
