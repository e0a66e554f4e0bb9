-- Delete the rows of a range of users, ROWS at most in one call.
-- ARGV: generation; the range in the index that is sorted by users; the last position that is meant,
--       or '' to take that of now
-- Returns how many rows were deleted that had not expired, the last position that is meant, and where
-- the next call has to begin, or '' when nothing is left
local ROWS = 500
local low, high, last = ARGV[2], ARGV[3], ARGV[4]
if last == '' then last = known[2] or '0' end
demand_indexes()
demand('ZREM', 'HINCRBY')
if expiring then demand_expiring() end
check_types()
call('HLEN', marks)

local count, left = 0, ROWS
while left > 0 do
  local first = call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then
    low = ''
    break
  end
  local user = split(first)
  local upto = '(' .. user .. '\0' .. padded(last) .. '\1'
  local members = call('ZRANGE', users, low, upto, 'BYLEX', 'LIMIT', 0, left)
  for _, member in ipairs(members) do
    local position, id = split(string.sub(member, #user + 2))
    local field = user .. '\0' .. id
    if not is_due(field) then count = count + 1 end
    remove_stored(field, user, id, call('HGET', rows, field))
  end
  if #members < left then low = '[' .. user .. '\1' end
  -- A user whose rows are all newer counts as well, so that the script ends soon.
  left = left - math.max(#members, 1)
end
if expiring then fit_lifetime() end
return {count, last, low}
